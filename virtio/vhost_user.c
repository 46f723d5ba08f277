/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user back end: the front end's messages. Whatever message changes what the device's
 * threads use stops them first; they end what they have in hand, so a ring goes on where its base
 * says.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "virtio/vhost_user_device.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

/*
 * Requests, flags and bits: vhost-user.rst, "Front-end message types", "Header", "Protocol
 * features".
 */
enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
};

#define FLAG_VERSION_MASK 3u
#define FLAG_VERSION	  1u
#define FLAG_REPLY	  4u
#define FLAG_NEED_REPLY	  8u

#define PROTOCOL_F_MQ	     (UINT64_C(1) << 0)
#define PROTOCOL_F_REPLY_ACK (UINT64_C(1) << 3)
#define FEATURES                                                            \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | \
	 VHOST_USER_F_PROTOCOL_FEATURES)
#define PROTOCOL_F_CONFIG (UINT64_C(1) << 9)

#define CONFIG_MAX 256u /* VHOST_USER_MAX_CONFIG_SIZE */

#define VRING_NOFD	0x100u /* of the u64 of KICK, CALL and ERR; bits 0-7 are the queue */
#define MESSAGE_SECONDS 10     /* that a message once begun may take */

struct header {
	uint32_t request, flags, size;
};

union payload {
	uint64_t u64;
	struct {
		uint32_t index, num;
	} state;
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr;
	struct {
		uint32_t n, padding;
		struct vhost_user_region regions[VHOST_USER_REGIONS_MAX];
	} mem;
	struct {
		uint32_t off, len, flags;
		uint8_t data[CONFIG_MAX];
	} config;
};

struct message {
	const struct kind *kind; /* once its header was checked */
	struct header h;
	union payload p;
	int fds[VHOST_USER_REGIONS_MAX];
	size_t nfds;
};

/* ---- messages ---- */

#define SIZE_CONFIG(len) ((uint64_t)offsetof(union payload, config.data) + (len))
#define REPLY_AS_ASKED	 UINT16_MAX

static int no_such_ring(void)
{
	return err(-EPROTO, "vhost-user: no such ring");
}

/*
 * An eventfd and nothing else: others may block, or be readable for ever. It has no file type, as
 * all that the kernel makes without a name, and of these it alone takes eight bytes of zero, which
 * add nothing. There may be no /proc to ask.
 */
static int eventfd_check(int fd)
{
	const uint64_t zero = 0;
	struct stat st;
	int r = fd_nonblock(fd, true);

	if (r < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) ||
	    write(fd, &zero, sizeof(zero)) != sizeof(zero))
		return err(-EPROTO, "vhost-user: a descriptor that is no eventfd");
	return 0;
}

/* KICK, CALL, ERR: the ring, and its eventfd in m->fds if there is one. */
static int ring_fd(struct vhost_user *u, const struct message *m, unsigned *ret)
{
	uint64_t i = m->p.u64 & 0xff;

	if (i >= u->nqueues || m->p.u64 & ~UINT64_C(0x1ff))
		return no_such_ring();
	if (m->nfds != !(m->p.u64 & VRING_NOFD))
		return err(-EPROTO, "vhost-user: an eventfd too many or too few");
	*ret = (unsigned)i;
	return m->nfds ? eventfd_check(m->fds[0]) : 0;
}

static int set_kick(struct vhost_user *u, struct message *m)
{
	unsigned i;
	int r = ring_fd(u, m, &i);

	if (r < 0)
		return r;
	if (!m->nfds)
		return err(-EPROTO, "vhost-user: rings without kicks are not served");
	/* The window owns the number; what it stands for is the front end's from now on. */
	if (dup3(m->fds[0], virtio_mmio_queue(u->window, i)->kick_fd, O_CLOEXEC) < 0)
		return err_sys("vhost-user: kick");
	u->rings[i].started = true;
	if (!(u->features & VHOST_USER_F_PROTOCOL_FEATURES))
		u->rings[i].enabled = true; /* "Ring states" */
	return 0;
}

