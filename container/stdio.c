/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes 0, 1 and 2: the terminal, the caller's descriptors, or the container's /dev/null. */
#include "container/inner.h"

#include "base/fd.h"
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* A source below 3 that is not in its place yet would be overwritten before its turn. */
static int lift(int fd, int place)
{
	if (fd < 0 || fd > STDERR_FILENO || fd == place)
		return fd;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return fd < 0 ? -errno : fd;
}

static int put(int fd, int place)
{
	/* FD_CLOEXEC is the only flag there is. */
	int r = fd == place ? fcntl(fd, F_SETFD, 0) : dup2(fd, place);

	return r < 0 ? -errno : 0;
}

/*
 * A user other than root opens /dev/stdout again by name (/proc/self/fd/1), which asks the
 * permissions of what it is: an anonymous pipe, a socket or the container's own terminal becomes
 * his, as docker does. What has a name on the host keeps its owner, its terminals too.
 */
static void give(const struct child *c, int fd)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) < 0 || st.st_uid == c->user.uid)
		return;
	if (c->spec->tty || S_ISSOCK(st.st_mode) ||
	    (S_ISFIFO(st.st_mode) && !fstatfs(fd, &fs) && fs.f_type == PIPEFS_MAGIC))
		(void)!fchown(fd, c->user.uid, (gid_t)-1);
}

static int place_all(int fds[3])
{
	int r = 0;

	for (int i = 0; i < 3; i++) {
		fds[i] = lift(fds[i], i);
		if (fds[i] < 0)
			return fds[i];
	}
	for (int i = 0; i < 3 && r >= 0; i++)
		r = put(fds[i], i);
	return r;
}

int stdio_setup(struct child *c)
{
	int fds[3], null = -1, r;

	for (int i = 0; i < 3; i++) {
		fds[i] = c->spec->tty ? c->slave : c->spec->stdio[i];
		if (fds[i] < 0 && null < 0)
			null = openat(c->dev, "null", O_RDWR | O_CLOEXEC);
		if (fds[i] < 0)
			fds[i] = null;
	}
	if (c->spec->tty && ioctl(c->slave, TIOCSCTTY, 0) < 0)
		return err_sys("cannot set the controlling terminal");
	r = place_all(fds);
	if (r < 0)
		return err(r, "cannot set the standard streams: %s", strerror(-r));
	for (int i = 0; c->user.uid && i < 3; i++)
		give(c, i);
	return 0;
}
