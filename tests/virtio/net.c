/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

#include "base/clock.h"
#include "base/err.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define HEADER 12u
#define RX     0
#define TX     1

struct fixture {
	struct driver d;
	struct virtio_net *n;
	int peer; /* the other end of the device's socket */
};

/* Over @fd, which is the device's then. */
static void start_over(struct fixture *f, uint64_t rate, int fd)
{
	struct virtio_net_config cfg = {
		.fd = fd, .mac = { 2, 0, 0, 0, 0, 7 }, .mtu = 9000, .rate = rate
	};

	driver_init(&f->d);
	assert_ok(virtio_net_new(&cfg, &f->d.bus, 0xd0000000, 1, &f->n, &f->d.m));
	fd_close(fd);
	driver_start(&f->d, 0, 2, 64);
}

static void start(struct fixture *f, uint64_t rate)
{
	int pair[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	f->peer = pair[1];
	start_over(f, rate, pair[0]);
}

static void end(struct fixture *f)
{
	driver_done(&f->d);
	fd_close(f->peer);
}

/* ---- the two sides ---- */

static void peer_send(struct fixture *f, const void *frame, uint32_t len)
{
	uint32_t head = htonl(len);

	assert_int_equal(send(f->peer, &head, 4, 0), 4);
	assert_int_equal(send(f->peer, frame, len, 0), len);
}

static void peer_read(struct fixture *f, void *data, size_t len)
{
	assert_int_equal(recv(f->peer, data, len, MSG_WAITALL), len);
}

static uint32_t peer_recv(struct fixture *f, void *frame, size_t size)
{
	uint32_t len;

	peer_read(f, &len, 4);
	len = ntohl(len);
	assert_true(len <= size);
	peer_read(f, frame, len);
	return len;
}

static uint64_t give_buffer(struct fixture *f, uint32_t len)
{
	uint64_t a = driver_alloc(&f->d, len);

	ring_add(&f->d, &f->d.rings[RX], a, len, true);
	reg_put(&f->d, R_NOTIFY, RX);
	return a;
}

/* Sends what is at @a; the device may be reading it already for an earlier one. */
static void guest_send_again(struct fixture *f, uint64_t a, uint32_t len)
{
	ring_add(&f->d, &f->d.rings[TX], a, HEADER + len, false);
	reg_put(&f->d, R_NOTIFY, TX);
}

static void guest_send(struct fixture *f, uint64_t a, const void *frame, uint32_t len)
{
	memset(driver_at(&f->d, a), 0, HEADER);
	memcpy((uint8_t *)driver_at(&f->d, a) + HEADER, frame, len);
	guest_send_again(f, a, len);
}

static uint64_t dropped(struct fixture *f)
{
	struct virtio_net_stats s;

	virtio_net_stats(f->n, &s);
	return s.dropped;
}

/* ---- tests ---- */

static void config(_unused_ void **state)
{
	struct virtio_net_config cfg = { .fd = -1, .mtu = 67 };
	struct fixture f;
	struct virtio_mmio *m;
	uint8_t mac[6];

	start(&f, 0);
	for (unsigned i = 0; i < sizeof(mac); i++)
		virtio_mmio_access(f.d.m, R_CONFIG + i, &mac[i], 1, false);
	assert_memory_equal(mac, "\2\0\0\0\0\7", 6);
	assert_int_equal(reg_get(&f.d, R_CONFIG + 8) >> 16, 9000);
	assert_int_equal(virtio_net_new(&cfg, &f.d.bus, 0, 1, &f.n, &m), -EINVAL);
	cfg.mtu = 68;
	assert_int_equal(virtio_net_new(&cfg, &f.d.bus, 0, 1, &f.n, &m), -EBADF);
	err_clear();
	end(&f);
}

static void to_the_guest(_unused_ void **state)
{
	struct virtio_net_stats s;
	struct fixture f;
	uint64_t a, b;
	const uint8_t *p;

	start(&f, 0);
	peer_send(&f, "before there is a buffer", 24);
	a = give_buffer(&f, 1526);
	assert_int_equal(driver_take(&f.d, RX).len, HEADER + 24);
	p = driver_at(&f.d, a);
	assert_memory_equal(p, "\0\0\0\0\0\0\0\0\0\0\1\0before there is a buffer", HEADER + 24);
	b = give_buffer(&f, 40);
	peer_send(&f, "one that is too long for the buffer there is", 44);
	peer_send(&f, "this one fits", 13);
	assert_int_equal(driver_take(&f.d, RX).len, HEADER + 13);
	assert_memory_equal((uint8_t *)driver_at(&f.d, b) + HEADER, "this one fits", 13);
	virtio_net_stats(f.n, &s);
	assert_int_equal(s.rx_frames, 2);
	assert_int_equal(s.rx_bytes, 37);
	assert_int_equal(s.dropped, 1);
	end(&f);
}

/* A frame over several buffers, which comes a byte at a time. */
static void in_pieces(_unused_ void **state)
{
	static const uint8_t wire[] = "\0\0\0\11ninebytes";
	struct fixture f;
	uint64_t a;
	struct ring *r;

	start(&f, 0);
	r = &f.d.rings[RX];
	a = driver_alloc(&f.d, 64);
	ring_desc_set(&f.d, r, 0, a, 5, DESC_F_NEXT | DESC_F_WRITE, 1);
	ring_desc_set(&f.d, r, 1, a + 5, 9, DESC_F_NEXT | DESC_F_WRITE, 2);
	ring_desc_set(&f.d, r, 2, a + 14, 20, DESC_F_WRITE, 0);
	ring_publish(&f.d, r, 0);
	reg_put(&f.d, R_NOTIFY, RX);
	for (unsigned i = 0; i < sizeof(wire) - 1; i++) {
		assert_int_equal(send(f.peer, wire + i, 1, 0), 1);
		usleep(500);
	}
	assert_int_equal(driver_take(&f.d, RX).len, HEADER + 9);
	assert_memory_equal((uint8_t *)driver_at(&f.d, a) + HEADER, "ninebytes", 9);
	end(&f);
}

static void from_the_guest(_unused_ void **state)
{
	struct fixture f;
	uint8_t frame[64];
	uint64_t a;
	struct ring *r;

	start(&f, 0);
	r = &f.d.rings[TX];
	guest_send(&f, driver_alloc(&f.d, 64), "hello", 5);
	assert_int_equal(peer_recv(&f, frame, sizeof(frame)), 5);
	assert_memory_equal(frame, "hello", 5);
	driver_take(&f.d, TX);
	/* The header and the frame cut elsewhere than between them. */
	a = driver_alloc(&f.d, 64);
	memcpy((uint8_t *)driver_at(&f.d, a) + HEADER, "in pieces", 9);
	ring_desc_set(&f.d, r, 5, a, 3, DESC_F_NEXT, 6);
	ring_desc_set(&f.d, r, 6, a + 3, 11, DESC_F_NEXT, 7);
	ring_desc_set(&f.d, r, 7, a + 14, 7, 0, 0);
	ring_publish(&f.d, r, 5);
	reg_put(&f.d, R_NOTIFY, TX);
	assert_int_equal(peer_recv(&f, frame, sizeof(frame)), 9);
	assert_memory_equal(frame, "in pieces", 9);
	end(&f);
}

/* More than the socket holds while nobody reads: it waits, and nothing is lost or torn. */
static void full_socket(_unused_ void **state)
{
	static uint8_t frame[60000], got[60000];
	const unsigned total = 40;
	struct fixture f;
	uint64_t a;

	start(&f, 0);
	a = driver_alloc(&f.d, HEADER + sizeof(frame));
	memset(frame, 'x', sizeof(frame));
	guest_send(&f, a, frame, sizeof(frame));
	for (unsigned i = 1; i < total; i++)
		guest_send_again(&f, a, sizeof(frame));
	usleep(50000);
	assert_true(f.d.rings[TX].used_seen < total);
	for (unsigned i = 0; i < total; i++) {
		assert_int_equal(peer_recv(&f, got, sizeof(got)), sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
	}
	for (unsigned i = 0; i < total; i++)
		driver_take(&f.d, TX);
	assert_int_equal(dropped(&f), 0);
	end(&f);
}

/* 20 frames of 1,000 bytes at 20,000 a second with 2,000 at once: 0.9 s at least. */
static void rate(_unused_ void **state)
{
	uint8_t frame[1000] = { 1 };
	struct fixture f;
	uint64_t a, before;

	start(&f, 20000);
	before = clock_ns();
	a = driver_alloc(&f.d, HEADER + sizeof(frame));
	guest_send(&f, a, frame, sizeof(frame));
	for (unsigned i = 1; i < 20; i++)
		guest_send_again(&f, a, sizeof(frame));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(peer_recv(&f, frame, sizeof(frame)), sizeof(frame));
	assert_true(clock_ns() - before >= 800000000);
	a = give_buffer(&f, 2000);
	before = clock_ns();
	for (unsigned i = 0; i < 10; i++)
		peer_send(&f, frame, sizeof(frame));
	for (unsigned i = 0; i < 10; i++) {
		driver_take(&f.d, RX);
		ring_add(&f.d, &f.d.rings[RX], a, 2000, true);
		reg_put(&f.d, R_NOTIFY, RX);
	}
	assert_true(clock_ns() - before >= 300000000);
	end(&f);
}

/* The other end goes, or speaks nonsense: the guest's frames are dropped, its device stays. */
static void other_end_goes(_unused_ void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct fixture f;
		uint64_t a;

		start(&f, 0);
		if (i == 0)
			f.peer = fd_close(f.peer);
		else
			assert_int_equal(send(f.peer, i == 1 ? "\377\377\377\377" : "\0\0\0", 4, 0),
					 4);
		a = driver_alloc(&f.d, 64);
		while (dropped(&f) < 2) {
			guest_send(&f, a, "hello", 5);
			driver_take(&f.d, TX);
		}
		assert_false(reg_get(&f.d, R_STATUS) & S_NEEDS_RESET);
		end(&f);
	}
}

static void malformed(_unused_ void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct fixture f;

		start(&f, 0);
		if (i == 0) /* no more than a header */
			ring_add(&f.d, &f.d.rings[TX], driver_alloc(&f.d, 64), HEADER, false);
		else /* out of memory */
			ring_add(&f.d, &f.d.rings[i == 1 ? TX : RX], 0x10, 64, i == 2);
		if (i == 2)
			peer_send(&f, "frame", 5);
		reg_put(&f.d, R_NOTIFY, i == 2 ? RX : TX);
		driver_wait_reset(&f.d);
		driver_start(&f.d, 0, 2, 64); /* and is as new */
		guest_send(&f, driver_alloc(&f.d, 64), "hello", 5);
		driver_take(&f.d, TX);
		end(&f);
	}
}

