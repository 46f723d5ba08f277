/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with one device of each kind, and a bare guest that drives one of them, and another
 * when that has been kicked (tests/microvm/devices.c has its instructions).
 */
#ifndef TESTS_MICROVM_DEVICES_H
#define TESTS_MICROVM_DEVICES_H

#include "microvm/microvm.h"

#include "base/err.h"
#include "microvm/vm.h"
#include "tests/microvm/bare.h"
#include "virtio/vsock.h"
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

/* Of the device that is tried: a queue and a buffer of its own, beside the other one's. */
#define TRY_DESC   0x7000u
#define TRY_AVAIL  0x8000u
#define TRY_USED   0x9000u
#define TRY_BUFFER 0xa000u
#define TRY_PAGE   0xb000u
#define GIVEN_UP   0x300000u /* of memory that no file is behind */

#define STATUS	    0x70u
#define FEATURES_OK 8u
#define NEEDS_RESET 0x40u
#define INDIRECT    (1u << 28) /* VIRTIO_F_INDIRECT_DESC */
#define WAIT_MS	    10000

#define FRAME 60u /* bytes, behind a head of 12 (virtio 1.2, 5.1.6) */
#define PORT  7u

extern const uint8_t guest_drives[], guest_drives_end[];
#define MARK_OK 3

/* The kinds, in the machine's order. */
enum { CONSOLE, FS, BLK, RNG, BALLOON, NET, VSOCK, KINDS };
static const char *const names[] = { "console", "fs", "blk", "rng", "balloon", "net", "vsock" };
/* Of each, the queue by which the guest asks for something. */
static const unsigned queues[] = { 1, 1, 0, 0, 0, 1, VSOCK_TX };

struct machine {
	struct image image;
	struct vm_fs fs;
	struct vm_disk disk;
	struct vm_net net;
	struct vm_vsock vsock;
	struct vm *v;
	int out[2], frames[2];
	_Atomic unsigned requests, port;
};

static inline ssize_t serve(void *ctx, _unused_ const struct iovec *in, _unused_ int nin,
			    const struct iovec *out, int nout)
{
	struct machine *m = ctx;

	m->requests++;
	return nout ? (ssize_t)MIN(out[0].iov_len, (size_t)10) : 0;
}

static inline int connect_port(void *ctx, uint32_t port)
{
	struct machine *m = ctx;

	m->port = port;
	return -ECONNREFUSED;
}

static inline void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	image_init(&m->image, guest_drives, guest_drives_end);
	assert_ok(pipe2(m->out, O_CLOEXEC | O_NONBLOCK));
	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, m->frames));
	m->disk.fd = memfd_create("disk", MFD_CLOEXEC);
	assert_ok(ftruncate(m->disk.fd, 4096));
	m->fs = (struct vm_fs){ .tag = "root", .serve = serve, .ctx = m };
	m->net = (struct vm_net){ .fd = m->frames[0], .mac = { 2 }, .mtu = 1500 };
	m->vsock = (struct vm_vsock){ -1, connect_port, m };
}

static inline void machine_done(struct machine *m)
{
	vm_free(m->v);
	for (unsigned i = 0; i < 2; i++) {
		fd_close(m->out[i]);
		fd_close(m->frames[i]);
	}
	fd_close(m->disk.fd);
}

/* Runs the guest to its end; true: the other device has served it. */
static inline bool machine_run(struct machine *m)
{
	struct vm_config cfg = config(image_elf(&m->image, true));

	cfg.console_out = m->out[1];
	cfg.fs = &m->fs;
	cfg.nfs = 1;
	cfg.disks = &m->disk;
	cfg.ndisks = 1;
	cfg.rng = cfg.balloon = true;
	cfg.net = &m->net;
	cfg.vsock = &m->vsock;
	m->v = machine(&cfg);
	assert_int_equal(m->v->ndevices, KINDS);
	assert_int_equal(run(m->v), VM_END_POWEROFF);
	return vm_stats(m->v)->marks[MARK_OK] != 0;
}

static inline uint32_t status_of(const struct machine *m, unsigned kind)
{
	uint32_t status = 0;

	virtio_mmio_access(m->v->devices[kind], STATUS, &status, sizeof(status), false);
	return status;
}

/* What the guest has in memory at @off of its image. */
static inline uint8_t *at(const struct machine *m, unsigned off)
{
	return m->v->mem.regions[0].hva + LOAD + off;
}

/* ---- what the guest does ---- */

static inline struct ring_desc *descs(struct machine *m)
{
	return (struct ring_desc *)(m->image.mem + TRY_DESC);
}

static inline uint16_t *avail(struct machine *m)
{
	return (uint16_t *)(m->image.mem + TRY_AVAIL);
}

static inline void say(struct machine *m, unsigned kind, unsigned reg, uint32_t value)
{
	then_write(&m->image, WINDOW(kind) + reg, value);
}

static inline void features(struct machine *m, unsigned kind, uint32_t low, uint32_t high)
{
	say(m, kind, STATUS, 0);
	say(m, kind, STATUS, 1);
	say(m, kind, STATUS, 3);
	say(m, kind, 0x24, 0);
	say(m, kind, 0x20, low);
	say(m, kind, 0x24, 1);
	say(m, kind, 0x20, high);
	say(m, kind, STATUS, 11);
}