static int set_call(struct vhost_user *u, struct message *m)
{
	unsigned i;
	int r = ring_fd(u, m, &i);

	if (r < 0)
		return r;
	fd_close(u->rings[i].call_fd);
	u->rings[i].call_fd = m->nfds ? take_fd(m->fds[0]) : -1;
	return 0;
}

static int set_err(struct vhost_user *u, struct message *m)
{
	unsigned i;

	return ring_fd(u, m, &i); /* we close the connection instead */
}

static int set_addr(struct vhost_user *u, struct message *m)
{
	struct vring *v = &u->rings[m->p.addr.index];

	if (m->p.addr.flags)
		return err(-EPROTO, "vhost-user: logging was not negotiated");
	v->desc = m->p.addr.desc;
	v->avail = m->p.addr.avail;
	v->used = m->p.addr.used;
	v->addressed = true;
	return 0;
}

static int set_mem(struct vhost_user *u, struct message *m)
{
	uint32_t n = m->p.mem.n;

	if (n > VHOST_USER_REGIONS_MAX || m->nfds != n ||
	    m->h.size != offsetof(union payload, mem.regions) + n * sizeof(m->p.mem.regions[0]))
		return err(-EPROTO, "vhost-user: malformed memory table");
	return vhost_user_mem_map(&u->mem, m->p.mem.regions, m->fds, n);
}

static int set_features(struct vhost_user *u, struct message *m)
{
	if (m->p.u64 & ~FEATURES)
		return err(-EPROTO, "vhost-user: a feature that was not offered");
	u->features = m->p.u64;
	return 0;
}

/* A front end that has the configuration itself would wonder at one of ours. */
static uint64_t protocol_features(const struct vhost_user *u)
{
	return PROTOCOL_F_MQ | PROTOCOL_F_REPLY_ACK | (u->config_len ? PROTOCOL_F_CONFIG : 0);
}

static int set_protocol(struct vhost_user *u, struct message *m)
{
	if (m->p.u64 & ~protocol_features(u))
		return err(-EPROTO, "vhost-user: a protocol feature that was not offered");
	u->protocol = m->p.u64;
	return 0;
}

static int set_num(struct vhost_user *u, struct message *m)
{
	if (m->p.state.num > VIRTQ_MAX)
		return err(-EPROTO, "vhost-user: a ring of %u entries", m->p.state.num);
	u->rings[m->p.state.index].num = m->p.state.num;
	return 0;
}

static int set_base(struct vhost_user *u, struct message *m)
{
	if (m->p.state.num > UINT16_MAX)
		return err(-EPROTO, "vhost-user: a ring that begins at %u", m->p.state.num);
	u->rings[m->p.state.index].base = (uint16_t)m->p.state.num;
	return 0;
}

static int set_enable(struct vhost_user *u, struct message *m)
{
	if (m->p.state.num > 1)
		return err(-EPROTO, "vhost-user: a ring is enabled or not");
	u->rings[m->p.state.index].enabled = m->p.state.num;
	return 0;
}

static int get_base(struct vhost_user *u, struct message *m)
{
	struct vring *v = &u->rings[m->p.state.index];

	u->taken_back |= v->started;
	v->started = v->ready = false;
	m->p.state.num = v->base;
	return 0;
}

static int get_features(_unused_ struct vhost_user *u, struct message *m)
{
	m->p.u64 = FEATURES;
	return 0;
}

static int get_protocol(struct vhost_user *u, struct message *m)
{
	m->p.u64 = protocol_features(u);
	return 0;
}

static int get_queues(struct vhost_user *u, struct message *m)
{
	m->p.u64 = u->nqueues;
	return 0;
}

/* Its answer has the length of the question. */
static int get_config(struct vhost_user *u, struct message *m)
{
	const uint32_t off = m->p.config.off, len = m->p.config.len;

	if (m->h.size != SIZE_CONFIG(len) || off > u->config_len || len > u->config_len - off)
		return err(-EPROTO, "vhost-user: bytes of a configuration that is not there");
	vhost_user_config(u, off, m->p.config.data, len);
	return 0;
}

