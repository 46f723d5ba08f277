/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

#define F_STATS	    2u
#define F_REPORTING 32u
#define PAGE	    4096u
#define BODY	    (RAM_GPA + 0x80000) /* of RAM, where no rings are */

struct fixture {
	struct driver d;
	struct virtio_balloon *b;
};

static void prepare(struct fixture *f, uint64_t features)
{
	driver_init(&f->d);
	assert_ok(virtio_balloon_new(&f->d.bus, 0xd0000000, 1, &f->b, &f->d.m));
	driver_prepare(&f->d, features, 5, 16);
	memset(driver_at(&f->d, BODY), 0x55, 8 * PAGE);
}

static void start(struct fixture *f, uint64_t features)
{
	prepare(f, features);
	driver_ready(&f->d);
}

/* Puts page numbers on queue @i; waits until they are done with. */
static void pages(struct fixture *f, unsigned i, const uint32_t *pfns, unsigned n)
{
	uint64_t a = driver_alloc(&f->d, n * 4);

	memcpy(driver_at(&f->d, a), pfns, n * 4);
	ring_add(&f->d, &f->d.rings[i], a, n * 4, false);
	reg_put(&f->d, R_NOTIFY, i);
	driver_take(&f->d, i);
}

static bool gone(struct fixture *f, unsigned page)
{
	const uint8_t *p = driver_at(&f->d, BODY + page * PAGE);

	for (unsigned i = 1; i < PAGE; i++)
		assert_int_equal(p[i], p[0]);
	return p[0] == 0;
}

static void inflates(_unused_ void **state)
{
	const uint32_t up[] = { BODY / PAGE, BODY / PAGE + 1 },
		       down[] = { BODY / PAGE + 4, BODY / PAGE + 3 };
	struct fixture f;

	start(&f, 0);
	pages(&f, 0, up, 2);
	pages(&f, 0, down, 2);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(gone(&f, i), i != 2 && i < 5);
	pages(&f, 1, up, 2);
	driver_done(&f.d);
}

/* A page number may lie in two buffers. */
static void split_number(_unused_ void **state)
{
	struct fixture f;
	uint32_t pfn = BODY / PAGE + 6;
	uint64_t a;

	start(&f, 0);
	a = driver_alloc(&f.d, 4);
	memcpy(driver_at(&f.d, a), &pfn, 4);
	ring_desc_set(&f.d, &f.d.rings[0], 0, a, 1, DESC_F_NEXT, 1);
	ring_desc_set(&f.d, &f.d.rings[0], 1, a + 1, 3, 0, 0);
	ring_publish(&f.d, &f.d.rings[0], 0);
	reg_put(&f.d, R_NOTIFY, 0);
	driver_take(&f.d, 0);
	assert_true(gone(&f, 6));
	assert_false(gone(&f, 5));
	assert_false(gone(&f, 7));
	driver_done(&f.d);
}

/* Only whole pages of what is reported, on each queue that reports may come over. */
static void reports(_unused_ void **state)
{
	static const struct {
		uint64_t features;
		unsigned queue;
	} cases[] = { { F_REPORTING, 2 }, { F_REPORTING | F_STATS, 3 }, { F_REPORTING, 4 } };

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct virtio_balloon_stats s;
		struct fixture f;

		start(&f, cases[i].features);
		ring_add(&f.d, &f.d.rings[cases[i].queue], BODY + 100, 3 * PAGE, true);
		reg_put(&f.d, R_NOTIFY, cases[i].queue);
		driver_take(&f.d, cases[i].queue);
		assert_int_equal(*(uint8_t *)driver_at(&f.d, BODY), 0x55);
		assert_true(gone(&f, 1) && gone(&f, 2));
		assert_false(gone(&f, 3));
		virtio_balloon_stats(f.b, &s);
		assert_int_equal(s.reported, 2 * PAGE);
		driver_done(&f.d);
	}
}

