/* SPDX-License-Identifier: Apache-2.0 */
/* A program of ours as a container may meet it. */
#include "container/inner.h"

#include "base/fd.h"
#include <sys/mount.h>

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
