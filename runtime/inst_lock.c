/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inst.h"

#include "base/err.h"
#include "base/fd.h"
#include <sys/stat.h>

static int lock_open(const struct inst *i)
{
	int fd = openat(i->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/* Whether instances/<id> still is this directory. */
static int still_there(const struct inst *i)
{
	char path[sizeof(INSTANCES) + 1 + INST_ID_MAX];
	struct stat ours, there;

	snprintf(path, sizeof(path), INSTANCES "/%s", i->id);
	if (fstat(i->dir, &ours) < 0 || fstatat(i->runroot, path, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino ? 0 : -ENOENT;
}

int inst_lock(struct inst *i)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_close_ int fd = -1;
	int r;

	if (i->lock >= 0)
		return 0;
	fd = lock_open(i);
	if (fd < 0)
		return err(fd, "lock of instance %s: %s", i->id, strerror(-fd));
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
		return errno == EAGAIN || errno == EACCES ? -EBUSY :
							    err_sys("lock of instance %s", i->id);
	r = still_there(i);
	if (r < 0)
		return err(r, "instance %s: it is gone", i->id);
	i->lock = take_fd(fd);
	return 0;
}

void inst_unlock(struct inst *i)
{
	i->lock = fd_close(i->lock);
}

int inst_locked(const struct inst *i)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_close_ int fd = -1;

	if (i->lock >= 0)
		return 1;
	fd = openat(i->dir, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys("lock of instance %s", i->id);
	if (fcntl(fd, F_OFD_GETLK, &whole) < 0)
		return err_sys("lock of instance %s", i->id);
	return whole.l_type != F_UNLCK;
}