static int nothing(_unused_ struct vhost_user *u, _unused_ struct message *m)
{
	return 0;
}

#define SIZE_STATE sizeof(((union payload *)0)->state)
#define SIZE_ADDR  sizeof(((union payload *)0)->addr)
#define SIZE_MEM   sizeof(((union payload *)0)->mem)

/* Each message: its payload, the descriptors that may come with it, what is to be done. */
static const struct kind {
	uint16_t size, reply; /* bytes; reply 0 = none of its own, or REPLY_AS_ASKED */
	uint8_t fds;
	bool fewer; /* size is a maximum */
	bool stops; /* the device, and starts it again afterwards */
	bool ring;  /* begins with the index of a ring */
	int (*handle)(struct vhost_user *u, struct message *m);
} kinds[] = {
	[GET_FEATURES] = { 0, 8, .handle = get_features },
	[SET_FEATURES] = { 8, .stops = true, .handle = set_features },
	[SET_OWNER] = { 0, .handle = nothing },
	[RESET_OWNER] = { 0, .handle = nothing }, /* deprecated: "back-ends should ignore" it */
	[SET_MEM_TABLE] = { SIZE_MEM, .fds = VHOST_USER_REGIONS_MAX, .fewer = true, .stops = true,
			    .handle = set_mem },
	[SET_VRING_NUM] = { SIZE_STATE, .stops = true, .ring = true, .handle = set_num },
	[SET_VRING_ADDR] = { SIZE_ADDR, .stops = true, .ring = true, .handle = set_addr },
	[SET_VRING_BASE] = { SIZE_STATE, .stops = true, .ring = true, .handle = set_base },
	[GET_VRING_BASE] = { SIZE_STATE, SIZE_STATE, .stops = true, .ring = true,
			     .handle = get_base },
	[SET_VRING_KICK] = { 8, .fds = 1, .stops = true, .handle = set_kick },
	[SET_VRING_CALL] = { 8, .fds = 1, .stops = true, .handle = set_call },
	[SET_VRING_ERR] = { 8, .fds = 1, .handle = set_err },
	[GET_PROTOCOL_FEATURES] = { 0, 8, .handle = get_protocol },
	[SET_PROTOCOL_FEATURES] = { 8, .handle = set_protocol },
	[GET_QUEUE_NUM] = { 0, 8, .handle = get_queues },
	[GET_CONFIG] = { SIZE_CONFIG(CONFIG_MAX), REPLY_AS_ASKED, .fewer = true,
			 .handle = get_config },
	[SET_VRING_ENABLE] = { SIZE_STATE, .stops = true, .ring = true, .handle = set_enable },
};

static const struct kind *kind_of(const struct header *h)
{
	return h->request < ARRAY_SIZE(kinds) && kinds[h->request].handle ? &kinds[h->request] :
									    NULL;
}

/* All that can be said of a message before its payload has come. */
static int header_check(struct message *m)
{
	const struct kind *k = kind_of(&m->h);

	if ((m->h.flags & FLAG_VERSION_MASK) != FLAG_VERSION || m->h.flags & FLAG_REPLY)
		return err(-EPROTO, "vhost-user: malformed message");
	if (!k)
		return err(-EPROTO, "vhost-user: request %u is not known", m->h.request);
	if (m->h.size > k->size || (m->h.size < k->size && !k->fewer) || m->nfds > k->fds)
		return err(-EPROTO, "vhost-user: request %u with %u bytes and %zu descriptors",
			   m->h.request, m->h.size, m->nfds);
	m->kind = k;
	return 0;
}

static int reply(int sock, struct message *m, uint32_t size)
{
	uint8_t wire[sizeof(m->h) + sizeof(m->p)]; /* no padding between the two */
	ssize_t len = (ssize_t)sizeof(m->h) + size;

	m->h.flags = FLAG_VERSION | FLAG_REPLY;
	m->h.size = size;
	memcpy(wire, &m->h, sizeof(m->h));
	memcpy(wire + sizeof(m->h), &m->p, size);
	if (fd_send(sock, wire, (size_t)len, NULL, 0) != len)
		return err(-EPIPE, "vhost-user: the front end takes no reply");
	return 0;
}

