/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of the vsock device: a stream socket of the host's on one side, packets with credit
 * on the other. What the guest sends goes to the socket at once, or waits in a buffer of the size
 * that the guest was told; what the host sends stays in the socket until the guest has room.
 */
#include "virtio/vsock.h"

#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "virtio/iov.h"
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BUDGET	  16		       /* packets to the guest, then others have their turn */
#define PORTS_MIN UINT32_C(0x40000000) /* ours: far from those that servers use */
#define PACKET	  65536u	       /* bytes of one packet to the guest */

/* ---- life ---- */

struct vsock_conn *vsock_conn_new(struct virtio_vsock *v, enum vsock_state state, int fd)
{
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++) {
		struct vsock_conn *c = &v->conns[i];

		if (c->state != VSOCK_FREE)
			continue;
		v->met = true;
		*c = (struct vsock_conn){ .vsock = v,
					  .state = state,
					  .generation = (c->generation + 1) & 0x7fff,
					  .fd = fd,
					  .buf = v->buffers + (size_t)i * VSOCK_BUFFER };
		return c;
	}
	fd_close(fd);
	return NULL;
}

struct vsock_conn *vsock_conn_find(struct virtio_vsock *v, uint32_t host_port, uint32_t guest_port)
{
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++) {
		struct vsock_conn *c = &v->conns[i];

		if (c->state >= VSOCK_REQUESTED && c->state != VSOCK_DRAINING &&
		    c->host_port == host_port && c->guest_port == guest_port)
			return c;
	}
	return NULL;
}

static void close_host(struct vsock_conn *c)
{
	if (c->watched)
		virtio_thread_unwatch(&c->vsock->thread, c->fd);
	c->watched = 0;
	c->fd = fd_close(c->fd);
	c->len = 0;
}

void vsock_conn_free(struct vsock_conn *c)
{
	close_host(c);
	c->todo = 0;
	c->state = VSOCK_FREE;
}

void vsock_conn_die(struct vsock_conn *c, unsigned todo)
{
	close_host(c);
	c->todo = todo;
	c->state = VSOCK_DYING;
}

/* ---- what is waited for ---- */

/* What the guest has room for, by its own word. */
static uint32_t credit(const struct vsock_conn *c)
{
	uint32_t flying = c->sent - c->peer_fwd;

	return flying < c->peer_alloc ? c->peer_alloc - flying : 0;
}

static bool may_read(const struct vsock_conn *c)
{
	if (c->state == VSOCK_HELLO)
		return true;
	return c->state == VSOCK_UP && !c->ended && !(c->shutdown & VSOCK_NO_RECEIVE) &&
	       !c->vsock->rx_starved && credit(c);
}

/* A socket that has hung up is always ready: it is watched only when that leads to something. */
void vsock_conn_watch(struct vsock_conn *c)
{
	uint32_t events = (may_read(c) ? EPOLLIN : 0) | (c->len ? EPOLLOUT : 0);
	struct virtio_thread *t = &c->vsock->thread;

	if (c->fd < 0)
		return;
	if (!events && !c->hung_up)
		events = EPOLLERR; /* as good as none: that it hangs up is told in any case */
	if (events == c->watched)
		return;
	if (!events)
		virtio_thread_unwatch(t, c->fd);
	else if (!c->watched)
		virtio_thread_watch(t, c->fd, events, VSOCK_TAG(c));
	else
		virtio_thread_rewatch(t, c->fd, events, VSOCK_TAG(c));
	c->watched = events;
}

/* ---- packets that wait ---- */

static struct vsock_header header(const struct vsock_conn *c, enum vsock_op op)
{
	return (struct vsock_header){ .src_cid = VSOCK_HOST_CID,
				      .dst_cid = c->vsock->config.guest_cid,
				      .src_port = c->host_port,
				      .dst_port = c->guest_port,
				      .type = VSOCK_TYPE_STREAM,
				      .op = (uint16_t)op,
				      .flags = op == VSOCK_OP_SHUTDOWN ? c->told : 0,
				      .buf_alloc = VSOCK_BUFFER,
				      .fwd_cnt = c->fwd };
}

void vsock_conn_sent(struct vsock_conn *c, const struct vsock_header *h)
{
	c->fwd_told = h->fwd_cnt;
	c->todo &= ~(unsigned)VSOCK_TODO_CREDIT;
	c->sent += h->len;
	count_add(&c->vsock->stats.in_bytes, h->len);
}

bool vsock_conn_todo(const struct vsock_conn *c, struct vsock_header *ret, unsigned *ret_todo)
{
	static const struct {
		unsigned todo;
		enum vsock_op op;
	} order[] = {
		{ VSOCK_TODO_REQUEST, VSOCK_OP_REQUEST },
		{ VSOCK_TODO_RESPONSE, VSOCK_OP_RESPONSE },
		{ VSOCK_TODO_CREDIT, VSOCK_OP_CREDIT_UPDATE },
		{ VSOCK_TODO_ASK, VSOCK_OP_CREDIT_REQUEST },
		{ VSOCK_TODO_SHUTDOWN, VSOCK_OP_SHUTDOWN },
		{ VSOCK_TODO_RST, VSOCK_OP_RST },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		if (!(c->todo & order[i].todo))
			continue;
		*ret = header(c, order[i].op);
		*ret_todo = order[i].todo;
		return true;
	}
	return false;
}

