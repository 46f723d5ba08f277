/* SPDX-License-Identifier: Apache-2.0 */
/* A device saved and loaded: as if nothing had been; and what was tampered with is refused. */
#include "base/buf.h"
#include "base/err.h"
#include "tests/virtio/driver.h"

#include <sys/socket.h>

#define NUM	  16
#define MULTIPORT 2u

enum { CTL_IN = 2, CTL_OUT = 3, IN = 4, OUT = 5 };
enum { READY = 0, PORT_READY = 3, OPEN = 6 }; /* virtio 1.2, 5.3.6.2 */

struct fixture {
	struct driver d;
	int pair[2]; /* the port's end, ours */
};

static void console(struct fixture *f)
{
	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->pair));
	const struct virtio_console_port ports[] = {
		{ NULL, -1, -1, false },
		{ "both", f->pair[0], f->pair[0], true },
	};
	assert_ok(virtio_console_new(ports, 2, &f->d.bus, 0xd0000000, 1, &f->d.m));
}

static void pair_close(struct fixture *f)
{
	fd_close(f->pair[0]);
	fd_close(f->pair[1]);
}

static uint64_t give(struct fixture *f, unsigned queue)
{
	uint64_t a = driver_alloc(&f->d, 256);

	ring_add(&f->d, &f->d.rings[queue], a, 256, true);
	reg_put(&f->d, R_NOTIFY, 0);
	return a;
}

static void put(struct fixture *f, unsigned queue, const void *data, uint32_t len)
{
	uint64_t a = driver_alloc(&f->d, len);

	memcpy(driver_at(&f->d, a), data, len);
	ring_add(&f->d, &f->d.rings[queue], a, len, false);
	reg_put(&f->d, R_NOTIFY, 0);
}

static void tell(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	struct {
		uint32_t id;
		uint16_t event, value;
	} msg = { id, event, value };

	put(f, CTL_OUT, &msg, sizeof(msg));
	driver_take(&f->d, CTL_OUT);
}

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	driver_init(&f->d);
	console(f);
	driver_start(&f->d, MULTIPORT | VIRTIO_F_EVENT_IDX, 6, NUM);
	for (int i = 0; i < 6; i++)
		give(f, CTL_IN);
	tell(f, 0, READY, 1);
	tell(f, 1, PORT_READY, 1);
	tell(f, 1, OPEN, 1);
	for (int i = 0; i < 4; i++) /* two are added, one has a name and is open */
		driver_take(&f->d, CTL_IN);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	driver_done(&f->d);
	pair_close(f);
	free(f);
	return 0;
}

/* The old device is gone, and its port's other end; the new one has another. */
static void replace(struct fixture *f, struct buf *saved)
{
	assert_ok(virtio_mmio_save(f->d.m, saved));
	assert_false(has_poison(saved->data, saved->len));
	virtio_mmio_free(f->d.m);
	pair_close(f);
	console(f);
}

