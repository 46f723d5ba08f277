/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/xat.h"

#include "base/fd.h"
#include "base/nr.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

struct xattr_args {
	uint64_t value __attribute__((aligned(8)));
	uint32_t size, flags;
};

static atomic_bool no_xattrat, no_fchmodat2;

/*
 * The object for the calls of before: opened, if it is a file or a directory; else a path through
 * /proc, which ends at the object itself, a symbolic link too. In a VMM's jail there is no /proc,
 * and a mapped upper has only files and directories.
 */
struct by_path {
	int fd;
	bool open; /* fd is more than O_PATH */
	struct fd_path path;
};

static void by_path_done(struct by_path *p)
{
	fd_close(p->fd);
}

static int by_path_open(int dirfd, const char *name, struct by_path *ret)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	ret->open = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
	if (ret->open)
		ret->fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (!ret->open || ret->fd < 0) {
		ret->open = false;
		ret->fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (ret->fd < 0)
		return -errno;
	ret->path = fd_path(ret->fd);
	return 0;
}

static ssize_t path_get(int dirfd, const char *name, const char *xname, void *value, size_t size)
{
	_cleanup_(by_path_done) struct by_path p = { .fd = -1 };
	int e = by_path_open(dirfd, name, &p);
	ssize_t n;

	if (e < 0)
		return e;
	n = p.open ? fgetxattr(p.fd, xname, value, size) : getxattr(p.path.s, xname, value, size);
	return n < 0 ? -errno : n;
}

ssize_t xat_get(int dirfd, const char *name, const char *xname, void *value, size_t size)
{
	struct xattr_args a = { .value = (uintptr_t)value, .size = (uint32_t)size };
	ssize_t n;

	if (!*name) {
		n = fgetxattr(dirfd, xname, value, size);
		return n < 0 ? -errno : n;
	}
	if (!no_xattrat) {
		n = syscall(NR_GETXATTRAT, dirfd, name, AT_SYMLINK_NOFOLLOW, xname, &a, sizeof(a));
		if (n >= 0 || errno != ENOSYS)
			return n < 0 ? -errno : n;
		no_xattrat = true;
	}
	return path_get(dirfd, name, xname, value, size);
}

static int path_set(int dirfd, const char *name, const char *xname, const void *value, size_t size,
		    int flags)
{
	_cleanup_(by_path_done) struct by_path p = { .fd = -1 };
	int e = by_path_open(dirfd, name, &p);

	if (e < 0)
		return e;
	e = p.open ? fsetxattr(p.fd, xname, value, size, flags) :
		     setxattr(p.path.s, xname, value, size, flags);
	return e < 0 ? -errno : 0;
}

int xat_set(int dirfd, const char *name, const char *xname, const void *value, size_t size,
	    int flags)
{
	struct xattr_args a = { .value = (uintptr_t)value,
				.size = (uint32_t)size,
				.flags = (uint32_t)flags };

	if (!*name)
		return fsetxattr(dirfd, xname, value, size, flags) < 0 ? -errno : 0;
	if (!no_xattrat) {
		if (syscall(NR_SETXATTRAT, dirfd, name, AT_SYMLINK_NOFOLLOW, xname, &a,
			    sizeof(a)) == 0)
			return 0;
		if (errno != ENOSYS)
			return -errno;
		no_xattrat = true;
	}
	return path_set(dirfd, name, xname, value, size, flags);
}

static ssize_t path_list(int dirfd, const char *name, char *list, size_t size)
{
	_cleanup_(by_path_done) struct by_path p = { .fd = -1 };
	int e = by_path_open(dirfd, name, &p);
	ssize_t n;

	if (e < 0)
		return e;
	n = p.open ? flistxattr(p.fd, list, size) : listxattr(p.path.s, list, size);
	return n < 0 ? -errno : n;
}

ssize_t xat_list(int dirfd, const char *name, char *list, size_t size)
{
	ssize_t n;

	if (!*name) {
		n = flistxattr(dirfd, list, size);
		return n < 0 ? -errno : n;
	}
	if (!no_xattrat) {
		n = syscall(NR_LISTXATTRAT, dirfd, name, AT_SYMLINK_NOFOLLOW, list, size);
		if (n >= 0 || errno != ENOSYS)
			return n < 0 ? -errno : n;
		no_xattrat = true;
	}
	return path_list(dirfd, name, list, size);
}

static int path_remove(int dirfd, const char *name, const char *xname)
{
	_cleanup_(by_path_done) struct by_path p = { .fd = -1 };
	int e = by_path_open(dirfd, name, &p);

	if (e < 0)
		return e;
	e = p.open ? fremovexattr(p.fd, xname) : removexattr(p.path.s, xname);
	return e < 0 ? -errno : 0;
}

int xat_remove(int dirfd, const char *name, const char *xname)
{
	if (!*name)
		return fremovexattr(dirfd, xname) < 0 ? -errno : 0;
	if (!no_xattrat) {
		if (syscall(NR_REMOVEXATTRAT, dirfd, name, AT_SYMLINK_NOFOLLOW, xname) == 0)
			return 0;
		if (errno != ENOSYS)
			return -errno;
		no_xattrat = true;
	}
	return path_remove(dirfd, name, xname);
}

bool xat_is_y(int dirfd, const char *name, const char *xname)
{
	char c = 0;

	return xat_get(dirfd, name, xname, &c, 1) == 1 && c == 'y';
}

static int path_chmod(int dirfd, const char *name, mode_t mode)
{
	_cleanup_(by_path_done) struct by_path p = { .fd = -1 };
	int e = by_path_open(dirfd, name, &p);

	if (e < 0)
		return e;
	e = p.open ? fchmod(p.fd, mode) : chmod(p.path.s, mode);
	return e < 0 ? -errno : 0;
}

int xat_chmod(int dirfd, const char *name, mode_t mode)
{
	if (!*name)
		return fchmod(dirfd, mode) < 0 ? -errno : 0;
	if (!no_fchmodat2) {
		if (syscall(NR_FCHMODAT2, dirfd, name, mode, AT_SYMLINK_NOFOLLOW) == 0)
			return 0;
		if (errno != ENOSYS)
			return -errno;
		no_fchmodat2 = true;
	}
	return path_chmod(dirfd, name, mode);
}