/* ---- from the guest to the host ---- */

static void forwarded(struct vsock_conn *c, uint32_t n)
{
	c->fwd += n;
	if (c->fwd - c->fwd_told >= VSOCK_BUFFER / 4 && c->state == VSOCK_UP)
		c->todo |= VSOCK_TODO_CREDIT;
	count_add(&c->vsock->stats.out_bytes, n);
}

static ssize_t send_now(const struct vsock_conn *c, struct iovec *iov, unsigned n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t done;

	do
		done = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	return done < 0 ? (errno == EAGAIN ? 0 : -errno) : done;
}

static void keep(struct vsock_conn *c, const uint8_t *data, size_t len)
{
	while (len) {
		uint32_t end = (c->at + c->len) % VSOCK_BUFFER;
		size_t m = MIN(len, (size_t)(VSOCK_BUFFER - end));

		memcpy(c->buf + end, data, m);
		c->len += (uint32_t)m;
		data += m;
		len -= m;
	}
}

/* The guest sends no more, and the host has it all. */
static void finish(struct vsock_conn *c)
{
	if (c->len)
		return;
	if (c->state == VSOCK_DRAINING)
		vsock_conn_free(c);
	else if (c->shutdown == (VSOCK_NO_SEND | VSOCK_NO_RECEIVE))
		vsock_conn_die(c, VSOCK_TODO_RST);
	else if (c->shutdown & VSOCK_NO_SEND)
		shutdown(c->fd, SHUT_WR);
}

/* Nobody reads on the host: the guest need not send more. */
static void unread(struct vsock_conn *c)
{
	if (c->state == VSOCK_DRAINING) {
		vsock_conn_free(c);
		return;
	}
	c->told = VSOCK_NO_SEND | VSOCK_NO_RECEIVE;
	vsock_conn_die(c, VSOCK_TODO_SHUTDOWN);
}

static void drain(struct vsock_conn *c)
{
	while (c->len) {
		struct iovec iov = { c->buf + c->at, MIN(c->len, VSOCK_BUFFER - c->at) };
		ssize_t n = send_now(c, &iov, 1);

		if (n < 0)
			unread(c);
		if (n <= 0)
			return;
		c->at = (c->at + (uint32_t)n) % VSOCK_BUFFER;
		c->len -= (uint32_t)n;
		forwarded(c, (uint32_t)n);
	}
	finish(c);
}

/* Of the guest's bytes what the socket takes, the rest into the buffer, which has room for it. */
static void take_data(struct vsock_conn *c, uint32_t len, struct iovec *iov, unsigned n)
{
	ssize_t done = 0;

	if (len > VSOCK_BUFFER - c->len || (c->shutdown & VSOCK_NO_SEND)) {
		vsock_conn_die(c, VSOCK_TODO_RST);
		return;
	}
	if (!c->len)
		done = send_now(c, iov, n);
	if (done < 0) {
		unread(c);
		return;
	}
	forwarded(c, (uint32_t)done);
	n = iov_slice(iov, n, (uint64_t)done, len, iov, n);
	for (unsigned i = 0; i < n; i++)
		keep(c, iov[i].iov_base, iov[i].iov_len);
}

/* ---- from the host to the guest ---- */

static size_t iov_total(const struct iovec *iov, size_t n)
{
	size_t total = 0;

	while (n)
		total += iov[--n].iov_len;
	return total;
}

static uint32_t receive(void *ctx, struct iovec *iov, unsigned n)
{
	struct vsock_conn *c = ctx;
	struct msghdr m = { .msg_iov = iov };
	ssize_t done;

	m.msg_iovlen = iov_slice(iov, n, 0, MIN(credit(c), PACKET), iov, n);
	do
		done = recvmsg(c->fd, &m, MSG_DONTWAIT);
	while (done < 0 && errno == EINTR);
	c->ended = done == 0 || (done < 0 && errno != EAGAIN);
	c->drained = done < (ssize_t)(iov_total(iov, m.msg_iovlen));
	return done > 0 ? (uint32_t)done : 0;
}

/* The host's side has ended, in one direction or both. */
static void host_ended(struct vsock_conn *c)
{
	if (c->hung_up && !c->len) {
		unread(c);
		return;
	}
	c->told = VSOCK_NO_SEND;
	c->todo |= VSOCK_TODO_SHUTDOWN;
}

