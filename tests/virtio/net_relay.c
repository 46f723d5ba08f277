/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between two sockets, by a thread: what goes in comes out, in order, and as slowly as
 * asked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/virtio.h"
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

struct fixture {
	struct net_relay *r;
	int guest, host, stop, result;
	pthread_t thread;
};

static void *run(void *ctx)
{
	struct fixture *f = ctx;

	f->result = net_relay_run(f->r, f->stop);
	err_clear();
	return NULL;
}

static void start(struct fixture *f, uint64_t rate)
{
	int g[2], h[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, g), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, h), 0);
	f->guest = g[0];
	f->host = h[0];
	f->stop = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(net_relay_new(g[1], h[1], rate, &f->r), 0);
	close(g[1]);
	close(h[1]);
	assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

/* Its result; both ends of ours are closed. */
static int end(struct fixture *f)
{
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	net_relay_free(f->r);
	fd_close(f->guest);
	fd_close(f->host);
	fd_close(f->stop);
	return f->result;
}

static void put(int fd, uint8_t fill, uint32_t len)
{
	uint8_t b[4 + VIRTIO_NET_FRAME_MAX];
	uint32_t head = htonl(len);

	memcpy(b, &head, 4);
	memset(b + 4, fill, len);
	assert_int_equal(fd_write_full(fd, b, 4 + len), 0);
}

static void expect(int fd, uint8_t fill, uint32_t len)
{
	static uint8_t b[VIRTIO_NET_FRAME_MAX];
	uint32_t head;

	assert_int_equal(recv(fd, &head, 4, MSG_WAITALL), 4);
	assert_int_equal(ntohl(head), len);
	assert_int_equal(recv(fd, b, len, MSG_WAITALL), len);
	assert_int_equal(b[0], fill);
	assert_int_equal(b[len - 1], fill);
}

static void test_both_ways(_unused_ void **state)
{
	struct virtio_net_stats s;
	struct fixture f;

	start(&f, 0);
	for (uint8_t i = 0; i < 100; i++) {
		put(f.guest, i, 60u + i);
		put(f.host, i, VIRTIO_NET_FRAME_MAX);
		expect(f.host, i, 60u + i);
		expect(f.guest, i, VIRTIO_NET_FRAME_MAX);
	}
	/* Its last frame is counted a moment after it has come. */
	for (unsigned i = 0; i < 1000; i++) {
		net_relay_stats(f.r, &s);
		if (s.rx_frames + s.tx_frames == 200)
			break;
		poll(NULL, 0, 1);
	}
	assert_int_equal(s.rx_frames, 100);
	assert_int_equal(s.rx_bytes, 100 * (uint64_t)VIRTIO_NET_FRAME_MAX);
	assert_int_equal(s.tx_frames, 100);
	assert_int_equal(s.tx_bytes, 100 * 60 + 4950);
	eventfd_write(f.stop, 1);
	assert_int_equal(end(&f), 0);
}

static void *put_many(void *ctx)
{
	for (unsigned i = 0; i < 300; i++)
		put(*(int *)ctx, (uint8_t)i, 9000);
	return NULL;
}

/* An end that is not read stops its own direction alone, and nothing is lost. */
static void test_slow_reader(_unused_ void **state)
{
	struct fixture f;
	pthread_t thread;

	start(&f, 0);
	assert_int_equal(pthread_create(&thread, NULL, put_many, &f.guest), 0);
	poll(NULL, 0, 50);
	put(f.host, 7, 100);
	expect(f.guest, 7, 100);
	for (unsigned i = 0; i < 300; i++)
		expect(f.host, (uint8_t)i, 9000);
	assert_int_equal(pthread_join(thread, NULL), 0);
	eventfd_write(f.stop, 1);
	assert_int_equal(end(&f), 0);
}

/* 200,000 bytes a second, a tenth of them at once: 60,000 take a fifth of a second, each way. */
static void test_rate(_unused_ void **state)
{
	uint64_t began = clock_ns(), took;
	struct fixture f;

	start(&f, 200000);
	for (unsigned i = 0; i < 60; i++) {
		put(f.guest, 1, 1000);
		put(f.host, 2, 1000);
	}
	for (unsigned i = 0; i < 60; i++) {
		expect(f.host, 1, 1000);
		expect(f.guest, 2, 1000);
	}
	took = clock_ns() - began;
	assert_true(took > UINT64_C(190000000));
	assert_true(took < UINT64_C(3000000000));
	eventfd_write(f.stop, 1);
	assert_int_equal(end(&f), 0);
}

static void test_ends(_unused_ void **state)
{
	const uint32_t none = 0;
	struct fixture f;
	char c;

	start(&f, 0);
	f.host = fd_close(f.host);
	assert_int_equal(end(&f), 0);
	start(&f, 0);
	put(f.guest, 1, 60);
	f.guest = fd_close(f.guest);
	expect(f.host, 1, 60);
	assert_int_equal(end(&f), 0);
	start(&f, 0);
	assert_int_equal(write(f.guest, &none, 4), 4);
	assert_int_equal(end(&f), -EPROTO);
	/* Whoever is at the other end learns of it when the relay is freed. */
	start(&f, 0);
	f.guest = fd_close(f.guest);
	assert_int_equal(pthread_join(f.thread, NULL), 0);
	net_relay_free(f.r);
	assert_int_equal(recv(f.host, &c, 1, 0), 0);
	fd_close(f.host);
	fd_close(f.stop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