static void config(_unused_ void **state)
{
	struct virtio_balloon_stats s;
	struct fixture f;
	uint32_t generation;

	start(&f, 0);
	generation = reg_get(&f.d, 0xfc);
	virtio_balloon_set(f.b, 10 * PAGE + 1);
	assert_true(driver_wait(&f.d));
	assert_int_equal(reg_get(&f.d, R_CONFIG), 10);
	assert_int_not_equal(reg_get(&f.d, 0xfc), generation);
	reg_put(&f.d, R_CONFIG + 4, 7);
	reg_put(&f.d, R_CONFIG, 9);	/* not its to say */
	reg_put(&f.d, R_CONFIG + 8, 9); /* behind the end */
	assert_int_equal(reg_get(&f.d, R_CONFIG), 10);
	assert_int_equal(reg_get(&f.d, R_CONFIG + 4), 7);
	virtio_balloon_stats(f.b, &s);
	assert_int_equal(s.ballooned, 7 * PAGE);
	assert_true(s.free == UINT64_MAX);
	driver_done(&f.d);
}

static void put_stat(struct fixture *f, uint64_t a, uint16_t tag, uint64_t value)
{
	memcpy(driver_at(&f->d, a), &tag, 2);
	memcpy(driver_at(&f->d, a + 2), &value, 8);
}

/* The guest's buffer, which Linux gives before it is ready, is kept until somebody asks. */
static void statistics(_unused_ void **state)
{
	struct virtio_balloon_stats s = { .total = UINT64_MAX };
	struct fixture f;
	uint64_t a;

	prepare(&f, F_STATS);
	a = driver_alloc(&f.d, 30);
	put_stat(&f, a, 4, 12345);
	put_stat(&f, a + 10, 5, 67890);
	put_stat(&f, a + 20, 999, 1);
	ring_add(&f.d, &f.d.rings[2], a, 33, false); /* and 3 bytes that are none */
	reg_put(&f.d, R_NOTIFY, 2);
	driver_ready(&f.d);
	for (int i = 0; i < 1000 && s.total == UINT64_MAX; i++) {
		usleep(1000);
		virtio_balloon_stats(f.b, &s);
	}
	assert_int_equal(s.free, 12345);
	assert_int_equal(s.total, 67890);
	assert_false(ring_used(&f.d, &f.d.rings[2]));
	virtio_balloon_ask(f.b);
	driver_take(&f.d, 2);
	virtio_balloon_ask(f.b); /* nothing to give back: nothing happens */
	driver_done(&f.d);
}

/* Memory that the guest does not have, numbers without end, a ring out of memory. */
static void hostile(_unused_ void **state)
{
	const uint32_t bad[] = { 0, RAM_GPA / PAGE - 1, (RAM_GPA + RAM_SIZE) / PAGE, UINT32_MAX };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture f;
		uint64_t a;

		start(&f, F_REPORTING);
		a = driver_alloc(&f.d, 4);
		memcpy(driver_at(&f.d, a), &bad[i], 4);
		ring_add(&f.d, &f.d.rings[0], a, 4, false);
		reg_put(&f.d, R_NOTIFY, 0);
		driver_wait_reset(&f.d);
		driver_start(&f.d, F_REPORTING, 5, 16); /* and is as new */
		pages(&f, 0, &(uint32_t){ BODY / PAGE }, 1);
		assert_true(gone(&f, 0));
		ring_add(&f.d, &f.d.rings[2], RAM_GPA + RAM_SIZE - 8, 16, true);
		reg_put(&f.d, R_NOTIFY, 2);
		driver_wait_reset(&f.d);
		driver_done(&f.d);
	}
}

static void too_many(_unused_ void **state)
{
	struct fixture f;

	start(&f, 0);
	ring_add(&f.d, &f.d.rings[0], RAM_GPA, 65537 * 4, false);
	reg_put(&f.d, R_NOTIFY, 0);
	driver_wait_reset(&f.d);
	driver_done(&f.d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inflates),   cmocka_unit_test(split_number),
		cmocka_unit_test(reports),    cmocka_unit_test(config),
		cmocka_unit_test(statistics), cmocka_unit_test(hostile),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests_name("virtio/balloon", tests, NULL, NULL);
}
