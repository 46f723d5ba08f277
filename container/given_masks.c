/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of a given container that are covered or read-only. What covers a file is the host's null
 * device, found from the host's own root and checked, and what covers a directory an empty tmpfs
 * made here: nothing of the image takes part (CVE-2025-31133).
 */
#include "container/inner.h"

#include "base/fd.h"
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int cover_directory(int fd)
{
	if (fchdir(fd) < 0 || mount("tmpfs", ".", "tmpfs",
				    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0k") < 0)
		return -errno;
	return 0;
}

static int mask(struct child *c _unused_, int fd)
{
	_close_ int tree = -1;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return cover_directory(fd);
	tree = given_device_open("/dev/null", S_IFCHR, makedev(1, 3));
	return tree < 0 ? tree : mounts_place_on(tree, fd);
}

static int protect(struct child *c _unused_, int fd)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY };
	_close_ int tree = open_tree(
		fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) < 0)
		return -errno;
	return mounts_place_on(tree, fd);
}

static int each(struct child *c, char *const *paths, int (*fn)(struct child *, int fd))
{
	for (; paths && *paths; paths++) {
		_close_ int fd = fd_open_in_root(c->root, *paths, O_PATH, 0);
		int r;

		/* What is not there. No other failure is let pass: the path would stay open. */
		if (fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES)
			continue;
		r = fd < 0 ? fd : fn(c, fd);
		if (r < 0)
			return err(r, "cannot mask %s: %s", *paths, strerror(-r));
	}
	return 0;
}

int given_masks(struct child *c)
{
	int r = each(c, c->spec->given->rdonly, protect);

	return r < 0 ? r : each(c, c->spec->given->masked, mask);
}
