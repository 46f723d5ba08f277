/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/metacopy.h"
#include "unionfs/union.h"
#include "unionfs/upper_plain.h"

#include <errno.h>
#include <sys/sysmacros.h>

/*
 * The nearest ancestor of @n, or itself, whose directory is open; the way down to @n is put into
 * *@way, nearest last.
 */
static int climb(struct ufs *u, struct node *n, struct node ***way, size_t *len,
		 struct fd_ref **ret_ref, int *ret_fd)
{
	size_t cap = 0;

	for (; n; n = n->parent) {
		struct fd_ref *r;

		if (n->fixed_fd >= 0) {
			*ret_ref = NULL;
			*ret_fd = n->fixed_fd;
			return 0;
		}
		r = fdcache_get(&u->fds, n->id, FD_UPPER_DIR);
		if (r) {
			*ret_ref = r;
			*ret_fd = r->fd;
			return 0;
		}
		if (mem_grow(way, &cap, *len + 1, sizeof(**way)) < 0)
			return -ENOMEM;
		(*way)[(*len)++] = n;
	}
	return -ESTALE;
}

static int open_dir(struct ufs *u, int dirfd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == EMFILE) {
		fdcache_shrink(&u->fds);
		fd = openat(dirfd, name, flags);
	}
	if (fd >= 0)
		return fd;
	return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? -ESTALE : -errno;
}

static int dir_fd(struct ufs *u, struct node *dir, struct fd_ref **ret_ref, int *ret_fd)
{
	_free_ struct node **way = NULL;
	struct fd_ref *ref = NULL;
	size_t len = 0;
	int fd = -1, e = climb(u, dir, &way, &len, &ref, &fd);

	while (!e && len) {
		struct node *n = way[--len];
		int next = open_dir(u, fd, n->name);

		fdcache_put(&u->fds, ref);
		ref = NULL;
		if (next < 0)
			return next;
		if (u->mode == UFS_UPPER_PLAIN && !plain_is(n, next)) {
			fd_close(next);
			return -ESTALE;
		}
		ref = fdcache_add(&u->fds, n->id, FD_UPPER_DIR, next);
		if (!ref)
			return -ENOMEM;
		fd = ref->fd;
	}
	if (e)
		return e;
	*ret_ref = ref;
	*ret_fd = fd;
	return 0;
}

int node_at_child(struct ufs *u, struct node *dir, const char *name, struct at *ret)
{
	ret->name = name;
	ret->ref = NULL;
	return dir_fd(u, dir, &ret->ref, &ret->dirfd);
}

int node_at(struct ufs *u, struct node *n, struct at *ret)
{
	if (n->fixed_fd >= 0) {
		*ret = (struct at){ .dirfd = n->fixed_fd, .name = "" };
		return 0;
	}
	return n->parent ? node_at_child(u, n->parent, n->name, ret) : -ESTALE;
}

void at_put(struct ufs *u, struct at *at)
{
	fdcache_put(&u->fds, at->ref);
	at->ref = NULL;
	at->dirfd = -1;
}

static struct timespec time_of(struct statx_timestamp t)
{
	return (struct timespec){ .tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec };
}

int at_stat(const struct at *at, struct stat *ret, uint64_t *ret_attributes)
{
	struct statx x;

	if (statx(at->dirfd, at->name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS, &x) < 0)
		return -errno;
	*ret = (struct stat){
		.st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
		.st_ino = x.stx_ino,
		.st_mode = x.stx_mode,
		.st_nlink = x.stx_nlink,
		.st_uid = x.stx_uid,
		.st_gid = x.stx_gid,
		.st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor),
		.st_size = (off_t)x.stx_size,
		.st_blksize = x.stx_blksize,
		.st_blocks = (blkcnt_t)x.stx_blocks,
		.st_atim = time_of(x.stx_atime),
		.st_mtim = time_of(x.stx_mtime),
		.st_ctim = time_of(x.stx_ctime),
	};
	*ret_attributes = x.stx_attributes;
	return 0;
}

bool at_born(const struct at *at, struct timespec *ret)
{
	struct statx sx;

	if (statx(at->dirfd, at->name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BTIME, &sx) < 0 ||
	    !(sx.stx_mask & STATX_BTIME))
		return false;
	*ret = time_of(sx.stx_btime);
	return true;
}

int at_set_times(const struct at *at, const struct timespec times[2])
{
	int r = *at->name ? utimensat(at->dirfd, at->name, times, AT_SYMLINK_NOFOLLOW) :
			    futimens(at->dirfd, times);

	return r < 0 ? -errno : 0;
}

static int open_file(struct ufs *u, struct node *n)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct at at;
	int fd, e;

	if (n->fixed_fd >= 0)
		return fcntl(n->fixed_fd, F_DUPFD_CLOEXEC, 0);
	e = node_at(u, n, &at);
	if (e)
		return e;
	fd = openat(at.dirfd, at.name, O_RDWR | flags);
	if (fd < 0 && errno == EMFILE) {
		fdcache_shrink(&u->fds);
		fd = openat(at.dirfd, at.name, O_RDWR | flags);
	}
	/* An immutable file, or one on a read-only mount, can be read at least. */
	if (fd < 0 && (errno == EPERM || errno == EACCES || errno == EROFS))
		fd = openat(at.dirfd, at.name, O_RDONLY | flags);
	e = fd < 0 ? -errno : fd;
	at_put(u, &at);
	if (fd >= 0 && u->mode == UFS_UPPER_PLAIN && !plain_is(n, fd)) {
		fd_close(fd);
		return -ESTALE;
	}
	return e == -ENOENT || e == -ELOOP ? -ESTALE : e;
}

int node_complete(struct ufs *u, struct node *n)
{
	_close_ int fd = -1;

	if (!n->data)
		return 0;
	fd = open_file(u, n);
	return fd < 0 ? fd : metacopy_fill(u, n, fd, UINT64_MAX);
}

int node_fd(struct ufs *u, struct node *n, struct fd_ref **ret)
{
	struct fd_ref *r = fdcache_get(&u->fds, n->id, FD_UPPER_FILE);
	int fd;

	if (!r) {
		if (!S_ISREG(n->type))
			return S_ISDIR(n->type) ? -EISDIR : -EINVAL;
		pthread_rwlock_rdlock(&u->tree);
		fd = open_file(u, n);
		pthread_rwlock_unlock(&u->tree);
		if (fd < 0)
			return fd;
		r = fdcache_add(&u->fds, n->id, FD_UPPER_FILE, fd);
	}
	*ret = r;
	return r ? 0 : -ENOMEM;
}

int node_file(struct ufs *u, struct node *n, struct fd_ref **ret)
{
	struct fd_ref *r;
	int e = node_fd(u, n, &r);

	if (e)
		return e;
	e = metacopy_fill(u, n, r->fd, UINT64_MAX);
	if (e)
		fdcache_put(&u->fds, r);
	else
		*ret = r;
	return e;
}
