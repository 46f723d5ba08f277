/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dir.h"

#include "base/fd.h"
#include "base/str.h"
#include <errno.h>

DIR *dir_open(int dirfd, const char *name)
{
	return dir_take(openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

DIR *dir_take(int fd)
{
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		fd_close(fd);
	return d;
}

struct dirent *dir_next(DIR *d)
{
	struct dirent *e;

	do {
		errno = 0;
		e = readdir(d);
	} while (e && str_is_dots(e->d_name, strlen(e->d_name)));
	return e;
}
