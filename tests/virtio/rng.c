/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

static void fills(_unused_ void **state)
{
	struct driver d;
	uint64_t a, b;
	struct ring_used_elem e;

	driver_init(&d);
	assert_ok(virtio_rng_new(&d.bus, 0xd0000000, 1, &d.m));
	driver_start(&d, 0, 1, 8);
	a = driver_alloc(&d, 64);
	b = driver_alloc(&d, 64);
	ring_add(&d, &d.rings[0], a, 64, true);
	ring_add(&d, &d.rings[0], b, 64, true);
	ring_add(&d, &d.rings[0], b, 64, false); /* nothing to write to */
	reg_put(&d, R_NOTIFY, 0);
	e = driver_take(&d, 0);
	assert_int_equal(e.len, 64);
	assert_int_equal(driver_take(&d, 0).len, 64);
	assert_int_equal(driver_take(&d, 0).len, 0);
	assert_memory_not_equal(driver_at(&d, a), driver_at(&d, b), 64);
	reg_put(&d, R_STATUS, 0);
	driver_done(&d);
}

static void malformed(_unused_ void **state)
{
	struct driver d;

	driver_init(&d);
	assert_ok(virtio_rng_new(&d.bus, 0xd0000000, 1, &d.m));
	driver_start(&d, 0, 1, 8);
	ring_add(&d, &d.rings[0], 0x10, 64, true);
	reg_put(&d, R_NOTIFY, 0);
	driver_wait_reset(&d);
	driver_start(&d, 0, 1, 8);
	ring_add(&d, &d.rings[0], driver_alloc(&d, 64), 64, true);
	reg_put(&d, R_NOTIFY, 0);
	assert_int_equal(driver_take(&d, 0).len, 64);
	driver_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests_name("virtio/rng", tests, NULL, NULL);
}
