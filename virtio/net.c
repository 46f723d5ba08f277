/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device (virtio 1.2, section 5.1): one thread moves frames both ways. What cannot go
 * on waits for its event: a guest without buffers for its kick, a full socket for EPOLLOUT, an
 * empty token bucket for the timer.
 */
#include "base/clock.h"
#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/bucket.h"
#include "virtio/iov.h"
#include "virtio/net_stream.h"
#include "virtio/ring.h"
#include "virtio/thread.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#define NET_DEVICE_ID  1
#define NET_QUEUE_SIZE 256
#define NET_BUDGET     64 /* frames of one direction, then the other has its turn */

/* Feature bits (5.1.3). */
#define F_MTU (UINT64_C(1) << 3)
#define F_MAC (UINT64_C(1) << 5)

enum { QUEUE_RX, QUEUE_TX, QUEUES };
enum { TAG_SOCKET = QUEUES, TAG_TIMER }; /* a timer for each queue, from there on */

/* Before each frame in the rings (5.1.6); without offloads it says nothing. */
struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct net_config { /* 5.1.4 */
	uint8_t mac[6];
	uint16_t status, max_virtqueue_pairs, mtu;
};

struct virtio_net {
	struct virtio_mmio *mmio;
	struct virtio_thread thread;
	int timers[QUEUES];
	struct net_config config;
	uint64_t rate;
	struct net_stream stream;
	struct bucket buckets[QUEUES];
	bool gone;		       /* the other end */
	bool rx_starved;	       /* no buffer of the guest's, or no tokens */
	bool tx_blocked;	       /* the socket is full */
	struct virtio_net_stats stats; /* atomic */
	struct virtq_chain chain;
};

/* ---- what is waited for ---- */

static void watch(struct virtio_net *n)
{
	uint32_t events = (n->rx_starved ? 0 : EPOLLIN) | (n->tx_blocked ? EPOLLOUT : 0);

	if (!n->gone)
		virtio_thread_rewatch(&n->thread, n->stream.fd, events, TAG_SOCKET);
}

static void lost(struct virtio_net *n)
{
	virtio_thread_unwatch(&n->thread, n->stream.fd);
	n->gone = true;
	n->tx_blocked = false;
}

/* ---- to the guest ---- */

/* Copies header and frame into the chain: how many bytes, 0 = they do not fit. */
static uint32_t fill(const struct virtq_chain *c, const uint8_t *frame, size_t len)
{
	const struct net_header header = { .num_buffers = 1 };
	struct iovec rest[VIRTQ_CHAIN_MAX];
	unsigned n;

	if (c->out_len < sizeof(header) + len)
		return 0;
	iov_write(c->out, c->nout, &header, sizeof(header));
	n = iov_slice(c->out, c->nout, sizeof(header), len, rest, ARRAY_SIZE(rest));
	iov_write(rest, n, frame, len);
	return (uint32_t)(sizeof(header) + len);
}

/* The frame at hand: 1 = done with it, 0 = the guest has no buffer, -EPROTO. */
static int rx_frame(struct virtio_net *n, struct virtq *q, const uint8_t *frame, size_t len)
{
	const struct mem *mem = virtio_mmio_mem(n->mmio);
	int r = virtq_pop(q, mem, &n->chain);
	uint32_t done;

	if (r <= 0)
		return r;
	done = fill(&n->chain, frame, len);
	net_stream_next(&n->stream);
	if (!done) {
		virtq_unpop(q);
		count_add(&n->stats.dropped, 1);
		return 1;
	}
	bucket_take(&n->buckets[QUEUE_RX], len);
	count_add(&n->stats.rx_frames, 1);
	count_add(&n->stats.rx_bytes, len);
	r = virtq_push(q, mem, n->chain.head, done);
	return r < 0 ? r : 1;
}