/* A frame longer than any is dropped. */
static void too_long(_unused_ void **state)
{
	struct fixture f;
	uint8_t frame[8];

	start(&f, 0);
	ring_add(&f.d, &f.d.rings[TX], RAM_GPA, HEADER + VIRTIO_NET_FRAME_MAX + 1, false);
	guest_send(&f, driver_alloc(&f.d, 64), "hello", 5);
	assert_int_equal(peer_recv(&f, frame, sizeof(frame)), 5);
	assert_int_equal(dropped(&f), 1);
	end(&f);
}

/* ---- a TAP ---- */

#define TEST_PROTOCOL 0x88b5 /* IEEE 802's for experiments */

/* In a network namespace of our own, up; *@ret_wire sees what goes over it, and puts frames on. */
static int new_tap(int *ret_wire)
{
	struct ifreq i = { .ifr_name = "t0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(TEST_PROTOCOL) };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &i) < 0)
		return fd_close(fd);
	*ret_wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(TEST_PROTOCOL));
	i.ifr_flags = IFF_UP;
	assert_ok(ioctl(*ret_wire, SIOCSIFFLAGS, &i));
	at.sll_ifindex = (int)if_nametoindex("t0");
	assert_ok(bind(*ret_wire, (struct sockaddr *)&at, sizeof(at)));
	return fd;
}

