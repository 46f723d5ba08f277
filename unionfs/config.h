/* SPDX-License-Identifier: Apache-2.0 */
/* What a union is made of: lowers, a top, and how it behaves. */
#ifndef UNIONFS_CONFIG_H
#define UNIONFS_CONFIG_H

#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/*
 * Gives a read-only descriptor of the object @digest, the content of inode @nid of the index, that
 * the caller owns, or -errno. Called from serving threads.
 */
typedef int ufs_object_open_fn(void *ctx, uint64_t nid, const struct digest *digest);

/*
 * Contents of an index that are still coming: they lie elsewhere, and are asked for before they are
 * read. Called from serving threads.
 */
struct ufs_arrivals {
	int fd; /* where they lie; duplicated */
	/* Whether the content of inode @nid is one; *@ret_base: where in fd. */
	bool (*find)(void *ctx, uint64_t nid, uint64_t *ret_base);
	/* Waits until [@off, @off + @len) of it is there: 0 or -errno. */
	int (*need)(void *ctx, uint64_t nid, uint64_t off, uint64_t len);
	void *ctx;
};

enum ufs_lower_kind {
	UFS_LOWER_DIR,	 /* a plain directory, as overlayfs has */
	UFS_LOWER_INDEX, /* an EROFS index of strata's own with its packs and objects */
};

struct ufs_lower {
	enum ufs_lower_kind kind;
	/*
	 * DIR: the directory (O_PATH will do). INDEX: the index. Duplicated; the caller's stays
	 * his.
	 */
	int fd;
	const int *
		packs; /* INDEX: one descriptor per device of the index, in its order; duplicated */
	size_t npacks;
	/*
	 * INDEX: the digests of its blocks, then those of each pack's blocks, in the packs' order;
	 * duplicated. What is read is compared with them and objects with their names, once in the
	 * life of the union: EIO, and a line in the log. NULL: nothing is.
	 */
	const int *sums;
	ufs_object_open_fn *object_open; /* INDEX: NULL when no inode is an object */
	void *ctx;
	const struct ufs_arrivals *arrivals; /* INDEX: NULL when all is here; copied */
};

enum ufs_upper_mode {
	UFS_UPPER_NONE,	  /* read-only */
	UFS_UPPER_NATIVE, /* overlayfs' dialect with real owners: needs the capabilities for it */
	/*
	 * every file belongs to the serving uid; owner, mode, type, rdev in
	 * user.containers.override_stat
	 */
	UFS_UPPER_MAPPED,
	/*
	 * the directory itself, without lowers and work: no copy-up, no whiteouts, and others may
	 * change it meanwhile. The serving uid and gid show as 0, all others as 65534
	 */
	UFS_UPPER_PLAIN,
};

/* overlayfs' redirect_dir= */
enum ufs_redirect {
	/* "off", "follow": what moved directories there are is shown; none is made: EXDEV */
	UFS_REDIRECT_FOLLOW,
	UFS_REDIRECT_ON,       /* a lower directory is renamed without being copied */
	UFS_REDIRECT_NOFOLLOW, /* none is made, and one that is there is EPERM */
};

/* @count ids from @stored on disk show as those from @shown. */
struct ufs_id_range {
	uint32_t stored, shown, count;
};
#define UFS_ID_RANGES_MAX 340u /* Linux' UID_GID_MAP_MAX_EXTENTS */

/*
 * How owners show; all zero: as they are. What no range has is 65534 (nobody) for the other side.
 * Squashed: everything shows as @squashed; what is made belongs to the serving process on disk,
 * and a chown is accepted without effect.
 */
struct ufs_ids {
	const struct ufs_id_range *ranges; /* at most UFS_ID_RANGES_MAX; copied */
	size_t n;
	bool squash;
	uint32_t squashed;
};

struct ufs_config {
	/* One index; or 1 to 500 directories, topmost first, as lowerdir= has them. PLAIN: none. */
	const struct ufs_lower *lowers;
	size_t nlowers;
	enum ufs_upper_mode upper;
	int upper_fd, work_fd; /* directories of one file system; duplicated. PLAIN: no work */
	/* chmod, chown, link... of a lower file copy no bytes: overlayfs' metacopy=on */
	bool metacopy;
	enum ufs_redirect redirect;
	/*
	 * Also understands what fuse-overlayfs and containers/storage leave in lowers and in a
	 * top: unionfs/foreign.h. Names that begin with ".wh." are EINVAL.
	 */
	bool foreign;
	bool userxattr;		   /* user.overlay.* in place of trusted.overlay.* */
	bool is_volatile;	   /* no sync of the top at all */
	bool rdonly;		   /* PLAIN: EROFS for all that changes it */
	struct ufs_ids uids, gids; /* NATIVE and NONE */
	/*
	 * No ACL shows, none can be set, none is inherited, and the client does not ask for that of
	 * each file. So it is without being said where no file can have one.
	 */
	uint64_t size; /* bytes that the top may hold, as unionfs/quota.h counts; 0: no limit */
	bool noacl;
	bool static_nlink; /* every directory shows 1 link */
	/*
	 * How long the client may keep names and attributes; NULL: for ever. With one, pages go
	 * when a file's size or mtime is another: for lowers that others change.
	 */
	const struct timespec *timeout;
	/*
	 * Takes over from a server that died (over one index alone, not PLAIN): finds what its
	 * client may know, by one scan of the top.
	 */
	bool recover;
};

#endif