static int rx(struct virtio_net *n)
{
	struct virtq *q = virtio_mmio_queue(n->mmio, QUEUE_RX);
	int r = 1, i;

	n->rx_starved = false;
	for (i = 0; r > 0 && !n->gone && i < NET_BUDGET; i++) {
		const uint8_t *frame;
		ssize_t len = net_stream_recv(&n->stream, &frame);

		if (len < 0)
			lost(n);
		if (len <= 0)
			break;
		r = bucket_may(&n->buckets[QUEUE_RX], n->timers[QUEUE_RX]) ?
			    rx_frame(n, q, frame, (size_t)len) :
			    0;
		n->rx_starved = r == 0;
	}
	/* What is in the stream's buffer already makes no event. */
	if (r > 0 && i == NET_BUDGET)
		eventfd_write(q->kick_fd, 1);
	virtq_flush(q, virtio_mmio_mem(n->mmio));
	return r < 0 ? r : 0;
}

/* ---- from the guest ---- */

/* The chain at hand: 1 = done with it, 0 = not now, -EPROTO. */
static int tx_frame(struct virtio_net *n)
{
	const struct virtq_chain *c = &n->chain;
	struct iovec iov[VIRTQ_CHAIN_MAX];
	uint64_t len = c->in_len - sizeof(struct net_header);
	int r;

	if (c->in_len <= sizeof(struct net_header))
		return -EPROTO;
	if (n->gone || len > VIRTIO_NET_FRAME_MAX) {
		count_add(&n->stats.dropped, 1);
		return 1;
	}
	if (!bucket_may(&n->buckets[QUEUE_TX], n->timers[QUEUE_TX]))
		return 0;
	r = net_stream_send(&n->stream, iov,
			    iov_slice(c->in, c->nin, sizeof(struct net_header), len, iov,
				      ARRAY_SIZE(iov)),
			    len);
	n->tx_blocked = r == 0 || net_stream_waits(&n->stream);
	if (r < 0)
		lost(n);
	if (r <= 0)
		return r < 0;
	bucket_take(&n->buckets[QUEUE_TX], len);
	count_add(&n->stats.tx_frames, 1);
	count_add(&n->stats.tx_bytes, len);
	return 1;
}

static int tx(struct virtio_net *n)
{
	struct virtq *q = virtio_mmio_queue(n->mmio, QUEUE_TX);
	const struct mem *mem = virtio_mmio_mem(n->mmio);
	int r = 1;

	for (int i = 0; i < NET_BUDGET && !n->tx_blocked; i++) {
		r = virtq_pop(q, mem, &n->chain);
		if (r <= 0)
			break;
		r = tx_frame(n);
		if (r == 0)
			virtq_unpop(q);
		if (r <= 0)
			break;
		r = virtq_push(q, mem, n->chain.head, 0);
		if (r < 0)
			break;
		r = 1;
	}
	if (r > 0 && !n->tx_blocked)
		eventfd_write(q->kick_fd, 1);
	virtq_flush(q, mem);
	return r < 0 ? r : 0;
}

/* ---- the thread ---- */

/* A flood of one kind must not keep the other from its turn, nor a reset from its end. */
static int socket_event(struct virtio_net *n, uint32_t events)
{
	int r = 0;

	if (n->gone)
		return 0;
	if ((events & EPOLLOUT) && n->tx_blocked) {
		r = net_stream_flush(&n->stream);
		n->tx_blocked = r == 0;
		if (r < 0)
			lost(n);
		r = n->tx_blocked ? 0 : tx(n);
	}
	if (r == 0 && (events & EPOLLIN))
		r = rx(n);
	else if (events & (EPOLLHUP | EPOLLERR))
		lost(n);
	return r;
}

static void drain(int fd)
{
	uint64_t v;

	(void)!read(fd, &v, sizeof(v));
}

static void net_event(void *ctx, uint32_t tag, uint32_t events)
{
	struct virtio_net *n = ctx;
	int r = 0;

	if (tag == TAG_SOCKET) {
		r = socket_event(n, events);
	} else {
		if (tag >= TAG_TIMER)
			drain(n->timers[tag - TAG_TIMER]);
		r = tag == QUEUE_RX || tag == TAG_TIMER + QUEUE_RX ? rx(n) : tx(n);
	}
	if (r < 0) {
		lost(n);
		virtio_mmio_needs_reset(n->mmio);
	}
	watch(n);
}

