/* SPDX-License-Identifier: Apache-2.0 */
/* A vsock device, the driver of a guest that says what it likes, and clients of the host. */
#ifndef TESTS_VIRTIO_VSOCK_H
#define TESTS_VIRTIO_VSOCK_H

#include "tests/virtio/driver.h"

#include "virtio/vsock.h"
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define HEAD   ((uint32_t)sizeof(struct vsock_header))
#define PACKET 4096u /* bytes of a buffer that the guest gives */

struct fixture {
	struct driver d;
	struct virtio_vsock *v;
	struct sockaddr_un address;
	int listen_fd;
	int server; /* what the guest's connections lead to: this end of a pair */
	unsigned asked;
	uint64_t out; /* where the guest writes its packets */
	uint64_t in[64];
	struct vsock_header last;
};

/* Port 7 has a server. */
static inline int connect_server(void *ctx, uint32_t port)
{
	struct fixture *f = ctx;
	int pair[2];

	f->asked++;
	if (port != 7 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -ECONNREFUSED;
	f->server = pair[0];
	return pair[1];
}

static inline void give(struct fixture *f, unsigned i)
{
	uint16_t head = ring_add(&f->d, &f->d.rings[VSOCK_RX], f->in[i], HEAD + PACKET, true);

	f->in[head] = f->in[i];
	reg_put(&f->d, R_NOTIFY, VSOCK_RX);
}

static inline void give_all(struct fixture *f)
{
	for (unsigned i = 0; i < 64; i++) {
		f->in[i] = driver_alloc(&f->d, HEAD + PACKET);
		ring_add(&f->d, &f->d.rings[VSOCK_RX], f->in[i], HEAD + PACKET, true);
	}
	reg_put(&f->d, R_NOTIFY, VSOCK_RX);
}

/* @when: as struct virtio_bus has it, NULL = none. */
static inline void start_on(struct fixture *f, int (*when)(void *ctx, int fd, void (*fn)(void *arg),
							   void *arg))
{
	struct virtio_vsock_config cfg = { .connect = connect_server, .ctx = f };

	*f = (struct fixture){ .server = -1 };
	f->address.sun_family = AF_UNIX;
	snprintf(f->address.sun_path, sizeof(f->address.sun_path), "/tmp/strata-vsock.%d",
		 (int)getpid());
	unlink(f->address.sun_path);
	f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_ok(bind(f->listen_fd, (struct sockaddr *)&f->address, sizeof(f->address)));
	assert_ok(listen(f->listen_fd, 100));
	cfg.listen_fd = f->listen_fd;
	driver_init(&f->d);
	f->d.bus.when = when;
	assert_ok(virtio_vsock_new(&cfg, &f->d.bus, 0xd0000000, 1, &f->v, &f->d.m));
	driver_start(&f->d, 0, VSOCK_QUEUES, 64);
	f->out = driver_alloc(&f->d, HEAD + VSOCK_BUFFER + 1);
}

static inline void start_without_buffers(struct fixture *f)
{
	start_on(f, NULL);
}

static inline void start(struct fixture *f)
{
	start_without_buffers(f);
	give_all(f);
}

/* After a reset: another driver, in memory that is as new. */
static inline void begin_again(struct fixture *f, uint64_t features)
{
	reg_put(&f->d, R_STATUS, 0);
	f->d.free = RAM_GPA;
	memset(f->d.ram, 0, RAM_SIZE);
	driver_start(&f->d, features, VSOCK_QUEUES, 64);
	f->out = driver_alloc(&f->d, HEAD + 100);
	give_all(f);
}

static inline void end(struct fixture *f)
{
	driver_done(&f->d);
	fd_close(f->listen_fd);
	fd_close(f->server);
	unlink(f->address.sun_path);
}

/* ---- the guest ---- */

static inline void send_header(struct fixture *f, const struct vsock_header *h)
{
	memcpy(driver_at(&f->d, f->out), h, sizeof(*h));
	ring_add(&f->d, &f->d.rings[VSOCK_TX], f->out, HEAD + h->len, false);
	reg_put(&f->d, R_NOTIFY, VSOCK_TX);
	driver_take(&f->d, VSOCK_TX);
}

static inline struct vsock_header answer(const struct vsock_header *to, enum vsock_op op)
{
	return (struct vsock_header){ .src_cid = VIRTIO_VSOCK_CID,
				      .dst_cid = VSOCK_HOST_CID,
				      .src_port = to->dst_port,
				      .dst_port = to->src_port,
				      .type = VSOCK_TYPE_STREAM,
				      .op = (uint16_t)op,
				      .buf_alloc = 1 << 20 };
}

/* A packet of the connection that the last one was of. */
static inline void say(struct fixture *f, enum vsock_op op, uint32_t flags)
{
	struct vsock_header h = answer(&f->last, op);

	h.flags = flags;
	send_header(f, &h);
}

static inline void say_data(struct fixture *f, const void *data, uint32_t len)
{
	struct vsock_header h = answer(&f->last, VSOCK_OP_RW);

	h.len = len;
	if (data)
		memcpy((uint8_t *)driver_at(&f->d, f->out) + HEAD, data, len);
	send_header(f, &h);
}

/* The next packet, which has to be @op; its bytes, valid until 63 more have come. */
static inline const char *hear(struct fixture *f, enum vsock_op op)
{
	struct ring_used_elem e = driver_take(&f->d, VSOCK_RX);
	const uint8_t *p = driver_at(&f->d, f->in[e.id]);

	memcpy(&f->last, p, sizeof(f->last));
	give(f, e.id);
	assert_int_equal(f->last.op, op);
	assert_int_equal(f->last.src_cid, VSOCK_HOST_CID);
	assert_int_equal(f->last.dst_cid, VIRTIO_VSOCK_CID);
	assert_int_equal(f->last.type, VSOCK_TYPE_STREAM);
	assert_int_equal(e.len, HEAD + f->last.len);
	return (const char *)p + HEAD;
}

/* The guest connects to @port, from @from. */
static inline void guest_connects(struct fixture *f, uint32_t from, uint32_t port)
{
	f->last = (struct vsock_header){ .src_port = port, .dst_port = from };
	say(f, VSOCK_OP_REQUEST, 0);
}

/* ---- the host ---- */

static inline int client(struct fixture *f, const char *line)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_ok(connect(fd, (struct sockaddr *)&f->address, sizeof(f->address)));
	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	return fd;
}

static inline void expect(int fd, const char *text)
{
	char got[256] = "";

	assert_int_equal(recv(fd, got, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(got, text);
}

static inline void expect_end(int fd)
{
	char byte;

	assert_true(recv(fd, &byte, 1, 0) <= 0);
}

/* A client of the host's at port 5 of the guest. */
static inline int connected(struct fixture *f)
{
	char line[32];
	int fd = client(f, "CONNECT 5\n");

	hear(f, VSOCK_OP_REQUEST);
	assert_int_equal(f->last.dst_port, 5);
	say(f, VSOCK_OP_RESPONSE, 0);
	snprintf(line, sizeof(line), "OK %u\n", f->last.src_port);
	expect(fd, line);
	return fd;
}

#endif
