/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device whose guest memory is the fuzzer's. The rings lie where the input begins, so that it
 * writes the descriptors and what is available; each queue is kicked, and the device does what it
 * can without waiting. Then, if the input asks for it, come writes to registers while it is live,
 * and at last a reset. It has no threads here (pump.h): tests/virtio has them, and ThreadSanitizer.
 * The first byte chooses the device, or FUZZ_DEVICE does (a name of below). At its end the program
 * says how many runs each had.
 */
#include "tests/fuzz/pump.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define RAM	  0x10000u
#define NUM	  8u
#define RING_SIZE 0x200u /* of one queue: descriptors, avail at 0x80, used at 0x100 */
#define QUEUES	  8u
#define DISK	  0x20000u
#define TAIL	  64u /* bytes of the input's end, used once more */

enum { BALLOON, NET, RNG, VSOCK, CONSOLE, FS, BLK, KINDS };
#define RDONLY KINDS /* a disk that is; chosen by the input's first byte of memory */

static const char *const names[KINDS] = {
	[BALLOON] = "balloon", [NET] = "net", [RNG] = "rng", [VSOCK] = "vsock",
	[CONSOLE] = "console", [FS] = "fs",   [BLK] = "blk"
};
static unsigned long runs[KINDS];

__attribute__((destructor)) static void tell(void)
{
	for (unsigned i = 0; i < KINDS; i++)
		if (runs[i])
			fprintf(stderr, "# %s: %lu runs\n", names[i], runs[i]);
}

/* The one that FUZZ_DEVICE names; KINDS = none. */
static unsigned wanted(void)
{
	const char *name = getenv("FUZZ_DEVICE");
	unsigned i = 0;

	while (i < KINDS && (!name || strcmp(name, names[i]) != 0))
		i++;
	return i;
}

/*
 * One of a kind for all inputs, but where something of one would stay for the next: the network's
 * stream, whose frames are lost for good when one is malformed.
 */
struct target {
	struct virtio_mmio *m;
	int pair[2]; /* what the device has of the host, and the host's end of that */
};

static uint8_t *ram;

/* Registers (virtio 1.2, 4.2.2). */
enum { R_FEATURES = 0x20, R_FEATURES_SEL = 0x24, R_QUEUE = 0x30, R_NUM = 0x38, R_READY = 0x44 };
enum { R_NOTIFY = 0x50, R_STATUS = 0x70, R_DESC = 0x80, R_AVAIL = 0x90, R_USED = 0xa0 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void irq(_unused_ void *ctx, _unused_ unsigned gsi)
{
}

static void put(struct virtio_mmio *m, unsigned off, uint32_t v)
{
	virtio_mmio_access(m, off, &v, sizeof(v), true);
}

static void queues(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		put(m, R_QUEUE, i);
		put(m, R_NUM, NUM);
		put(m, R_DESC, i * RING_SIZE);
		put(m, R_AVAIL, i * RING_SIZE + 0x80);
		put(m, R_USED, i * RING_SIZE + 0x100);
		put(m, R_READY, 1);
	}
}

/* Writes to registers, 8 bytes each, that no driver would do while its device is live. */
static void play(struct virtio_mmio *m, const uint8_t *tail)
{
	for (unsigned i = 0; i < TAIL; i += 8) {
		uint32_t v;
		uint16_t off;

		memcpy(&off, tail + i, sizeof(off));
		memcpy(&v, tail + i + 4, sizeof(v));
		virtio_mmio_access(m, off % VIRTIO_MMIO_SIZE, &v, 1u << tail[i + 2] % 4, true);
		virtio_mmio_access(m, off % VIRTIO_MMIO_SIZE, &v, 1u << tail[i + 3] % 3, false);
	}
	pump();
}

static void drive(struct virtio_mmio *m, uint32_t features, const uint8_t *tail)
{
	put(m, R_STATUS, 3);
	put(m, R_FEATURES_SEL, 1);
	put(m, R_FEATURES, 1); /* VERSION_1 */
	put(m, R_FEATURES_SEL, 0);
	put(m, R_FEATURES, features);
	put(m, R_STATUS, 11);
	queues(m);
	put(m, R_STATUS, 15);
	for (unsigned i = 0; i < QUEUES; i++)
		put(m, R_NOTIFY, i);
	pump();
	if (tail)
		play(m, tail);
	put(m, R_STATUS, 0);
}

/* The other end of the pair is the server of every even port. */
static int connect_server(void *ctx, uint32_t port)
{
	return port & 1 ? -ECONNREFUSED : fcntl(*(int *)ctx, F_DUPFD_CLOEXEC, 0);
}

/* Reads all that it is given, and fills all that it may. */
static ssize_t serve(_unused_ void *ctx, const struct iovec *in, int nin, const struct iovec *out,
		     int nout)
{
	volatile uint8_t sum = 0;
	ssize_t n = 0;

	for (int i = 0; i < nin; i++)
		for (size_t j = 0; j < in[i].iov_len; j++)
			sum = (uint8_t)(sum + ((const volatile uint8_t *)in[i].iov_base)[j]);
	for (int i = 0; i < nout; i++) {
		memset(out[i].iov_base, sum, out[i].iov_len);
		n += (ssize_t)out[i].iov_len;
	}
	return n;
}

