/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_stream.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/iov.h"
#include <arpa/inet.h>
#include <sys/socket.h>

#define FRAME_MAX (STREAM_HEAD + VIRTIO_NET_FRAME_MAX)
#define IN_SIZE	  (4u * 65536u) /* several frames by one system call */

int net_stream_init(struct net_stream *s, int fd)
{
	socklen_t len = sizeof(int);
	int type;

	*s = (struct net_stream){ .in = mem_new(1, IN_SIZE), .out = mem_new(1, FRAME_MAX) };
	s->tap = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 && errno == ENOTSOCK;
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (s->fd < 0 || !s->in || !s->out) {
		int r = s->fd < 0 ? err_sys("virtio net: dup") :
				    err(-ENOMEM, "virtio net: no memory");

		net_stream_done(s);
		return r;
	}
	return 0;
}

void net_stream_done(struct net_stream *s)
{
	s->fd = fd_close(s->fd);
	free(s->in);
	free(s->out);
	s->in = s->out = NULL;
}

/* ---- from it ---- */

/* The length of the frame at the front, 0 = not known yet. */
static size_t front(const struct net_stream *s)
{
	uint32_t len;

	if (s->end - s->start < STREAM_HEAD)
		return 0;
	memcpy(&len, s->in + s->start, sizeof(len));
	return ntohl(len);
}

static ssize_t fill(struct net_stream *s)
{
	ssize_t n;

	memmove(s->in, s->in + s->start, s->end - s->start);
	s->end -= s->start;
	s->start = 0;
	do
		n = recv(s->fd, s->in + s->end, IN_SIZE - s->end, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -EPIPE;
	s->end += (size_t)n;
	return n ? n : -EPIPE;
}

/* One that is longer than any should be is cut off by the kernel: nobody's. */
static ssize_t tap_recv(struct net_stream *s, const uint8_t **ret_frame)
{
	ssize_t n = (ssize_t)s->end;

	if (!n) {
		do
			n = read(s->fd, s->in, VIRTIO_NET_FRAME_MAX);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return errno == EAGAIN ? 0 : -EPIPE;
		s->end = (size_t)n;
	}
	*ret_frame = s->in;
	return n ? n : -EPIPE;
}

ssize_t net_stream_recv(struct net_stream *s, const uint8_t **ret_frame)
{
	if (s->tap)
		return tap_recv(s, ret_frame);
	for (;;) {
		size_t len = front(s);
		ssize_t n;

		if (len > VIRTIO_NET_FRAME_MAX || (!len && s->end - s->start >= STREAM_HEAD))
			return -EPROTO;
		if (len && s->end - s->start >= STREAM_HEAD + len) {
			*ret_frame = s->in + s->start + STREAM_HEAD;
			return (ssize_t)len;
		}
		n = fill(s);
		if (n <= 0)
			return n;
	}
}

void net_stream_next(struct net_stream *s)
{
	if (s->tap)
		s->end = 0;
	else
		s->start += STREAM_HEAD + front(s);
}

/* ---- to it ---- */

static ssize_t send_iov(const struct net_stream *s, struct iovec *iov, unsigned n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t r;

	do
		r = sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? 0 : -errno;
	return r;
}

int net_stream_flush(struct net_stream *s)
{
	while (s->out_done < s->out_len) {
		struct iovec v = { s->out + s->out_done, s->out_len - s->out_done };
		ssize_t n = send_iov(s, &v, 1);

		if (n <= 0)
			return (int)n;
		s->out_done += (size_t)n;
	}
	s->out_len = s->out_done = 0;
	return 1;
}

/* Keeps what is behind the first @done bytes: the guest may have its buffers back. */
static void keep_rest(struct net_stream *s, struct iovec *iov, unsigned n, size_t done)
{
	n = iov_slice(iov, n, done, FRAME_MAX, iov, n);
	s->out_len += iov_read(iov, n, s->out + s->out_len, FRAME_MAX - s->out_len);
}

/* What the kernel will not have (no whole head, the interface gone) is lost, as on a wire. */
static int tap_send(const struct net_stream *s, const struct iovec *iov, unsigned n)
{
	ssize_t r;

	do
		r = writev(s->fd, iov, (int)n);
	while (r < 0 && errno == EINTR);
	return !(r < 0 && errno == EAGAIN);
}

int net_stream_send(struct net_stream *s, const struct iovec *iov, unsigned n, size_t len)
{
	struct iovec v[1 + VIRTQ_CHAIN_MAX];
	uint32_t head = htonl((uint32_t)len);
	ssize_t done;
	int r;

	if (s->tap)
		return tap_send(s, iov, n);
	r = net_stream_flush(s);
	if (r <= 0)
		return r;
	v[0] = (struct iovec){ &head, sizeof(head) };
	memcpy(v + 1, iov, n * sizeof(*iov));
	done = send_iov(s, v, n + 1);
	if (done <= 0)
		return (int)done;
	keep_rest(s, v, n + 1, (size_t)done);
	return 1;
}
