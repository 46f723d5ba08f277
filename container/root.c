/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places in the container's root that somebody else named, made when missing. Every lookup is
 * openat2(RESOLVE_IN_ROOT) from the root, and what is made is one name in a directory that is held:
 * a link in the image leads somewhere inside.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define DEPTH_MAX 64 /* missing components and links that point to what is missing, together */

static int make(int root, const char *path, bool directory, int depth);

/* Where the dangling link @name in @dir (the path of @dirfd) points. */
static int follow(int root, int dirfd, const char *dir, const char *name, bool directory, int depth)
{
	char link[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, link, sizeof(link) - 1);
	int len;

	if (n < 0)
		return errno == EINVAL ? -ENOTDIR : -errno; /* no link, and not what we want */
	link[n] = '\0';
	len = *link == '/' ? snprintf(path, sizeof(path), "%s", link) :
			     snprintf(path, sizeof(path), "%s/%s", dir, link);
	if (len >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return make(root, path, directory, depth);
}

static int make_name(int dirfd, const char *name, bool directory)
{
	int r = directory ? mkdirat(dirfd, name, 0755) : mknodat(dirfd, name, S_IFREG | 0644, 0);

	return r < 0 ? -errno : 0;
}

/* Splits @path (a copy) into its directory and last name; trailing slashes do not count. */
static int split(char *path, const char **ret_dir, const char **ret_name)
{
	size_t len = strlen(path);
	char *slash;

	while (len && path[len - 1] == '/')
		path[--len] = '\0';
	slash = strrchr(path, '/');
	*ret_name = slash ? slash + 1 : path;
	*ret_dir = slash && slash != path ? path : "/";
	if (slash)
		*slash = '\0';
	/* The parent of a missing directory is nothing to make. */
	return !**ret_name || streq(*ret_name, "..") || streq(*ret_name, ".") ? -ENOENT : 0;
}

static int open_target(int root, const char *path, bool directory)
{
	return fd_open_in_root(root, path, directory ? O_PATH | O_DIRECTORY : O_PATH, 0);
}

static int make(int root, const char *path, bool directory, int depth)
{
	char copy[PATH_MAX];
	const char *dir, *name;
	int fd = open_target(root, path, directory), r;
	_close_ int dirfd = -1;

	if (fd != -ENOENT)
		return fd;
	if (depth >= DEPTH_MAX)
		return -ELOOP;
	r = str_copy(copy, sizeof(copy), path);
	if (r >= 0)
		r = split(copy, &dir, &name);
	if (r < 0)
		return r;
	dirfd = make(root, dir, true, depth + 1);
	if (dirfd < 0)
		return dirfd;
	r = make_name(dirfd, name, directory);
	if (r == -EEXIST)
		return follow(root, dirfd, dir, name, directory, depth + 1);
	return r < 0 ? r : fd_open_beneath(dirfd, name, O_PATH | O_NOFOLLOW, 0);
}

int root_target(int root, const char *path, bool directory)
{
	return make(root, path, directory, 0);
}

static bool same(int a, int b)
{
	struct statx x, y;
	const unsigned mask = STATX_INO | STATX_MNT_ID;

	return statx(a, "", AT_EMPTY_PATH, mask, &x) == 0 &&
	       statx(b, "", AT_EMPTY_PATH, mask, &y) == 0 && x.stx_ino == y.stx_ino &&
	       x.stx_dev_major == y.stx_dev_major && x.stx_dev_minor == y.stx_dev_minor &&
	       x.stx_mnt_id == y.stx_mnt_id;
}

int root_check_target(int root, int fd, const char *path, bool directory)
{
	struct statfs fs;

	if (same(fd, root))
		return err(-EPERM, "%s is the root itself: nothing is mounted there", path);
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	return directory && fs.f_type == PROC_SUPER_MAGIC ?
		       err(-EPERM, "%s lies in a procfs: no directory is mounted there", path) :
		       0;
}
