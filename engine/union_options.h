/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of strata-unionfs: overlayfs' (Linux Documentation/filesystems/overlayfs.rst),
 * fuse-overlayfs' and those of every mount. Said more than once, the last counts.
 */
#ifndef ENGINE_UNION_OPTIONS_H
#define ENGINE_UNION_OPTIONS_H

#include "unionfs/unionfs.h"

struct union_ids {
	struct ufs_id_range *ranges;
	size_t n;
	bool squash;
	uint32_t squashed;
};

struct union_options {
	char **lowers; /* topmost first, without their escapes */
	char *upper, *work;
	char *mountpoint;
	char *source;	/* what /proc/mounts shows; NULL: the program's name */
	char **context; /* what goes to the kernel's security module as it is: KEY=VALUE */
	uint64_t attrs; /* MOUNT_ATTR_* of mount_setattr(2) */
	struct union_ids uids, gids;
	bool squash_to_root;
	enum ufs_redirect redirect;
	bool metacopy, is_volatile, userxattr, rdonly, noacl, static_nlink;
	uint64_t size; /* bytes; 0: no limit */
	bool has_timeout;
	struct timespec timeout;
	bool unchecked;	  /* the kernel compares no owners and modes */
	bool allow_other; /* for fusermount3: root's mounts are open to all anyway */
	bool foreground, debug, single;
	bool help, version; /* asked for: nothing else is looked at */
};

#define UNION_LOWERS_MAX 500u /* as overlayfs (OVL_MAX_STACK) */

/*
 * What argv says. -EINVAL, with a text, when it says it wrongly. @ret is to be freed by
 * union_options_done() in any case.
 */
int union_options_parse(int argc, char **argv, struct union_options *ret);
/* One "-o" string. */
int union_options_add(struct union_options *o, const char *text);
void union_options_done(struct union_options *o);

#endif