static int console_new(const struct virtio_bus *bus, int fd, struct virtio_mmio **ret)
{
	const struct virtio_console_port ports[] = {
		{ .in_fd = -1, .out_fd = -1 },
		{ "both", fd, fd, false },
		{ "ordered", -1, fd, true },
	};

	return virtio_console_new(ports, ARRAY_SIZE(ports), bus, 0xd0000000, 1, ret);
}

static int fs_new(const struct virtio_bus *bus, struct virtio_mmio **ret)
{
	const struct virtio_fs_config fs = {
		.tag = "root", .serve = serve, .queues = 2, .threads = 1
	};

	return virtio_fs_new(&fs, bus, 0xd0000000, 1, ret);
}

static int blk_new(const struct virtio_bus *bus, bool rdonly, struct virtio_mmio **ret)
{
	_close_ int fd = memfd_create("disk", MFD_CLOEXEC);
	const struct virtio_blk_config blk = { .fd = fd, .rdonly = rdonly };
	struct virtio_blk *b;

	if (fd < 0 || ftruncate(fd, DISK) < 0)
		return -errno;
	return virtio_blk_new(&blk, bus, 0xd0000000, 1, &b, ret);
}

static int new_device(unsigned kind, const struct virtio_bus *bus, int *fd,
		      struct virtio_mmio **ret)
{
	const struct virtio_net_config net = { .fd = *fd, .mtu = 1500 };
	const struct virtio_vsock_config vsock = { -1, connect_server, fd };
	struct virtio_balloon *b;
	struct virtio_net *n;
	struct virtio_vsock *v;

	if (kind == CONSOLE)
		return console_new(bus, *fd, ret);
	if (kind == FS)
		return fs_new(bus, ret);
	if (kind == BLK || kind == RDONLY)
		return blk_new(bus, kind == RDONLY, ret);
	if (kind == VSOCK)
		return virtio_vsock_new(&vsock, bus, 0xd0000000, 1, &v, ret);
	if (kind == BALLOON)
		return virtio_balloon_new(bus, 0xd0000000, 1, &b, ret);
	if (kind == NET)
		return virtio_net_new(&net, bus, 0xd0000000, 1, &n, ret);
	return virtio_rng_new(bus, 0xd0000000, 1, ret);
}

static bool has_pair(unsigned kind)
{
	return kind == NET || kind == VSOCK || kind == CONSOLE;
}

/* What a connection of the guest's does to its socket stays, too. */
static void renew(unsigned kind, struct target *t)
{
	static struct mem mem = { .n = 1 };
	static const struct virtio_bus bus = { .mem = &mem, .irq = irq };

	mem.regions[0] = (struct mem_region){ 0, RAM, ram };
	if (kind == NET && t->m) {
		virtio_mmio_free(t->m);
		t->m = NULL;
	}
	if (has_pair(kind) && (kind != CONSOLE || !t->m)) {
		if (t->pair[1]) {
			fd_close(t->pair[0]);
			fd_close(t->pair[1]);
		}
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->pair) < 0)
			abort();
	}
	if (!t->m && new_device(kind, &bus, t->pair, &t->m) < 0)
		abort();
}

static void drain(int fd)
{
	static uint8_t b[RAM];

	while (recv(fd, b, sizeof(b), MSG_DONTWAIT) == sizeof(b))
		;
}

/* The tail of the input comes from the other end of the network, or of the guest's connections. */
static void run(unsigned kind, uint32_t features, const uint8_t *tail, bool registers)
{
	static struct target targets[KINDS + 1];
	struct target *t;

	if (kind == BLK && (ram[0] & 1))
		kind = RDONLY;
	t = &targets[kind];
	renew(kind, t);
	if (tail && has_pair(kind))
		(void)!send(t->pair[1], tail, TAIL, MSG_DONTWAIT | MSG_NOSIGNAL);
	drive(t->m, features, registers ? tail : NULL);
	if (kind == CONSOLE) {
		drain(t->pair[0]);
		drain(t->pair[1]);
	}
	err_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The balloon's statistics, OOM and reports; the console's ports. */
	static const uint32_t own[KINDS] = { [BALLOON] = 0x26, [CONSOLE] = 2 };
	const uint8_t *tail = size > 2 + TAIL ? data + size - TAIL : NULL;
	static int only = -1;
	unsigned kind;

	if (!ram)
		ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (size < 2 || ram == MAP_FAILED)
		return 0;
	if (only < 0)
		only = (int)wanted();
	kind = only < KINDS ? (unsigned)only : data[0] % KINDS;
	runs[kind]++;
	memset(ram, 0, RAM);
	memcpy(ram, data + 2, MIN(size - 2, (size_t)RAM));
	/* Of the features those that a driver may take: EVENT_IDX, INDIRECT_DESC, the first six. */
	run(kind, (uint32_t)(data[0] >> 6) << 28 | (data[1] & own[kind]), tail, data[1] & 0x80);
	return 0;
}
