/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output to files that others own too: O_NONBLOCK would be theirs as well, so each kind of file has
 * its own way of not keeping the thread.
 */
#include "virtio/console.h"

#include "base/mem.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TTY_PIECE 512 /* a terminal that poll(2) says is writable takes this much, as a rule */

enum out_kind console_out_kind(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return OUT_NONE;
	if (S_ISSOCK(st.st_mode))
		return OUT_SOCKET;
	if (S_ISFIFO(st.st_mode))
		return OUT_PIPE;
	return S_ISCHR(st.st_mode) && isatty(fd) ? OUT_TTY : OUT_PLAIN;
}

static ssize_t socket_write(int fd, const struct iovec *iov, unsigned n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	ssize_t r = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	return r < 0 ? -errno : r;
}

/* At most @max bytes of the first piece, if the file is writable. */
static ssize_t small_write(int fd, const struct iovec *iov, size_t max)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t r;

	if (poll(&p, 1, 0) == 0)
		return -EAGAIN;
	r = write(fd, iov->iov_base, MIN(iov->iov_len, max));
	return r < 0 ? -errno : r;
}

static ssize_t pipe_write(int fd, enum out_kind *kind, const struct iovec *iov, unsigned n)
{
	ssize_t r = pwritev2(fd, iov, (int)n, -1, RWF_NOWAIT);

	if (r >= 0 || errno != EOPNOTSUPP)
		return r < 0 ? -errno : r;
	*kind = OUT_TTY; /* Linux before 6.4; a terminal's small pieces are below PIPE_BUF */
	return small_write(fd, iov, PIPE_BUF);
}

ssize_t console_out_write(int fd, enum out_kind *kind, const struct iovec *iov, unsigned n)
{
	ssize_t r;

	switch (*kind) {
	case OUT_SOCKET:
		r = socket_write(fd, iov, n);
		break;
	case OUT_PIPE:
		r = pipe_write(fd, kind, iov, n);
		break;
	case OUT_TTY:
		r = small_write(fd, iov, TTY_PIECE);
		break;
	default:
		r = writev(fd, iov, (int)n);
		r = r < 0 ? -errno : r;
		break;
	}
	return r == -EINTR ? -EAGAIN : r;
}
