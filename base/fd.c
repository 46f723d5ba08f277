/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Who renames without end may keep a walk from ending; an open lease answers EAGAIN too. */
#define OPENAT2_TRIES 64

int fd_close(int fd)
{
	int saved = errno;

	/* Never again after EINTR: Linux has closed it by then. */
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

/* From @off, or from where the file stands for NULL. */
static ssize_t read_full(int fd, void *buf, size_t len, const off_t *off)
{
	size_t done = 0;

	while (done < len) {
		char *to = (char *)buf + done;
		ssize_t n = off ? pread(fd, to, len - done, *off + (off_t)done) :
				  read(fd, to, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t fd_read_full(int fd, void *buf, size_t len)
{
	return read_full(fd, buf, len, NULL);
}

ssize_t fd_pread_full(int fd, void *buf, size_t len, off_t off)
{
	return read_full(fd, buf, len, &off);
}

static int write_full(int fd, const void *buf, size_t len, const off_t *off)
{
	size_t done = 0;

	while (done < len) {
		const char *from = (const char *)buf + done;
		ssize_t n = off ? pwrite(fd, from, len - done, *off + (off_t)done) :
				  write(fd, from, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int fd_write_full(int fd, const void *buf, size_t len)
{
	return write_full(fd, buf, len, NULL);
}

int fd_pwrite_full(int fd, const void *buf, size_t len, off_t off)
{
	return write_full(fd, buf, len, &off);
}

int fd_openat2(int dirfd, const char *path, uint64_t flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		/* openat2(2) refuses a mode that it has no use for. */
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
		.resolve = resolve,
	};

	for (int i = 0; i < OPENAT2_TRIES; i++) {
		int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int fd_open_in_root(int rootfd, const char *path, uint64_t flags, mode_t mode)
{
	return fd_openat2(rootfd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int fd_open_beneath(int dirfd, const char *path, uint64_t flags, mode_t mode)
{
	return fd_openat2(dirfd, path, flags, mode,
			  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

struct fd_path fd_path(int fd)
{
	struct fd_path path;

	snprintf(path.s, sizeof(path.s), "/proc/self/fd/%d", fd);
	return path;
}

static int set_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return -errno;
	return fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0 ? -errno : 0;
}

int fd_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int fd_nonblock(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_lock(int fd, bool exclusive, bool wait)
{
	int op = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB);

	while (flock(fd, op) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int memfd_fill(int fd, const void *data, size_t len)
{
	int r;

	if (!data)
		return ftruncate(fd, (off_t)len) < 0 ? -errno : 0;
	r = fd_pwrite_full(fd, data, len, 0);
	if (r < 0)
		return r;
	r = fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	return r < 0 ? -errno : 0;
}

int fd_memfd(const char *name, const void *data, size_t len)
{
	_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = memfd_fill(fd, data, len);
	return r < 0 ? r : take_fd(fd);
}