static void over_a_tap(_unused_ void **state)
{
	uint8_t frame[60] = { 2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 8, 0x88, 0xb5, 'o', 'n', 'e' };
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), tap;
	struct fixture f;
	uint64_t a;

	if (unshare(CLONE_NEWNET) < 0)
		skip();
	tap = new_tap(&f.peer);
	assert_ok(setns(home, CLONE_NEWNET));
	fd_close(home);
	if (tap < 0)
		skip();
	start_over(&f, 0, tap);
	/* The kernel has no use for the first, which costs the others nothing. */
	guest_send(&f, driver_alloc(&f.d, 128), "short", 5);
	assert_int_equal(driver_take(&f.d, TX).len, 0);
	guest_send(&f, driver_alloc(&f.d, 128), frame, sizeof(frame));
	assert_int_equal(driver_take(&f.d, TX).len, 0);
	memset(frame, 0, sizeof(frame));
	assert_int_equal(recv(f.peer, frame, sizeof(frame), 0), sizeof(frame));
	assert_memory_equal(frame + 14, "one", 3);
	/* Others of the kernel's own may come before: neighbour discovery of IPv6. */
	for (int i = 0; i < 8; i++) {
		a = give_buffer(&f, 1526);
		assert_int_equal(send(f.peer, frame, sizeof(frame), 0), sizeof(frame));
		assert_true(driver_take(&f.d, RX).len >= HEADER);
		if (!memcmp((uint8_t *)driver_at(&f.d, a) + HEADER, frame, sizeof(frame)))
			break;
		assert_true(i < 7);
	}
	end(&f);
}

static void reset_while_busy(_unused_ void **state)
{
	struct fixture f;

	start(&f, 1000);
	for (int i = 0; i < 50; i++) {
		f.d.free = RAM_GPA;
		memset(f.d.ram, 0, RAM_SIZE);
		driver_start(&f.d, VIRTIO_F_EVENT_IDX, 2, 64);
		give_buffer(&f, 100);
		peer_send(&f, "hello", 5);
		guest_send(&f, driver_alloc(&f.d, 64), "hello", 5);
		reg_put(&f.d, R_STATUS, 0);
	}
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config),	  cmocka_unit_test(to_the_guest),
		cmocka_unit_test(in_pieces),	  cmocka_unit_test(from_the_guest),
		cmocka_unit_test(full_socket),	  cmocka_unit_test(rate),
		cmocka_unit_test(other_end_goes), cmocka_unit_test(malformed),
		cmocka_unit_test(too_long),	  cmocka_unit_test(reset_while_busy),
		cmocka_unit_test(over_a_tap),
	};

	alarm(120);
	return cmocka_run_group_tests_name("virtio/net", tests, NULL, NULL);
}
