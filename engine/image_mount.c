/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image_mount.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define MAX_HOLDERS 64 /* the newest; any one of them is enough */

/* A record of the list (docs/formats/instance.md). */
struct holder {
	int32_t pid;
	int32_t fd;
	uint64_t start_time; /* with the pid: one process of this boot */
};

struct holders {
	int file; /* locked */
	struct holder h[MAX_HOLDERS];
	size_t n;
};

/* ---- the list ---- */

/*
 * Opens and locks @name; whoever removed it held the lock, so a file without a name is an old one.
 */
static int holders_open(int dir, const char *name, int flags, struct holders *ret)
{
	struct stat st;
	ssize_t n;
	int r;

	for (;;) {
		ret->file = openat(dir, name, O_RDWR | O_CLOEXEC | flags, 0600);
		if (ret->file < 0)
			return -errno;
		r = fd_lock(ret->file, true, true);
		if (r == 0 && fstat(ret->file, &st) < 0)
			r = -errno;
		if (r == 0 && st.st_nlink)
			break;
		fd_close(ret->file);
		if (r < 0)
			return r;
	}
	n = fd_pread_full(ret->file, ret->h, sizeof(ret->h), 0);
	ret->n = n < 0 ? 0 : n / sizeof(*ret->h);
	return 0;
}

static void holders_drop(struct holders *l, size_t at)
{
	memmove(l->h + at, l->h + at + 1, (--l->n - at) * sizeof(*l->h));
}

static void holders_add(struct holders *l, const struct holder *h)
{
	if (l->n == MAX_HOLDERS)
		holders_drop(l, 0);
	l->h[l->n++] = *h;
}

static int holders_write(const struct holders *l)
{
	size_t len = l->n * sizeof(*l->h);
	int r = fd_pwrite_full(l->file, l->h, len, 0);

	if (r == 0 && ftruncate(l->file, len) < 0)
		r = -errno;
	return r;
}

/* ---- mounts ---- */

int mount_clone(int mount_fd)
{
	int fd = syscall(SYS_open_tree, mount_fd, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	return fd < 0 ? -errno : fd;
}

/* The mount that @h has open, or -errno: it has gone, or its number is another thing by now. */
static int clone_of(const struct holder *h, uint32_t magic)
{
	_close_ int pidfd = proc_pidfd(h->pid), fd = -1;
	struct statfs fs;

	if (pidfd < 0 || !proc_alive(h->pid, h->start_time))
		return -ESRCH;
	fd = syscall(SYS_pidfd_getfd, pidfd, h->fd, 0);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) < 0 || (uint32_t)fs.f_type != magic)
		return -ESTALE;
	return mount_clone(fd);
}

/* From the newest, which is likeliest to be there; who has gone leaves the list. */
static int clone_any(struct holders *l, uint32_t magic)
{
	while (l->n) {
		int fd = clone_of(&l->h[l->n - 1], magic);

		if (fd >= 0 || fd == -EINVAL)
			return fd;
		holders_drop(l, l->n - 1);
	}
	return -ENOENT;
}

/* ---- one's own ---- */

static int self(int fd, struct holder *ret)
{
	*ret = (struct holder){ .pid = getpid(), .fd = fd };
	return proc_start_time(ret->pid, &ret->start_time);
}

/* Sharing is a gain and no need: without the list there is a mount all the same. */
int image_mount_open(int dir, const char *name, const struct image_kind *kind, int *ret_fd,
		     bool *ret_shared)
{
	struct holders l = { .file = -1 };
	struct holder me;
	bool listed = dir >= 0 && holders_open(dir, name, O_CREAT, &l) == 0;
	int fd = listed ? clone_any(&l, kind->magic) : -ENOENT;
	bool shared = fd >= 0;

	if (!shared)
		fd = kind->mount(kind->ctx);
	if (listed && fd >= 0 && self(fd, &me) == 0) {
		holders_add(&l, &me);
		holders_write(&l);
	} else if (listed && l.n == 0) {
		unlinkat(dir, name, 0);
	}
	fd_close(l.file);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	*ret_shared = shared;
	return 0;
}

bool image_mount_leave(int dir, const char *name)
{
	struct holders l = { .file = -1 };
	bool last;

	if (dir < 0 || holders_open(dir, name, 0, &l) < 0)
		return true;
	for (size_t i = l.n; i > 0; i--)
		if (l.h[i - 1].pid == getpid() ||
		    !proc_alive(l.h[i - 1].pid, l.h[i - 1].start_time))
			holders_drop(&l, i - 1);
	last = !l.n;
	if (last)
		unlinkat(dir, name, 0);
	else
		holders_write(&l);
	fd_close(l.file);
	return last;
}
