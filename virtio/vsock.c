/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device (virtio 1.2, section 5.10): its queues and its life, in one thread. A packet of
 * no connection, or one that cannot be, is answered by RST and nothing else; what goes to the guest
 * is made when there is a buffer for it, never queued.
 */
#include "virtio/vsock.h"

#include "base/buf.h"
#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/iov.h"
#include "virtio/ring.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define VSOCK_DEVICE_ID	 19
#define VSOCK_QUEUE_SIZE 64
#define BUDGET		 64 /* packets of the guest's, then others have their turn */
#define BUFFERS		 ((size_t)VIRTIO_VSOCK_CONNS * VSOCK_BUFFER)

/* ---- to the guest ---- */

int vsock_send(struct virtio_vsock *v, struct vsock_header *h,
	       uint32_t (*recv)(void *ctx, struct iovec *iov, unsigned n), void *ctx)
{
	struct virtq *q = virtio_mmio_queue(v->mmio, VSOCK_RX);
	const struct mem *mem = virtio_mmio_mem(v->mmio);
	struct iovec iov[VIRTQ_CHAIN_MAX];
	int r = virtq_pop(q, mem, &v->chain);

	v->rx_starved = r == 0;
	if (r <= 0)
		return r;
	if (v->chain.out_len < sizeof(*h) + (recv != NULL)) {
		q->broken = true;
		return -EPROTO;
	}
	if (recv) {
		h->len = recv(ctx, iov,
			      iov_slice(v->chain.out, v->chain.nout, sizeof(*h), UINT32_MAX, iov,
					ARRAY_SIZE(iov)));
		if (!h->len) {
			virtq_unpop(q);
			return 0;
		}
	}
	iov_write(v->chain.out, v->chain.nout, h, sizeof(*h));
	r = virtq_push(q, mem, v->chain.head, (uint32_t)sizeof(*h) + h->len);
	return r < 0 ? r : 1;
}

static int send_refused(struct virtio_vsock *v)
{
	while (v->nrefused) {
		const struct vsock_key *k = &v->refused[v->nrefused - 1];
		struct vsock_header h = { .src_cid = VSOCK_HOST_CID,
					  .dst_cid = v->config.guest_cid,
					  .src_port = k->host_port,
					  .dst_port = k->guest_port,
					  .type = VSOCK_TYPE_STREAM,
					  .op = VSOCK_OP_RST };
		int r = vsock_send(v, &h, NULL, NULL);

		if (r <= 0)
			return r;
		v->nrefused--;
	}
	return 1;
}

static int send_todo(struct virtio_vsock *v, struct vsock_conn *c)
{
	struct vsock_header h;
	unsigned todo;

	while (vsock_conn_todo(c, &h, &todo)) {
		int r = vsock_send(v, &h, NULL, NULL);

		if (r <= 0)
			return r;
		c->todo &= ~todo;
		vsock_conn_sent(c, &h);
	}
	if (c->state == VSOCK_DYING)
		vsock_conn_free(c);
	return 1;
}

/* All that waits, as far as the guest has buffers: 0 or -EPROTO. */
static int send_waiting(struct virtio_vsock *v)
{
	int r = send_refused(v);

	for (unsigned i = 0; r > 0 && i < VIRTIO_VSOCK_CONNS; i++)
		if (v->conns[i].state != VSOCK_FREE)
			r = send_todo(v, &v->conns[i]);
	return r < 0 ? r : 0;
}

static int send_event(struct virtio_vsock *v)
{
	struct virtq *q = virtio_mmio_queue(v->mmio, VSOCK_EVENTS);
	const struct mem *mem = virtio_mmio_mem(v->mmio);
	const uint32_t event = VSOCK_EVENT_TRANSPORT_RESET;
	int r;

	if (!v->restored)
		return 0;
	r = virtq_pop(q, mem, &v->chain);
	if (r <= 0)
		return r;
	iov_write(v->chain.out, v->chain.nout, &event, sizeof(event));
	v->restored = false;
	r = virtq_push(q, mem, v->chain.head, sizeof(event));
	virtq_flush(q, mem);
	return r;
}

/* ---- from the guest ---- */

static void refuse(struct virtio_vsock *v, const struct vsock_header *h)
{
	count_add(&v->stats.refused, 1);
	v->met = true;
	v->refused[v->nrefused++] = (struct vsock_key){ h->dst_port, h->src_port };
}

static bool has_room(const struct virtio_vsock *v)
{
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++)
		if (v->conns[i].state == VSOCK_FREE)
			return true;
	return false;
}

/* The guest wants to be connected with a server of the host's. */
static void request(struct virtio_vsock *v, const struct vsock_header *h)
{
	struct vsock_conn *c = NULL;
	int fd = v->cfg.connect && has_room(v) ? v->cfg.connect(v->cfg.ctx, h->dst_port) :
						 -ECONNREFUSED;

	if (fd >= 0)
		c = vsock_conn_new(v, VSOCK_UP, fd);
	if (!c) {
		refuse(v, h);
		return;
	}
	c->host_port = h->dst_port;
	c->guest_port = h->src_port;
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	c->todo = VSOCK_TODO_RESPONSE;
	vsock_conn_watch(c);
	count_add(&v->stats.connections, 1);
}

