/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames over a stream socket, each behind its length (32 bits, big endian); or through a TAP of
 * the kernel's (IFF_NO_PI, no vnet header), one by each system call. One thread.
 */
#ifndef VIRTIO_NET_STREAM_H
#define VIRTIO_NET_STREAM_H

#include "virtio/virtio.h"

#define STREAM_HEAD 4u

struct net_stream {
	int fd;
	bool tap;
	uint8_t *in; /* what has come: bytes start..end */
	size_t start, end;
	uint8_t *out; /* the rest of a frame that the socket has not taken */
	size_t out_len, out_done;
};

/* Takes a duplicate of @fd, which is a TAP when it is no socket: 0, or -errno with a text. */
int net_stream_init(struct net_stream *s, int fd);
void net_stream_done(struct net_stream *s);
/*
 * A whole frame: its length, and *@ret_frame until the next call of net_stream_recv(), which gives
 * the same one until net_stream_next(). 0 = none yet; -EPIPE = the other end has gone, -EPROTO = it
 * speaks something else.
 */
ssize_t net_stream_recv(struct net_stream *s, const uint8_t **ret_frame);
void net_stream_next(struct net_stream *s);
/*
 * Sends the @len bytes of @iov (@n at most VIRTQ_CHAIN_MAX) as one frame: 1, or 0 when the socket
 * is full and nothing of it was taken; -errno = the other end has gone.
 */
int net_stream_send(struct net_stream *s, const struct iovec *iov, unsigned n, size_t len);
/* Whether a part of a frame waits for the socket: then for net_stream_flush(), at EPOLLOUT. */
static inline bool net_stream_waits(const struct net_stream *s)
{
	return s->out_len > s->out_done;
}
/* Sends what is left of a frame: 1 = nothing is left, 0 = not yet, -errno. */
int net_stream_flush(struct net_stream *s);

#endif