/* ---- life ---- */

static int watch_all(void *ctx)
{
	struct virtio_net *n = ctx;
	int r = virtio_thread_watch(&n->thread, n->stream.fd, EPOLLIN, TAG_SOCKET);

	for (unsigned i = 0; r == 0 && i < QUEUES; i++) {
		r = virtio_thread_watch(&n->thread, virtio_mmio_queue(n->mmio, i)->kick_fd,
					VIRTIO_KICKED, i);
		if (r == 0)
			r = virtio_thread_watch(&n->thread, n->timers[i], EPOLLIN, TAG_TIMER + i);
	}
	return r;
}

static int net_activate(void *dev)
{
	static const struct virtio_thread_work work = { net_event, watch_all };
	struct virtio_net *n = dev;

	n->gone = n->rx_starved = n->tx_blocked = false;
	for (unsigned i = 0; i < QUEUES; i++)
		bucket_init(&n->buckets[i], n->rate, clock_ns());
	return virtio_thread_begin(&n->thread, n->mmio, &work, n);
}

static void net_reset(void *dev)
{
	struct virtio_net *n = dev;

	virtio_thread_end(&n->thread);
}

static const void *net_config(void *dev)
{
	const struct virtio_net *n = dev;

	return &n->config;
}

static void net_free(void *dev)
{
	struct virtio_net *n = dev;

	for (unsigned i = 0; i < QUEUES; i++)
		fd_close(n->timers[i]);
	net_stream_done(&n->stream);
	free(n);
}

static const struct virtio_ops net_ops = {
	.name = "net",
	.device_id = NET_DEVICE_ID,
	.queue_size = NET_QUEUE_SIZE,
	.features = F_MTU | F_MAC,
	.config_len = sizeof(struct net_config),
	.config = net_config,
	.activate = net_activate,
	.reset = net_reset,
	.free = net_free,
};

static int make(struct virtio_net *n, const struct virtio_net_config *cfg,
		const struct virtio_bus *bus, uint64_t gpa, unsigned gsi)
{
	int r;

	n->rate = cfg->rate;
	n->config.mtu = cfg->mtu;
	memcpy(n->config.mac, cfg->mac, sizeof(n->config.mac));
	n->stream.fd = -1;
	for (unsigned i = 0; i < QUEUES; i++)
		n->timers[i] = -1;
	r = net_stream_init(&n->stream, cfg->fd);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < QUEUES; i++) {
		n->timers[i] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		if (n->timers[i] < 0)
			return err_sys("virtio net: timer");
	}
	return virtio_mmio_new(bus, gpa, gsi, &net_ops, QUEUES, n, &n->mmio);
}

int virtio_net_new(const struct virtio_net_config *cfg, const struct virtio_bus *bus, uint64_t gpa,
		   unsigned gsi, struct virtio_net **ret_net, struct virtio_mmio **ret)
{
	struct virtio_net *n;
	int r;

	if (cfg->mtu < VIRTIO_NET_MTU_MIN)
		return err(-EINVAL, "virtio net: an MTU is %u to 65535 bytes, not %u",
			   VIRTIO_NET_MTU_MIN, cfg->mtu);
	n = new_head0(struct virtio_net, chain);
	if (!n)
		return err(-ENOMEM, "virtio net: no memory");
	r = make(n, cfg, bus, gpa, gsi);
	if (r < 0) {
		net_free(n);
		return r;
	}
	*ret = n->mmio;
	*ret_net = n;
	return 0;
}

void virtio_net_stats(const struct virtio_net *n, struct virtio_net_stats *ret)
{
	const struct virtio_net_stats *s = &n->stats;

	ret->rx_frames = count_get(&s->rx_frames);
	ret->rx_bytes = count_get(&s->rx_bytes);
	ret->tx_frames = count_get(&s->tx_frames);
	ret->tx_bytes = count_get(&s->tx_bytes);
	ret->dropped = count_get(&s->dropped);
}
