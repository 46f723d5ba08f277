/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/vsock.h"

#include "base/buf.h"
#include "base/err.h"
#include <poll.h>

static void config(_unused_ void **state)
{
	struct fixture f;

	start(&f);
	assert_int_equal(reg_get(&f.d, R_DEVICE_ID), 19);
	assert_int_equal(reg_get(&f.d, R_CONFIG), VIRTIO_VSOCK_CID);
	assert_int_equal(reg_get(&f.d, R_CONFIG + 4), 0);
	end(&f);
}

/* Packets that are none end the device until it is reset; then it is as new. */
static void malformed(_unused_ void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct vsock_header h = { .src_cid = VIRTIO_VSOCK_CID,
					  .dst_cid = VSOCK_HOST_CID,
					  .len = 5 };
		struct fixture f;
		int fd;

		start(&f);
		fd = connected(&f);
		memcpy(driver_at(&f.d, f.out), &h, sizeof(h));
		if (i == 0) /* shorter than a head */
			ring_add(&f.d, &f.d.rings[VSOCK_TX], f.out, HEAD - 1, false);
		else if (i == 1) /* longer than its buffer, by its own word */
			ring_add(&f.d, &f.d.rings[VSOCK_TX], f.out, HEAD + 4, false);
		else if (i == 2) /* out of memory */
			ring_add(&f.d, &f.d.rings[VSOCK_TX], 0x10, HEAD, false);
		else /* for the device to read, where it is to write */
			ring_add(&f.d, &f.d.rings[VSOCK_TX], f.out, HEAD, true);
		reg_put(&f.d, R_NOTIFY, VSOCK_TX);
		driver_wait_reset(&f.d);
		expect_end(fd);
		fd_close(fd);
		begin_again(&f, 0);
		fd = connected(&f);
		fd_close(fd);
		end(&f);
	}
}

/* Nothing to put an answer in: packets wait in their queue, and none is answered twice or never. */
static void flood(_unused_ void **state)
{
	struct vsock_header h;
	struct fixture f;
	unsigned n = 0;

	start_without_buffers(&f);
	f.last = (struct vsock_header){ .src_port = 1, .dst_port = 2 };
	h = answer(&f.last, VSOCK_OP_RW);
	memcpy(driver_at(&f.d, f.out), &h, sizeof(h));
	for (unsigned i = 0; i < 64 + 40; i++) {
		ring_add(&f.d, &f.d.rings[VSOCK_TX], f.out, HEAD, false);
		reg_put(&f.d, R_NOTIFY, VSOCK_TX);
		if (i < 64)
			driver_take(&f.d, VSOCK_TX);
	}
	usleep(20000);
	assert_false(ring_used(&f.d, &f.d.rings[VSOCK_TX]));
	give_all(&f);
	for (; n < 64 + 40; n++)
		hear(&f, VSOCK_OP_RST);
	for (unsigned i = 0; i < 40; i++)
		driver_take(&f.d, VSOCK_TX);
	assert_false(ring_used(&f.d, &f.d.rings[VSOCK_RX]));
	end(&f);
}

/* As many as there may be: the guest's next is refused, the host's next waits for a place. */
static void all_taken(_unused_ void **state)
{
	int fds[VIRTIO_VSOCK_CONNS], late;
	struct fixture f;

	start(&f);
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++)
		fds[i] = connected(&f);
	guest_connects(&f, 1000, 7);
	hear(&f, VSOCK_OP_RST);
	assert_int_equal(f.asked, 0);
	late = client(&f, "CONNECT 5\n");
	usleep(20000);
	assert_false(ring_used(&f.d, &f.d.rings[VSOCK_RX]));
	fd_close(fds[3]);
	hear(&f, VSOCK_OP_SHUTDOWN);
	hear(&f, VSOCK_OP_REQUEST);
	say(&f, VSOCK_OP_RESPONSE, 0);
	expect(late, "OK ");
	fd_close(late);
	for (unsigned i = 0; i < VIRTIO_VSOCK_CONNS; i++)
		if (i != 3)
			fd_close(fds[i]);
	end(&f);
}