/* What claims to be somebody else's, or for somebody else, is dropped. */
static void packet(struct virtio_vsock *v, const struct vsock_header *h, struct iovec *iov,
		   unsigned n)
{
	struct vsock_conn *c;

	if (h->src_cid != v->config.guest_cid || h->dst_cid != VSOCK_HOST_CID)
		return;
	c = h->type == VSOCK_TYPE_STREAM ? vsock_conn_find(v, h->dst_port, h->src_port) : NULL;
	if (c) {
		vsock_conn_packet(c, h, iov, n);
		vsock_conn_watch(c);
	} else if (h->type == VSOCK_TYPE_STREAM && h->op == VSOCK_OP_REQUEST) {
		request(v, h);
	} else if (h->op != VSOCK_OP_RST) {
		refuse(v, h);
	}
}

/* The chain at hand: 1, or -EPROTO for one that is no packet. */
static int take_packet(struct virtio_vsock *v, struct virtq *q)
{
	const struct virtq_chain *c = &v->chain;
	struct iovec iov[VIRTQ_CHAIN_MAX];
	struct vsock_header h;

	if (iov_read(c->in, c->nin, &h, sizeof(h)) != sizeof(h) || h.len > c->in_len - sizeof(h)) {
		q->broken = true;
		return -EPROTO;
	}
	packet(v, &h, iov, iov_slice(c->in, c->nin, sizeof(h), h.len, iov, ARRAY_SIZE(iov)));
	return 1;
}

/*
 * While there is no room for another refusal, packets stay in the queue: the guest has to give
 * buffers first.
 */
static int take_packets(struct virtio_vsock *v)
{
	struct virtq *q = virtio_mmio_queue(v->mmio, VSOCK_TX);
	const struct mem *mem = virtio_mmio_mem(v->mmio);
	int r = 1, i;

	for (i = 0; r > 0 && i < BUDGET; i++) {
		if (v->nrefused == ARRAY_SIZE(v->refused) &&
		    (send_waiting(v) < 0 || v->nrefused == ARRAY_SIZE(v->refused)))
			break;
		r = virtq_pop(q, mem, &v->chain);
		if (r > 0) {
			uint16_t head = v->chain.head;

			r = take_packet(v, q);
			if (r > 0 && virtq_push(q, mem, head, 0) < 0)
				r = -EPROTO;
		}
	}
	if (r > 0 && i == BUDGET)
		eventfd_write(q->kick_fd, 1);
	virtq_flush(q, mem);
	return r < 0 ? r : 0;
}

/* ---- from the host ---- */

static void watch_listener(struct virtio_vsock *v)
{
	bool room = has_room(v) && !v->deaf;

	if (v->cfg.listen_fd < 0 || room == v->listening)
		return;
	virtio_thread_rewatch(&v->thread, v->cfg.listen_fd, room ? EPOLLIN : 0, VSOCK_TAG_LISTEN);
	v->listening = room;
}

static void accept_client(struct virtio_vsock *v)
{
	int fd = accept4(v->cfg.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct vsock_conn *c = fd < 0 ? NULL : vsock_conn_new(v, VSOCK_HELLO, fd);

	if (c)
		vsock_conn_watch(c);
	v->deaf = fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
}

/* ---- the thread ---- */

/* The guest has given buffers, so there is something for everybody; refusals may have held it. */
static int buffers_given(struct virtio_vsock *v)
{
	int r;

	v->rx_starved = false;
	r = send_waiting(v);
	return r < 0 ? r : take_packets(v);
}

static int conn_event(struct virtio_vsock *v, uint32_t tag, uint32_t events)
{
	struct vsock_conn *c = &v->conns[(tag & 0xffff) - VSOCK_TAG_CONN];

	if (c->state == VSOCK_FREE || c->state == VSOCK_DYING || VSOCK_TAG(c) != tag)
		return 0;
	return vsock_conn_event(c, events);
}

static int handle(struct virtio_vsock *v, uint32_t tag, uint32_t events)
{
	if (tag == VSOCK_TAG_LISTEN) {
		accept_client(v);
		return 0;
	}
	v->deaf = false;
	if (tag >= VSOCK_TAG_CONN)
		return conn_event(v, tag, events);
	if (tag == VSOCK_RX)
		return buffers_given(v);
	return tag == VSOCK_TX ? take_packets(v) : send_event(v);
}

/* A ring that is malformed ends all of it. */
static void all_end(struct virtio_vsock *v)
{
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++)
		if (v->conns[i].state != VSOCK_FREE)
			vsock_conn_free(&v->conns[i]);
	v->nrefused = 0;
}

/* Queues, as bits: what the guest gives there, to be filled some day, wakes nobody. */
#define FILLED (1u << VSOCK_RX | 1u << VSOCK_EVENTS)

static void awake(struct virtio_vsock *v)
{
	for (unsigned i = 0; i < VSOCK_QUEUES && !v->awake; i++)
		if (FILLED >> i & 1)
			virtio_thread_rewatch(&v->thread, virtio_mmio_queue(v->mmio, i)->kick_fd,
					      VIRTIO_KICKED, i);
	v->awake = true;
}

