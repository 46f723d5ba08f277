/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/place.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/path.h"
#include <limits.h>
#include <sys/sysmacros.h>

#define LINKS_MAX 40 /* as the kernel: path_resolution(7) */

static int open_folder(int root_fd, const char *path)
{
	return fd_open_in_root(root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
}

bool place_is_folder(int root_fd, const char *path)
{
	_close_ int fd = open_folder(root_fd, path);

	return fd >= 0;
}

/* ---- folders ---- */

struct maker {
	int root_fd;
	const struct owner *owner;
	unsigned links;
};

static int make_path(struct maker *m, const char *path, bool *ret_made);

/* @name in @dirfd leads nowhere as yet: makes the folder that the link names. */
static int make_target(struct maker *m, int dirfd, const char *parent, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	_free_ char *path = NULL;
	bool made;

	if (n < 0)
		return err(-ENOTDIR, "%s/%s is no folder", parent, name);
	if (++m->links > LINKS_MAX)
		return err(-ELOOP, "%s/%s: too many symbolic links", parent, name);
	target[n] = '\0';
	/* ".." of the target is left to the kernel: what comes before it may be a link. */
	path = str_fmt("%s/%s", *target == '/' ? "" : parent, target);
	return path ? make_path(m, path, &made) : -ENOMEM;
}

static int make_one(struct maker *m, const char *parent, const char *name)
{
	_close_ int dirfd = open_folder(m->root_fd, parent), fd = -1;

	if (dirfd < 0)
		return err(dirfd, "/%s: %s", parent, strerror(-dirfd));
	if (mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST)
		return err_sys("%s/%s", parent, name);
	fd = fd_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return make_target(m, dirfd, parent, name);
	if (fchmod(fd, 0755) < 0 || fchown(fd, m->owner->uid, m->owner->gid) < 0)
		return err_sys("%s/%s", parent, name);
	return 0;
}

/* Opens ever longer parts of @path, and makes those that are not there. */
static int make_path(struct maker *m, const char *path, bool *ret_made)
{
	size_t at = 0;

	*ret_made = false;
	while (path[at]) {
		_free_ char *parent = NULL, *name = NULL, *upto = NULL;
		_close_ int fd = -1;
		int r = 0;
		size_t begin = at + strspn(path + at, "/"), len = strcspn(path + begin, "/");

		if (!len)
			break;
		parent = strndup(path, at);
		name = strndup(path + begin, len);
		at = begin + len;
		upto = strndup(path, at);
		if (!parent || !name || !upto)
			return -ENOMEM;
		fd = open_folder(m->root_fd, upto);
		*ret_made = fd == -ENOENT;
		if (fd < 0 && fd != -ENOENT)
			return err(fd, "%s: %s", upto, strerror(-fd));
		if (*ret_made)
			r = make_one(m, parent, name);
		if (r < 0)
			return r;
	}
	return 0;
}

int place_folder(int root_fd, const char *path, const struct owner *owner, bool *ret_made)
{
	struct maker m = { .root_fd = root_fd, .owner = owner };
	bool made = false;
	int fd = open_folder(root_fd, path), r;

	if (fd == -ENOENT) {
		r = make_path(&m, path, &made);
		if (r < 0)
			return r;
		fd = open_folder(root_fd, path);
	}
	if (fd < 0)
		return err(fd, "/%s: %s", path, strerror(-fd));
	if (ret_made)
		*ret_made = made;
	return fd;
}

/* ---- what is not a folder ---- */

/* After EEXIST: the name is free, or it is a folder's. */
static int clear(int dirfd, const char *name)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR || errno == EPERM)
		return err(-EISDIR, "'%s' is a folder there", name);
	return err_sys("%s", name);
}

/* Does @call, a system call on @name, and once more when the name had to be freed. */
#define replacing(dirfd, name, call)                                               \
	({                                                                         \
		int done_ = (call), cleared_ = 0;                                  \
                                                                                   \
		if (done_ < 0 && errno == EEXIST) {                                \
			cleared_ = clear(dirfd, name);                             \
			done_ = cleared_ < 0 ? -1 : (call);                        \
		}                                                                  \
		cleared_ < 0 ? cleared_ : done_ < 0 ? err_sys("%s", name) : done_; \
	})

int place_file(int dirfd, const char *name)
{
	return replacing(dirfd, name,
			 openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				0600));
}

int place_symlink(int dirfd, const char *name, const char *target)
{
	return replacing(dirfd, name, symlinkat(target, dirfd, name));
}

int place_node(int dirfd, const char *name, mode_t mode, dev_t rdev)
{
	if (S_ISCHR(mode) && rdev == makedev(0, 0))
		return err(-EINVAL, "%s: a character device 0/0 cannot be in a layer", name);
	return replacing(dirfd, name, mknodat(dirfd, name, mode & (S_IFMT | 0700), rdev));
}

int place_link(int from_dirfd, const char *from, int dirfd, const char *name)
{
	struct stat a, b;

	/* A link onto itself is there already, and must not be cleared away first. */
	if (fstatat(from_dirfd, from, &a, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys("%s", from);
	if (fstatat(dirfd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
	    a.st_dev == b.st_dev)
		return 0;
	return replacing(dirfd, name, linkat(from_dirfd, from, dirfd, name, 0));
}

/* ---- owner, mode, time ---- */

int place_dress(int fd, const char *what, const struct owner *owner, mode_t mode,
		const struct timespec *mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *mtime };

	if (fchown(fd, owner->uid, owner->gid) < 0)
		return err_sys("%s: change of the owner", what);
	if (fchmod(fd, mode & 07777) < 0)
		return err_sys("%s: change of the mode", what);
	return futimens(fd, times) < 0 ? err_sys("%s: change of the time", what) : 0;
}

int place_dress_at(int dirfd, const char *name, const struct owner *owner, mode_t mode,
		   const struct timespec *mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *mtime };

	if (fchownat(dirfd, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys("%s: change of the owner", name);
	/* Made by us under a name of a tree that nobody else changes now: it is still no link. */
	if (!S_ISLNK(mode) && fchmodat(dirfd, name, mode & 07777, 0) < 0)
		return err_sys("%s: change of the mode", name);
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys("%s: change of the time", name);
	return 0;
}
