/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/copyup.h"
#include "unionfs/readers.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#define COPY_BUFFER (256u << 10)

static int copy_by_hand(int in, uint64_t from, int out, uint64_t to, uint64_t len)
{
	_free_ char *buf = malloc(COPY_BUFFER);

	while (buf && len) {
		ssize_t n = fd_pread_full(in, buf, MIN(len, (uint64_t)COPY_BUFFER), (off_t)from);
		int e = n < 0  ? (int)n :
			n == 0 ? -EIO :
				 fd_pwrite_full(out, buf, (size_t)n, (off_t)to);

		if (e)
			return e;
		from += (uint64_t)n;
		to += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return buf ? 0 : -ENOMEM;
}

static int copy_range(int in, uint64_t from, int out, uint64_t to, uint64_t len)
{
	while (len) {
		off_t a = (off_t)from, b = (off_t)to;
		ssize_t n = copy_file_range(in, &a, out, &b, MIN(len, (uint64_t)1 << 30), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
			return -errno;
		/*
		 * Not between these two; or 0, which some file systems give in place of an error.
		 */
		if (n <= 0)
			return copy_by_hand(in, from, out, to, len);
		from += (uint64_t)n;
		to += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Only what is not a hole; a file system without SEEK_DATA says that all is data. */
static int copy_sparse(int in, int out, uint64_t len)
{
	uint64_t at = 0;

	while (at < len) {
		off_t data = lseek(in, (off_t)at, SEEK_DATA), hole;
		int e;

		if (data < 0 && errno == ENXIO)
			return 0;
		if (data < 0 || (uint64_t)data < at)
			return copy_range(in, at, out, at, len - at);
		hole = lseek(in, data, SEEK_HOLE);
		if (hole <= data)
			return copy_range(in, at, out, at, len - at);
		if ((uint64_t)data >= len)
			return 0;
		at = MIN((uint64_t)hole, len);
		e = copy_range(in, (uint64_t)data, out, (uint64_t)data, at - (uint64_t)data);
		if (e)
			return e;
	}
	return 0;
}

/* A file system that clones nothing is asked once. */
static bool clone_all(struct ufs *u, int in, int out)
{
	if (u->upper.no_clones)
		return false;
	if (ioctl(out, FICLONE, in) == 0)
		return true;
	if (errno == EOPNOTSUPP || errno == ENOTTY)
		u->upper.no_clones = true;
	return false;
}

int copy_whole(int in, int out, uint64_t len)
{
	if (!len || ioctl(out, FICLONE, in) == 0)
		return 0;
	return ftruncate(out, (off_t)len) < 0 ? -errno : copy_sparse(in, out, len);
}

int copy_content(struct ufs *u, const struct lower_data *from, int fd, uint64_t limit)
{
	uint64_t len = MIN(from->size, limit);
	int e = len ? lower_need(&u->lower, from, 0, len) : 0;

	if (!len || e)
		return e;
	/* A copy that is not volatile is synced as well. */
	if (len > COPY_BUFFER || !u->is_volatile)
		readers_let_others();
	if (len == from->size && from->whole && clone_all(u, from->fd, fd))
		return 0;
	if (from->whole && from->dense)
		return copy_range(from->fd, 0, fd, 0, len);
	if (ftruncate(fd, (off_t)len) < 0)
		return -errno;
	if (from->mem)
		return fd_pwrite_full(fd, from->mem, len, 0);
	if (from->fd < 0)
		return 0;
	if (from->whole)
		return copy_sparse(from->fd, fd, len);
	return copy_range(from->fd, from->base, fd, 0, len);
}