static int message_handle(struct vhost_user *u, int sock, struct message *m)
{
	const struct kind *k = m->kind;
	bool ack = (m->h.flags & FLAG_NEED_REPLY) && (u->protocol & PROTOCOL_F_REPLY_ACK);
	int r;

	if (k->ring && m->p.state.index >= u->nqueues)
		return no_such_ring();
	if (k->stops)
		vhost_user_stop(u);
	r = k->handle(u, m);
	if (r == 0)
		r = vhost_user_start(u);
	if (r < 0)
		return r;
	if (k->reply)
		return reply(sock, m, k->reply == REPLY_AS_ASKED ? m->h.size : k->reply);
	m->p.u64 = 0;
	return ack ? reply(sock, m, sizeof(m->p.u64)) : 0;
}

/*
 * 1 = all of @len bytes, 0 = the end is asked for, or an error: however a front end deals them out,
 * they come before @deadline.
 */
static int receive(int sock, int stop_fd, void *data, size_t len, uint64_t deadline)
{
	struct pollfd fds[] = { { sock, POLLIN, 0 }, { stop_fd, POLLIN, 0 } };
	uint64_t now;
	char *at = data;

	while (len) {
		ssize_t n = recv(sock, at, len, MSG_DONTWAIT);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		now = clock_ns();
		if (n == 0 || (errno != EAGAIN && errno != EINTR) || now >= deadline)
			return -EPROTO;
		poll(fds, ARRAY_SIZE(fds), (int)((deadline - now) / 1000000) + 1);
		if (fds[1].revents)
			return 0;
	}
	return 1;
}

/*
 * 1 = a message, 0 = the front end has gone or we are to go; the descriptors are the caller's
 * either way.
 */
static int message_read(int sock, int stop_fd, struct message *m)
{
	const uint64_t deadline = clock_ns() + MESSAGE_SECONDS * UINT64_C(1000000000);
	ssize_t n = fd_recv(sock, &m->h, sizeof(m->h), m->fds, ARRAY_SIZE(m->fds), &m->nfds);
	int r;

	if (n == 0)
		return 0;
	r = n < 0 ? -EPROTO :
		    receive(sock, stop_fd, (char *)&m->h + n, sizeof(m->h) - (size_t)n, deadline);
	if (r <= 0)
		return r < 0 ? err(r, "vhost-user: malformed message") : 0;
	r = header_check(m);
	if (r < 0)
		return r;
	r = receive(sock, stop_fd, &m->p, m->h.size, deadline);
	return r < 0 ? err(r, "vhost-user: a message was cut off") : r;
}

static int message_serve(struct vhost_user *u, int sock, int stop_fd)
{
	struct message m = { .nfds = 0 };
	int r = message_read(sock, stop_fd, &m);

	if (r > 0) {
		r = message_handle(u, sock, &m);
		r = r < 0 ? r : 1;
	}
	for (size_t i = 0; i < m.nfds; i++)
		fd_close(m.fds[i]);
	return r;
}

/* ---- a connection ---- */

static int connection_serve(struct vhost_user *u, int sock, int stop_fd)
{
	struct pollfd fds[] = {
		{ .fd = sock, .events = POLLIN },
		{ .fd = u->broken_fd, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN },
	};
	int r = 1;

	while (r > 0) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys("vhost-user: poll");
		}
		if (fds[2].revents)
			return 0;
		if (fds[1].revents)
			return err(-EPROTO, "vhost-user: malformed ring");
		if (fds[0].revents)
			r = message_serve(u, sock, stop_fd);
		if (u->until_reset && u->taken_back)
			return 0;
	}
	return r;
}

void vhost_user_until_reset(struct vhost_user *u)
{
	u->until_reset = true;
}

int vhost_user_serve(struct vhost_user *u, int sock, int stop_fd)
{
	const struct timeval patience = { .tv_sec = MESSAGE_SECONDS };
	int r;

	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	r = connection_serve(u, sock, stop_fd);
	vhost_user_reset(u);
	return r;
}