static void vsock_event(void *ctx, uint32_t tag, uint32_t events)
{
	struct virtio_vsock *v = ctx;
	bool starved = v->rx_starved;
	int r;

	awake(v);
	r = handle(v, tag, events);

	if (r == 0)
		r = send_waiting(v);
	virtq_flush(virtio_mmio_queue(v->mmio, VSOCK_RX), virtio_mmio_mem(v->mmio));
	if (r < 0) {
		all_end(v);
		virtio_mmio_needs_reset(v->mmio);
	}
	/* Only the one at hand has changed, unless buffers came or went. */
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++) {
		struct vsock_conn *c = &v->conns[i];

		if (c->state != VSOCK_FREE && (starved != v->rx_starved || VSOCK_TAG(c) == tag))
			vsock_conn_watch(c);
	}
	watch_listener(v);
}

/* ---- life ---- */

static int watch_all(void *ctx)
{
	struct virtio_vsock *v = ctx;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < VSOCK_QUEUES; i++)
		r = virtio_thread_watch(&v->thread, virtio_mmio_queue(v->mmio, i)->kick_fd,
					v->restored || !(FILLED >> i & 1) ? VIRTIO_KICKED : 0, i);
	if (r == 0 && v->cfg.listen_fd >= 0)
		r = virtio_thread_watch(&v->thread, v->cfg.listen_fd, EPOLLIN, VSOCK_TAG_LISTEN);
	v->listening = true;
	return r;
}

/*
 * Once, when there is a driver. Buffers stay untouched until a host's client is slow: no memory is
 * spent on what is not used.
 */
static int conns_new(struct virtio_vsock *v)
{
	uint8_t *p;

	if (v->buffers)
		return 0;
	p = mmap(NULL, BUFFERS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	v->buffers = p;
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++)
		v->conns[i] = (struct vsock_conn){ .fd = -1 };
	return 0;
}

static int vsock_activate(void *dev)
{
	static const struct virtio_thread_work work = { vsock_event, watch_all, .late = true };
	struct virtio_vsock *v = dev;
	int r = conns_new(v);

	if (r < 0)
		return r;
	v->rx_starved = v->awake = false;
	if (v->restored)
		eventfd_write(virtio_mmio_queue(v->mmio, VSOCK_EVENTS)->kick_fd, 1);
	return virtio_thread_begin(&v->thread, v->mmio, &work, v);
}

static void vsock_reset(void *dev)
{
	struct virtio_vsock *v = dev;

	virtio_thread_end(&v->thread);
	all_end(v);
}

/* No connection outlives a snapshot, so there is nothing to save but that there was one. */
static int vsock_save(void *dev, struct buf *out)
{
	struct virtio_vsock *v = dev;
	uint8_t met = v->met;

	v->restored = v->met;
	buf_add(out, &met, sizeof(met));
	return 0;
}

static int vsock_load(void *dev, const uint8_t *data, size_t len)
{
	struct virtio_vsock *v = dev;

	if (len != 1 || *data > 1)
		return -EBADMSG;
	v->restored = v->met = *data;
	return 0;
}

static const void *vsock_config(void *dev)
{
	const struct virtio_vsock *v = dev;

	return &v->config;
}

static void vsock_free(void *dev)
{
	struct virtio_vsock *v = dev;

	if (v->buffers)
		munmap(v->buffers, BUFFERS);
	free(v);
}

static const struct virtio_ops vsock_ops = {
	.name = "vsock",
	.device_id = VSOCK_DEVICE_ID,
	.queue_size = VSOCK_QUEUE_SIZE,
	.filled = FILLED,
	.config_len = sizeof(((struct virtio_vsock *)NULL)->config),
	.config = vsock_config,
	.activate = vsock_activate,
	.reset = vsock_reset,
	.save = vsock_save,
	.load = vsock_load,
	.free = vsock_free,
};

int virtio_vsock_new(const struct virtio_vsock_config *cfg, const struct virtio_bus *bus,
		     uint64_t gpa, unsigned gsi, struct virtio_vsock **ret_vsock,
		     struct virtio_mmio **ret)
{
	struct virtio_vsock *v = new_head0(struct virtio_vsock, conns);
	int r;

	if (!v)
		return err(-ENOMEM, "virtio vsock: no memory");
	v->cfg = *cfg;
	v->config.guest_cid = VIRTIO_VSOCK_CID;
	r = virtio_mmio_new(bus, gpa, gsi, &vsock_ops, VSOCK_QUEUES, v, &v->mmio);
	if (r < 0) {
		vsock_free(v);
		return r;
	}
	*ret = v->mmio;
	*ret_vsock = v;
	return 0;
}

void virtio_vsock_stats(const struct virtio_vsock *v, struct virtio_vsock_stats *ret)
{
	const struct virtio_vsock_stats *s = &v->stats;

	ret->connections = count_get(&s->connections);
	ret->in_bytes = count_get(&s->in_bytes);
	ret->out_bytes = count_get(&s->out_bytes);
	ret->refused = count_get(&s->refused);
}
