/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/bucket.h"

#include "base/clock.h"
#include "base/fd.h"
#include "tests/base/unit.h"
#include <poll.h>
#include <sys/timerfd.h>

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static void no_bound(_unused_ void **state)
{
	struct bucket b;

	bucket_init(&b, 0, 5);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(bucket_wait(&b, 5), 0);
		bucket_take(&b, UINT32_MAX);
	}
}

/* In ten seconds ten seconds' worth and the burst. */
static void rate(_unused_ void **state)
{
	uint64_t now = 7 * S, end = now + 10 * S, moved = 0;
	struct bucket b;

	bucket_init(&b, 1000000, now);
	while (now < end) {
		uint64_t ns = bucket_wait(&b, now);

		if (ns) {
			assert_true(ns <= 2 * MS);
			now += ns;
			continue;
		}
		bucket_take(&b, 1500);
		moved += 1500;
	}
	assert_true(moved >= 10000000 && moved <= 10000000 + 100000 + 1500);
}

/* After a long silence there is one burst, not more. */
static void silence(_unused_ void **state)
{
	struct bucket b;
	uint64_t moved = 0;

	bucket_init(&b, 1000, 0);
	while (bucket_wait(&b, UINT64_MAX / 2) == 0) {
		bucket_take(&b, 10);
		moved += 10;
	}
	assert_int_equal(moved, 100);
}

/* What is larger than the bucket goes, and is paid for. */
static void large(_unused_ void **state)
{
	struct bucket b;

	bucket_init(&b, 1000, 0);
	assert_int_equal(bucket_wait(&b, 0), 0);
	bucket_take(&b, 5100);
	assert_int_equal(bucket_wait(&b, 0), 5001 * MS);
	assert_int_equal(bucket_wait(&b, 5 * S), MS);
	assert_int_equal(bucket_wait(&b, 5001 * MS), 0);
}

/* Who may not is told when he may, and not before; without a bound nobody waits. */
static void told_by_timer(_unused_ void **state)
{
	_close_ int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct pollfd p = { .fd = timer, .events = POLLIN };
	uint64_t began = clock_ns();
	struct bucket b;

	bucket_init(&b, 1000, began);
	assert_true(bucket_may(&b, timer));
	assert_int_equal(poll(&p, 1, 0), 0);
	bucket_take(&b, 150);
	assert_false(bucket_may(&b, timer));
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_true(clock_ns() - began >= 51 * MS);
	assert_true(bucket_may(&b, timer));
	bucket_init(&b, 0, began);
	bucket_take(&b, UINT32_MAX);
	assert_true(bucket_may(&b, -1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_bound),	 cmocka_unit_test(rate),
		cmocka_unit_test(silence),	 cmocka_unit_test(large),
		cmocka_unit_test(told_by_timer),
	};

	return cmocka_run_group_tests_name("virtio/bucket", tests, NULL, NULL);
}
