/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from one stream to another, both ways, each way no faster than its bucket has it. What
 * cannot go on waits: for a frame, for room, or for tokens.
 */
#include "base/clock.h"
#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/bucket.h"
#include "virtio/net_stream.h"
#include <poll.h>

#define NS_PER_S UINT64_C(1000000000)
#define BUDGET	 64 /* frames of one direction, then the other has its turn */

enum { HOST, GUEST, ENDS };

/* From the other end to ends[@to]. */
struct way {
	struct bucket bucket;
	uint64_t wait_ns;	/* until there are tokens, 0 = there are */
	bool full;		/* the end that it leads to takes no more for now */
	uint64_t frames, bytes; /* atomic */
};

struct net_relay {
	struct net_stream ends[ENDS];
	struct way ways[ENDS]; /* by the end that they lead to */
};

/* One frame: 1, 0 = it has to wait or there is none, -errno = an end has gone. */
static int move_frame(struct way *w, struct net_stream *from, struct net_stream *to)
{
	const uint8_t *frame;
	ssize_t len;
	int r;

	w->full = false;
	w->wait_ns = bucket_wait(&w->bucket, w->bucket.rate ? clock_ns() : 0);
	if (w->wait_ns)
		return 0;
	len = net_stream_recv(from, &frame);
	if (len <= 0)
		return (int)len;
	r = net_stream_send(to, &(struct iovec){ (void *)(uintptr_t)frame, (size_t)len }, 1,
			    (size_t)len);
	w->full = r == 0;
	if (r <= 0)
		return r;
	net_stream_next(from);
	bucket_take(&w->bucket, (uint64_t)len);
	count_add(&w->frames, 1);
	count_add(&w->bytes, (uint64_t)len);
	return 1;
}

/* 1 = the budget was not enough, 0 = all that can go has gone, -errno. */
static int move_frames(struct net_relay *r, unsigned to)
{
	struct net_stream *end = &r->ends[to];
	int n = 1;

	r->ways[to].wait_ns = 0;
	if (net_stream_waits(end))
		n = net_stream_flush(end);
	for (int i = 0; n > 0 && i < BUDGET; i++)
		n = move_frame(&r->ways[to], &r->ends[!to], end);
	return n;
}

static short events_of(const struct net_relay *r, unsigned i)
{
	const struct way *into = &r->ways[i], *out = &r->ways[!i];
	bool reads = !out->full && !out->wait_ns && !net_stream_waits(&r->ends[!i]);

	return (short)((reads ? POLLIN : 0) |
		       (into->full || net_stream_waits(&r->ends[i]) ? POLLOUT : 0));
}

/* In ns from now that something has tokens again; UINT64_MAX: nothing waits for them. */
static uint64_t soonest(const struct net_relay *r)
{
	uint64_t ns = UINT64_MAX;

	for (unsigned i = 0; i < ENDS; i++)
		if (r->ways[i].wait_ns)
			ns = MIN(ns, r->ways[i].wait_ns);
	return ns;
}

/* 0, 1 = it is to stop. */
static int wait_for(const struct net_relay *r, int stop_fd, bool more)
{
	struct pollfd fds[] = { { .fd = r->ends[HOST].fd, .events = events_of(r, HOST) },
				{ .fd = r->ends[GUEST].fd, .events = events_of(r, GUEST) },
				{ .fd = stop_fd, .events = POLLIN } };
	uint64_t ns = more ? 0 : soonest(r);
	const struct timespec t = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	/* An end that has hung up and is not read for now would call again and again. */
	for (unsigned i = 0; i < ENDS; i++)
		if (!fds[i].events)
			fds[i].fd = -1;
	if (ppoll(fds, ARRAY_SIZE(fds), ns == UINT64_MAX ? NULL : &t, NULL) < 0 && errno != EINTR)
		return err_sys("network");
	return fds[2].revents != 0;
}

int net_relay_run(struct net_relay *r, int stop_fd)
{
	for (;;) {
		bool more = false;
		int n;

		for (unsigned to = 0; to < ENDS; to++) {
			n = move_frames(r, to);
			if (n < 0)
				return n == -EPROTO ?
					       err(n, "network: what came is no row of frames") :
					       0;
			more |= n > 0;
		}
		n = wait_for(r, stop_fd, more);
		if (n)
			return n < 0 ? n : 0;
	}
}

int net_relay_new(int guest_fd, int host_fd, uint64_t rate, struct net_relay **ret)
{
	struct net_relay *r = new0(struct net_relay);
	int e;

	if (!r)
		return err(-ENOMEM, "network: no memory");
	r->ends[HOST].fd = r->ends[GUEST].fd = -1;
	e = net_stream_init(&r->ends[HOST], host_fd);
	if (e == 0)
		e = net_stream_init(&r->ends[GUEST], guest_fd);
	if (e < 0) {
		net_relay_free(r);
		return e;
	}
	for (unsigned i = 0; i < ENDS; i++)
		bucket_init(&r->ways[i].bucket, rate, clock_ns());
	*ret = r;
	return 0;
}

void net_relay_free(struct net_relay *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < ENDS; i++)
		net_stream_done(&r->ends[i]);
	free(r);
}

void net_relay_stats(const struct net_relay *r, struct virtio_net_stats *ret)
{
	const struct way *in = &r->ways[GUEST], *out = &r->ways[HOST];

	*ret = (struct virtio_net_stats){
		.rx_frames = count_get(&in->frames),
		.rx_bytes = count_get(&in->bytes),
		.tx_frames = count_get(&out->frames),
		.tx_bytes = count_get(&out->bytes),
	};
}
