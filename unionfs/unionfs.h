/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unionfs: one writable top over read-only lowers, served as FUSE requests (Linux
 * include/uapi/linux/fuse.h, 7.31 and later) that any carrier brings: /dev/fuse, a guest's
 * virtio-fs queue, a vhost-user socket.
 *
 * The life of a union: ufs_new() takes lowers and a top; ufs_conn_new() makes one connection over
 * it; threads call ufs_serve() with one request each, at the same time if they like;
 * ufs_conn_free(), then ufs_free(). Nothing is kept per open file (no-open mode): OPEN, OPENDIR and
 * CREATE answer ENOSYS.
 *
 * The client is hostile: names and lengths are checked once, in a table, before any handler; a
 * nodeid is a key, never a pointer. A lower is never written. A serving thread never aborts; what
 * fails is the errno of that one request.
 *
 * Lock order, and what each lock guards: unionfs/node.h. On disk (upper, work, xattrs):
 * docs/formats/union.md.
 */
#ifndef UNIONFS_UNIONFS_H
#define UNIONFS_UNIONFS_H

#include "base/sha256.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct ufs;
struct ufs_conn;

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

/*
 * Takes the top for this process (-EBUSY: another one has it) and clears away what a killed one
 * left. A text is attached to each error (base/err.h). ufs_free() syncs the top, unless volatile.
 */
int ufs_new(const struct ufs_config *cfg, struct ufs **ret);
void ufs_free(struct ufs *u);
/*
 * The client goes on later: what it knows and has no name any more outlives ufs_free(), for who
 * begins with recover.
 */
void ufs_leave(struct ufs *u);

/*
 * What a carrier can do beside bringing requests; each may be NULL. @ctx is the one given to
 * ufs_conn_new().
 */
struct ufs_carrier {
	/* Sends a notification (a fuse_out_header with unique 0 and its body). */
	int (*notify)(void *ctx, const struct iovec *iov, int n);
	/*
	 * Maps [@off, @off + @len) of @fd at @at in the DAX window, in place of what is there /
	 * unmaps. @dax_len is the window's length, a multiple of 2 MiB; 0 = there is none. Of
	 * stored objects, and of what becomes of them when they are written to.
	 */
	uint64_t dax_len;
	int (*dax_map)(void *ctx, int fd, uint64_t off, uint64_t at, uint64_t len, bool write);
	int (*dax_unmap)(void *ctx, uint64_t at, uint64_t len);
	/* Registers @fd for passthrough: an id > 0 or -errno. */
	int (*backing_open)(void *ctx, int fd);
	int (*backing_close)(void *ctx, int id);
};

struct ufs_conn *ufs_conn_new(struct ufs *u, const struct ufs_carrier *carrier, void *ctx);
void ufs_conn_free(struct ufs_conn *c);
/*
 * What the client and this connection have agreed on, for another one to go on with: 0 = nothing
 * yet. With ufs_config.recover the client need not notice that it is another.
 */
uint64_t ufs_conn_agreed(const struct ufs_conn *c);
void ufs_conn_resume(struct ufs_conn *c, uint64_t agreed);

/*
 * Serves one request: decodes @in, does it, writes the reply (with its fuse_out_header) into @out.
 * Gives the length of the reply, 0 when the request has none (FORGET), or -errno when there is no
 * room for a reply at all or the request is shorter than its header (the carrier then drops it).
 * @in may change under us (guest memory): it is copied once.
 */
ssize_t ufs_serve(struct ufs_conn *c, const struct iovec *in, int nin, const struct iovec *out,
		  int nout);

/* ---- the /dev/fuse carrier ---- */

/*
 * Mounts a FUSE file system and gives its detached mount (fsmount(2)) and its /dev/fuse descriptor:
 * move_mount(2) it where it belongs. Needs CAP_SYS_ADMIN. @source is what /proc/mounts shows.
 */
int ufs_mount(const char *source, bool rdonly, int *ret_fuse_fd, int *ret_mount_fd);
struct ufs_mount_options {
	const char *source;
	const char *subtype; /* NULL: none */
	bool rdonly;
	uint64_t attrs;	   /* MOUNT_ATTR_* of the mount */
	char *const *more; /* KEY=VALUE for the kernel's security module; NULL: none */
};
int ufs_mount_with(const struct ufs_mount_options *o, int *ret_fuse_fd, int *ret_mount_fd);

/*
 * Serves requests from @fuse_fd on @nthreads threads (1 to 64) until the file system is unmounted
 * (0) or the descriptor fails (-errno). The calling thread is one of them. @j, unless NULL, is what
 * another server needs to take over when this process dies; when one did (ufs_journal_used()), its
 * unanswered requests are asked for again first.
 */
struct journal;
int ufs_fuse_serve(struct ufs *u, int fuse_fd, int nthreads, struct journal *j);

/*
 * The journal of one mount, in the memory file @fd, which its keeper holds over all servers; a new
 * one is an empty file. -EPROTO: an older or newer program's. Close it after serving.
 */
int ufs_journal_open(int fd, struct journal **ret);
void ufs_journal_close(struct journal *j);
/* Whether a server has answered INIT. */
bool ufs_journal_used(const struct journal *j);
/* Whether the kernel sends again what is unanswered (FUSE_HAS_RESEND, Linux 6.9). Once used. */
bool ufs_journal_resends(const struct journal *j);
/* Requests that were answered by all servers: one that answers none makes no progress. */
uint64_t ufs_journal_served(const struct journal *j);

/* ---- the top as data ---- */

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
