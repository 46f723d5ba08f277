/* SPDX-License-Identifier: Apache-2.0 */
/* A program of ours as a container may meet it. */
#include "container/inner.h"

#include "base/fd.h"
#include <sys/mount.h>
#include <sys/statvfs.h>

/*
 * A clone of the one file's mount costs two system calls, where a sealed copy in memory costs the
 * copy; a write to the file through it is EROFS for everybody, and the clone is in no namespace
 * where someone could make it writable.
 */
int ctr_program_open(const char *path)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY };
	_close_ int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		return err_sys("cannot protect the program %s", path);
	return take_fd(fd);
}

bool ctr_protected(void)
{
	struct statvfs fs;

	return statvfs("/proc/self/exe", &fs) == 0 && fs.f_flag & ST_RDONLY;
}

int ctr_protect(char *const *argv)
{
	char path[PATH_MAX];
	_close_ int fd = -1;
	ssize_t n;

	if (ctr_protected())
		return 0;
	/* By its name: it was executed before we had mounts of our own, if we just became root. */
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		return err_sys("/proc/self/exe");
	path[n] = '\0';
	fd = ctr_program_open(path);
	if (fd < 0)
		return fd;
	fexecve(fd, argv, environ);
	return err_sys("cannot execute this program from a mount of its own");
}