/* From a snapshot: the guest hears that its connections are gone, once, when it can. */
static void restored(_unused_ void **state)
{
	_buf_done_ struct buf saved = { 0 };
	struct fixture f;
	uint64_t a;
	int fd;

	start(&f);
	a = driver_alloc(&f.d, 8);
	memset(driver_at(&f.d, a), 0xff, 8);
	for (unsigned i = 0; i < 2; i++)
		ring_add(&f.d, &f.d.rings[VSOCK_EVENTS], a, 8, true);
	reg_put(&f.d, R_NOTIFY, VSOCK_EVENTS);
	fd = connected(&f);
	assert_ok(virtio_mmio_save(f.d.m, &saved));
	expect_end(fd);
	fd_close(fd);
	assert_false(ring_used(&f.d, &f.d.rings[VSOCK_EVENTS]));
	assert_ok(virtio_mmio_load(f.d.m, saved.data, saved.len));
	assert_ok(virtio_mmio_resume(f.d.m));
	assert_int_equal(driver_take(&f.d, VSOCK_EVENTS).len, 4);
	assert_memory_equal(driver_at(&f.d, a), "\0\0\0\0\377\377\377\377", 8);
	reg_put(&f.d, R_NOTIFY, VSOCK_EVENTS);
	fd_close(connected(&f));
	assert_false(ring_used(&f.d, &f.d.rings[VSOCK_EVENTS]));
	end(&f);
}

/* Without a connection there is nothing that could be gone, and the guest is left alone. */
static void restored_untouched(_unused_ void **state)
{
	_buf_done_ struct buf saved = { 0 };
	struct fixture f;
	uint8_t met = 2;

	start(&f);
	ring_add(&f.d, &f.d.rings[VSOCK_EVENTS], driver_alloc(&f.d, 8), 8, true);
	reg_put(&f.d, R_NOTIFY, VSOCK_EVENTS);
	assert_ok(virtio_mmio_save(f.d.m, &saved));
	assert_ok(virtio_mmio_load(f.d.m, saved.data, saved.len));
	assert_ok(virtio_mmio_resume(f.d.m));
	fd_close(connected(&f));
	assert_false(ring_used(&f.d, &f.d.rings[VSOCK_EVENTS]));
	/* The last byte says whether there was one. */
	saved.data[saved.len - 1] = met;
	assert_int_equal(virtio_mmio_load(f.d.m, saved.data, saved.len), -EBADMSG);
	err_clear();
	end(&f);
}

/* ---- a thread that is started when there is something to do ---- */

static struct {
	int fd; /* -1 = nothing waits */
	void (*fn)(void *arg);
	void *arg;
} late;

static int when(_unused_ void *ctx, int fd, void (*fn)(void *arg), void *arg)
{
	assert_true(fd >= 0 || late.arg == arg);
	late.fd = fd;
	late.fn = fn;
	late.arg = arg;
	return 0;
}

static bool is_wanted(void)
{
	struct pollfd p = { .fd = late.fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void late_thread(_unused_ void **state)
{
	struct fixture f;
	int fd;

	start_on(&f, when);
	give_all(&f);
	reg_put(&f.d, R_NOTIFY, VSOCK_EVENTS);
	assert_true(late.fd >= 0);
	/* Buffers for some day are no work; neither is an end that comes first. */
	assert_false(is_wanted());
	reg_put(&f.d, R_STATUS, 0);
	assert_int_equal(late.fd, -1);
	begin_again(&f, 0);
	assert_false(is_wanted());
	fd = client(&f, "CONNECT 5\n");
	assert_true(is_wanted());
	late.fn(late.arg);
	hear(&f, VSOCK_OP_REQUEST);
	say(&f, VSOCK_OP_RESPONSE, 0);
	expect(fd, "OK ");
	fd_close(fd);
	/* More buffers are seen now. */
	give(&f, 0);
	end(&f);
}

static void reset_while_busy(_unused_ void **state)
{
	struct fixture f;

	start(&f);
	for (int i = 0; i < 30; i++) {
		int fd;

		begin_again(&f, VIRTIO_F_EVENT_IDX);
		fd = connected(&f);
		assert_int_equal(send(fd, "hello", 5, MSG_NOSIGNAL), 5);
		guest_connects(&f, 1000, 7);
		reg_put(&f.d, R_STATUS, 0);
		expect_end(fd);
		fd_close(fd);
		f.server = fd_close(f.server);
	}
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config),   cmocka_unit_test(malformed),
		cmocka_unit_test(flood),    cmocka_unit_test(all_taken),
		cmocka_unit_test(restored), cmocka_unit_test(restored_untouched),
		cmocka_unit_test(late_thread), cmocka_unit_test(reset_while_busy),
	};

	alarm(120);
	return cmocka_run_group_tests_name("virtio/vsock", tests, NULL, NULL);
}