static int pass_on(struct vsock_conn *c)
{
	int r = 1;

	c->drained = false;
	for (int i = 0; r > 0 && !c->drained && i < BUDGET && may_read(c); i++) {
		struct vsock_header h = header(c, VSOCK_OP_RW);

		r = vsock_send(c->vsock, &h, receive, c);
		if (r > 0)
			vsock_conn_sent(c, &h);
	}
	if (r >= 0 && c->ended)
		host_ended(c);
	else if (r >= 0 && !credit(c) && !c->asked) {
		c->asked = true;
		c->todo |= VSOCK_TODO_ASK;
	}
	return r < 0 ? r : 0;
}

/* ---- the host's client says where to: "CONNECT PORT\n" ---- */

static uint32_t free_port(struct virtio_vsock *v, uint32_t guest_port)
{
	do
		v->next_port = v->next_port < PORTS_MIN ? PORTS_MIN : v->next_port + 1;
	while (vsock_conn_find(v, v->next_port, guest_port));
	return v->next_port;
}

static bool parse_line(const char *line, uint32_t *ret)
{
	const char *digits = str_after(line, "CONNECT ");
	uint64_t port;

	if (!digits || str_u64(digits, 0, UINT32_MAX, &port) < 0) {
		err_clear();
		return false;
	}
	*ret = (uint32_t)port;
	return true;
}

/* A byte at a time: what comes behind the line is the guest's. */
static void hear_line(struct vsock_conn *c)
{
	char *p;

	for (;;) {
		ssize_t n;

		p = &c->line[c->line_len];
		n = recv(c->fd, p, 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || (*p != '\n' && ++c->line_len == VSOCK_LINE_MAX)) {
			vsock_conn_free(c);
			return;
		}
		if (*p == '\n')
			break;
	}
	*p = '\0';
	if (!parse_line(c->line, &c->guest_port)) {
		vsock_conn_free(c);
		return;
	}
	c->host_port = free_port(c->vsock, c->guest_port);
	c->state = VSOCK_REQUESTED;
	c->todo = VSOCK_TODO_REQUEST;
}

static void accepted(struct vsock_conn *c)
{
	char line[VSOCK_LINE_MAX];
	int len = snprintf(line, sizeof(line), "OK %u\n", c->host_port);
	struct iovec iov = { line, (size_t)len };

	if (send_now(c, &iov, 1) != len) {
		vsock_conn_die(c, VSOCK_TODO_RST);
		return;
	}
	c->state = VSOCK_UP;
	count_add(&c->vsock->stats.connections, 1);
}

/* ---- what happens ---- */

int vsock_conn_event(struct vsock_conn *c, uint32_t events)
{
	int r = 0;

	c->hung_up = c->hung_up || (events & (EPOLLHUP | EPOLLERR));
	if (c->state == VSOCK_HELLO)
		hear_line(c);
	if (c->state == VSOCK_REQUESTED && c->hung_up)
		vsock_conn_die(c, c->todo & VSOCK_TODO_REQUEST ? 0 : VSOCK_TODO_RST);
	if ((c->state == VSOCK_UP || c->state == VSOCK_DRAINING) && c->len)
		drain(c);
	if (c->state == VSOCK_UP && c->hung_up && c->ended)
		host_ended(c);
	else if (c->state == VSOCK_UP && may_read(c))
		r = pass_on(c);
	return r;
}

static void guest_shut(struct vsock_conn *c, uint32_t flags)
{
	c->shutdown |= flags & (VSOCK_NO_SEND | VSOCK_NO_RECEIVE);
	if (c->shutdown & VSOCK_NO_RECEIVE)
		shutdown(c->fd, SHUT_RD);
	finish(c);
}

/* It is gone for the guest; what it has sent before is still the host's to read. */
static void guest_reset(struct vsock_conn *c)
{
	if (c->state != VSOCK_UP || !c->len) {
		vsock_conn_free(c);
		return;
	}
	c->state = VSOCK_DRAINING;
	c->todo = 0;
}

void vsock_conn_packet(struct vsock_conn *c, const struct vsock_header *h, struct iovec *iov,
		       unsigned n)
{
	if (h->op == VSOCK_OP_RST) {
		guest_reset(c);
		return;
	}
	if (c->state == VSOCK_DYING) /* it will hear so */
		return;
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	c->asked = c->asked && !credit(c);
	if (c->state == VSOCK_REQUESTED && h->op == VSOCK_OP_RESPONSE)
		accepted(c);
	else if (c->state == VSOCK_UP && h->op == VSOCK_OP_RW)
		take_data(c, h->len, iov, n);
	else if (c->state == VSOCK_UP && h->op == VSOCK_OP_SHUTDOWN)
		guest_shut(c, h->flags);
	else if (c->state == VSOCK_UP && h->op == VSOCK_OP_CREDIT_REQUEST)
		c->todo |= VSOCK_TODO_CREDIT;
	else if (c->state != VSOCK_UP || h->op != VSOCK_OP_CREDIT_UPDATE)
		vsock_conn_die(c, VSOCK_TODO_RST);
}
