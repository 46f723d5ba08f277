/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "tests/base/unit.h"

static void grow_doubles_and_zeroes(_unused_ void **state)
{
	_free_ uint32_t *array = NULL;
	size_t cap = 0;

	assert_ok(mem_grow(&array, &cap, 0, sizeof(*array)));
	assert_null(array);
	for (size_t i = 0; i < 1000; i++) {
		size_t before = cap;

		assert_ok(mem_grow(&array, &cap, i + 1, sizeof(*array)));
		assert_true(cap > i);
		assert_true(cap == before || cap >= 2 * before);
		assert_int_equal(array[cap - 1], 0);
		array[i] = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(array[i], i + 1);
}

static void grow_cannot_overflow(_unused_ void **state)
{
	_free_ uint64_t *array = NULL;
	size_t cap = 0;

	assert_ok(mem_grow(&array, &cap, 4, sizeof(*array)));
	array[0] = 42;
	assert_int_equal(mem_grow(&array, &cap, SIZE_MAX, sizeof(*array)), -ENOMEM);
	assert_int_equal(mem_grow(&array, &cap, SIZE_MAX / 8 + 2, sizeof(*array)), -ENOMEM);
	assert_int_equal(array[0], 42);
	assert_int_equal(cap, 8);
}

static void new_cannot_overflow(_unused_ void **state)
{
	volatile size_t huge = SIZE_MAX / 2;
	_free_ char *none = mem_new(0, 0);

	assert_non_null(none);
#if !defined(__SANITIZE_ADDRESS__) && \
	!defined(__SANITIZE_THREAD__) /* they end the program instead */
	assert_null(mem_new(huge, 4));
#endif
	(void)huge;
}

static void dup_copies(_unused_ void **state)
{
	_free_ char *copy = mem_dup("a\0b", 3);
	_free_ char *empty = mem_dup(NULL, 0);

	assert_memory_equal(copy, "a\0b", 3);
	assert_non_null(empty);
}

static void ownership_is_handed_over(_unused_ void **state)
{
	_free_ char *p = strdup("mine");
	_free_ char *q = take_ptr(p);

	assert_null(p);
	assert_string_equal(q, "mine");
}

static void sizes(_unused_ void **state)
{
	assert_int_equal(ROUND_UP(4097, 4096), 8192);
	assert_int_equal(ROUND_UP(4096, 4096), 4096);
	assert_int_equal(MIN(3, 4), 3);
	assert_int_equal(MAX(3, 4), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grow_doubles_and_zeroes),  cmocka_unit_test(grow_cannot_overflow),
		cmocka_unit_test(new_cannot_overflow),	    cmocka_unit_test(dup_copies),
		cmocka_unit_test(ownership_is_handed_over), cmocka_unit_test(sizes),
	};

	return run_units(tests);
}
