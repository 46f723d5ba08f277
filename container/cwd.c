/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The working directory, which the image chose: found without magic links, so that
 * "/proc/self/fd/7" leads nowhere, and asked of the kernel afterwards (CVE-2024-21626).
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"
#include <sys/syscall.h>

int cwd_make(struct child *c)
{
	const char *cwd = c->spec->cwd;
	int fd;

	if (!cwd || !*cwd || streq(cwd, "/"))
		return 0;
	if (*cwd != '/')
		return err(-EINVAL, "the working directory %s is not an absolute path", cwd);
	fd = root_target(c->root, cwd, true);
	if (fd < 0)
		return err(fd, "cannot make the working directory %s: %s", cwd, strerror(-fd));
	fd_close(fd);
	return 0;
}

/* As the user, whose permissions count. */
int cwd_enter(struct child *c)
{
	const char *cwd = c->spec->cwd;
	char path[PATH_MAX];
	_close_ int fd = -1;

	if (cwd && *cwd && !streq(cwd, "/")) {
		fd = fd_open_in_root(c->root, cwd, O_PATH | O_DIRECTORY, 0);
		if (fd < 0 || fchdir(fd) < 0)
			return err(fd < 0 ? fd : -errno,
				   "cannot enter the working directory %s: %s", cwd,
				   strerror(fd < 0 ? -fd : errno));
	}
	/*
	 * The system call: glibc's getcwd walks up by itself. Outside the root it says
	 * "(unreachable)...".
	 */
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/')
		return err(-EXDEV, "the working directory is outside the root");
	return 0;
}
