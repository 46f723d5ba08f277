/* SPDX-License-Identifier: Apache-2.0 */
/* The top as data: what differs from the lowers, and a copy of it. */
#ifndef UNIONFS_TOP_H
#define UNIONFS_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ufs;

enum ufs_change_kind { UFS_CHANGE_PUT, UFS_CHANGE_DELETE };

struct ufs_change {
	enum ufs_change_kind kind;
	const char *path; /* from the root, without a leading slash; "" is the root itself */
	bool opaque;	  /* a directory that hides what the lowers have */
	uint32_t mode, uid, gid;
	uint64_t rdev, size, ino; /* ino: equal for names of one file */
	uint32_t nlink;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	const char *target; /* of a symbolic link */
	/* a readable descriptor of a regular file's content, the callee's to read, not to close */
	int fd;
	/*
	 * Extended attributes as the client sees them: name, NUL, in a list as listxattr(2) gives
	 * it.
	 */
	const char *xattrs;
	size_t xattrs_len;
	int (*getxattr)(const struct ufs_change *c, const char *name, void *value, size_t size);
	const void *priv;
};

/*
 * Calls @fn for each thing in the upper that differs from the lowers, parents before children, in
 * byte order of names (what `diff` and `commit` want). Both dialects. No connection may be serving
 * it. Ends early on a value other than 0.
 */
int ufs_changes(struct ufs *u, int (*fn)(void *ctx, const struct ufs_change *c), void *ctx);

/* Two directories, as struct ufs_config has them. */
struct ufs_top {
	int upper_fd, work_fd;
};

/*
 * Copies a mapped top above an index, which nobody changes meanwhile, into empty directories, as
 * @uid's: a union over the copy, begun with recover, serves a client of the source. Shares what the
 * file system lets it. 0 or -errno with a text: -EMLINK, -EOVERFLOW = it cannot be numbered.
 */
int ufs_clone_top(const struct ufs_top *from, const struct ufs_top *to, uid_t uid);

#endif
