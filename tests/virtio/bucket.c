/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/bucket.h"

#include "tests/base/unit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_bound),
		cmocka_unit_test(rate),
		cmocka_unit_test(silence),
		cmocka_unit_test(large),
	};

	return cmocka_run_group_tests_name("virtio/bucket", tests, NULL, NULL);
}