static inline void queue(struct machine *m, unsigned kind)
{
	say(m, kind, 0x30, queues[kind]);
	say(m, kind, 0x38, NUM);
	say(m, kind, 0x80, LOAD + TRY_DESC);
	say(m, kind, 0x90, LOAD + TRY_AVAIL);
	say(m, kind, 0xa0, LOAD + TRY_USED);
	say(m, kind, 0x44, 1);
}

static inline void start(struct machine *m, unsigned kind)
{
	features(m, kind, 0, 1);
	queue(m, kind);
	say(m, kind, STATUS, 15);
}

static inline void kick(struct machine *m, unsigned kind)
{
	say(m, kind, 0x50, queues[kind]);
}

/* Another device does what it is asked for, when the one that was tried has been kicked. */
static inline void another(struct machine *m, unsigned kind)
{
	if (kind == CONSOLE)
		driver(&m->image, FS, 1, "request", 100);
	else
		driver(&m->image, CONSOLE, 1, "hello", 0);
}

static inline void fill_buffer(struct machine *m, unsigned kind)
{
	uint8_t *b = m->image.mem + TRY_BUFFER;
	const uint32_t page = GIVEN_UP / 4096;
	const struct vsock_header h = { .src_cid = 3,
					.dst_cid = VSOCK_HOST_CID,
					.src_port = 1024,
					.dst_port = PORT,
					.type = VSOCK_TYPE_STREAM,
					.op = VSOCK_OP_REQUEST,
					.buf_alloc = 4096 };

	memset(b, 0, 1024);
	if (kind == CONSOLE)
		memcpy(b, "tried", 5);
	else if (kind == BLK)
		memcpy(b, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a sector", 24);
	else if (kind == NET)
		memset(b + 12, 0x77, FRAME);
	else if (kind == VSOCK)
		memcpy(b, &h, sizeof(h));
	else if (kind == BALLOON)
		memcpy(b, &page, sizeof(page));
	if (kind == BALLOON)
		then_write(&m->image, GIVEN_UP, 0x55555555);
}

/* One chain that asks for what the device is for. */
static inline void good_chain(struct machine *m, unsigned kind)
{
	static const uint32_t lengths[] = {
		5, 7, 16 + 512, 0, 4, 12 + FRAME, sizeof(struct vsock_header)
	};
	struct ring_desc *d = descs(m);

	fill_buffer(m, kind);
	d[0] = (struct ring_desc){ LOAD + TRY_BUFFER, lengths[kind], 0, 0 };
	if (kind == FS || kind == BLK) {
		d[0].flags = DESC_F_NEXT;
		d[0].next = 1;
		d[1] = (struct ring_desc){ LOAD + TRY_BUFFER + 1024, kind == FS ? 100 : 1,
					   DESC_F_WRITE, 0 };
	}
	if (kind == RNG)
		d[0] = (struct ring_desc){ LOAD + TRY_BUFFER, 256, DESC_F_WRITE, 0 };
	avail(m)[1] = 1;
}

/* ---- whether it has been done ---- */

static inline bool zeroes(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static inline bool said(const struct machine *m, const char *text)
{
	char buf[64] = "";

	return read(m->out[0], buf, sizeof(buf) - 1) > 0 && strstr(buf, text);
}

static inline bool frame_came(const struct machine *m)
{
	uint8_t buf[4 + FRAME];
	uint32_t len;

	if (recv(m->frames[1], buf, sizeof(buf), MSG_DONTWAIT) != sizeof(buf))
		return false;
	memcpy(&len, buf, sizeof(len));
	return ntohl(len) == FRAME && buf[4] == 0x77;
}

static inline bool sector_came(const struct machine *m)
{
	char buf[9] = "";

	return pread(m->disk.fd, buf, 8, 0) == 8 && strcmp(buf, "a sector") == 0;
}

static inline bool is_done(const struct machine *m, unsigned kind)
{
	switch (kind) {
	case CONSOLE:
		return said(m, "tried");
	case FS:
		return m->requests == 1;
	case BLK:
		return sector_came(m);
	case RNG:
		return !zeroes(at(m, TRY_BUFFER), 256);
	case BALLOON:
		return zeroes(m->v->mem.regions[0].hva + GIVEN_UP, 4096);
	case NET:
		return frame_came(m);
	default:
		return m->port == PORT;
	}
}

/* Its thread may still be at it when the guest has ended. */
static inline void done_at_last(const struct machine *m, unsigned kind)
{
	unsigned ms = 0;

	while (!is_done(m, kind) && ms++ < WAIT_MS)
		usleep(1000);
	if (ms > WAIT_MS)
		fail_msg("%s has not done what it was asked for", names[kind]);
}

static inline void done(const struct machine *m, unsigned kind)
{
	done_at_last(m, kind);
	if (status_of(m, kind) & NEEDS_RESET)
		fail_msg("%s asks for a reset", names[kind]);
}

static inline void broken(const struct machine *m, unsigned kind, const char *how)
{
	unsigned ms = 0;

	while (!(status_of(m, kind) & NEEDS_RESET) && ms++ < WAIT_MS)
		usleep(1000);
	if (ms > WAIT_MS)
		fail_msg("%s, %s: it does not ask for a reset", names[kind], how);
}

#endif