static void goes_on(struct fixture *f)
{
	char buf[8];
	uint64_t a = give(f, IN);

	put(f, OUT, "hello", 5);
	assert_int_equal(read(f->pair[1], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	driver_take(&f->d, OUT);
	assert_int_equal(write(f->pair[1], "answer", 6), 6);
	assert_int_equal(driver_take(&f->d, IN).len, 6);
	assert_memory_equal(driver_at(&f->d, a), "answer", 6);
}

static void another_device_goes_on(void **state)
{
	struct fixture *f = *state;
	_buf_done_ struct buf saved = { 0 };
	uint32_t generation = reg_get(&f->d, 0xfc);

	replace(f, &saved);
	assert_int_equal(reg_get(&f->d, R_STATUS), 0);
	assert_ok(virtio_mmio_load(f->d.m, saved.data, saved.len));
	assert_ok(virtio_mmio_resume(f->d.m));
	assert_int_equal(reg_get(&f->d, R_STATUS), 15);
	assert_int_equal(reg_get(&f->d, 0xfc), generation);
	assert_int_equal(reg_get(&f->d, R_QUEUE_READY), 1);
	goes_on(f);
	/* The guest is heard no second time of its ports. */
	assert_false(ring_used(&f->d, &f->d.rings[CTL_IN]));
}

static void the_same_device_goes_on(void **state)
{
	struct fixture *f = *state;
	_buf_done_ struct buf saved = { 0 };

	assert_ok(virtio_mmio_save(f->d.m, &saved));
	assert_ok(virtio_mmio_resume(f->d.m));
	goes_on(f);
}

/* Written after the device stopped and before it was saved whole: it is in memory alone. */
static void what_came_meanwhile(void **state)
{
	struct fixture *f = *state;
	_buf_done_ struct buf saved = { 0 };
	char buf[8];

	replace(f, &saved);
	put(f, OUT, "late", 4);
	assert_ok(virtio_mmio_load(f->d.m, saved.data, saved.len));
	assert_ok(virtio_mmio_resume(f->d.m));
	assert_int_equal(read(f->pair[1], buf, sizeof(buf)), 4);
	driver_take(&f->d, OUT);
	goes_on(f);
}

static void refused(struct fixture *f, const void *data, size_t len)
{
	assert_int_equal(virtio_mmio_load(f->d.m, data, len), -EBADMSG);
	assert_int_equal(reg_get(&f->d, R_STATUS), 0);
	err_clear();
}

static void what_cannot_be(void **state)
{
	struct fixture *f = *state;
	_buf_done_ struct buf saved = { 0 };
	/* Version, kind, queues, length, two statuses, features; of queue 0 its place and size. */
	static const size_t words[] = { 0, 4, 8, 12, 16, 20, 44, 48 + 4, 48 + 24 };

	replace(f, &saved);
	for (size_t len = 0; len < saved.len; len += 7)
		refused(f, saved.data, len);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_free_ char *copy = mem_dup(saved.data, saved.len);

		assert_non_null(copy);
		memset(copy + words[i], 0xff, 4);
		refused(f, copy, saved.len);
	}
	for (size_t i = saved.len - 3; i < saved.len; i++) { /* a port's flags */
		_free_ char *copy = mem_dup(saved.data, saved.len);

		assert_non_null(copy);
		copy[i] = 2;
		refused(f, copy, saved.len);
	}
	assert_ok(virtio_mmio_load(f->d.m, saved.data, saved.len));
	assert_ok(virtio_mmio_resume(f->d.m));
	goes_on(f);
}

/* What the balloon has and holds is kept, and gone with the next reset. */
static void balloon(_unused_ void **state)
{
	_buf_done_ struct buf saved = { 0 };
	struct virtio_balloon *b;
	struct virtio_balloon_stats s;
	struct driver d;
	uint32_t actual = 7;

	driver_init(&d);
	assert_ok(virtio_balloon_new(&d.bus, 0xd0000000, 1, &b, &d.m));
	driver_start(&d, 2, 3, NUM);
	reg_put(&d, R_CONFIG + 4, actual);
	virtio_balloon_set(b, 10 * VIRTIO_BALLOON_PAGE);
	assert_ok(virtio_mmio_save(d.m, &saved));
	assert_false(has_poison(saved.data, saved.len));
	virtio_mmio_free(d.m);
	assert_ok(virtio_balloon_new(&d.bus, 0xd0000000, 1, &b, &d.m));
	assert_ok(virtio_mmio_load(d.m, saved.data, saved.len));
	assert_int_equal(reg_get(&d, R_CONFIG), 10);
	assert_ok(virtio_mmio_resume(d.m));
	virtio_balloon_stats(b, &s);
	assert_int_equal(s.ballooned, actual * VIRTIO_BALLOON_PAGE);
	driver_start(&d, 2, 3, NUM);
	virtio_balloon_stats(b, &s);
	assert_int_equal(s.ballooned, 0);
	driver_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_device_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_device_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(what_came_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be, setup, teardown),
		cmocka_unit_test(balloon),
	};

	return cmocka_run_group_tests_name("virtio/mmio_state", tests, NULL, NULL);
}
