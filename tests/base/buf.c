/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "tests/base/unit.h"

static void appends(_unused_ void **state)
{
	_buf_done_ struct buf b = { 0 };

	assert_ok(buf_add(&b, NULL, 0));
	assert_ok(buf_adds(&b, "one"));
	assert_ok(buf_addc(&b, ' '));
	assert_ok(buf_addf(&b, "%d-%s", 2, "three"));
	assert_string_equal(b.data, "one 2-three");
	assert_int_equal(b.len, 11);
	assert_ok(buf_zero(&b, 3));
	assert_int_equal(b.len, 14);
	assert_memory_equal(b.data, "one 2-three\0\0\0", 15);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
}

static void grows(_unused_ void **state)
{
	_buf_done_ struct buf b = { 0 };

	for (int i = 0; i < 20000; i++)
		assert_ok(buf_addf(&b, "%05d", i));
	assert_int_equal(b.len, 100000);
	assert_memory_equal(b.data + 5 * 12345, "12345", 5);
	assert_int_equal(b.data[b.len], 0);
}

static void reserves(_unused_ void **state)
{
	_buf_done_ struct buf b = { 0 };
	char *room;

	assert_ok(buf_adds(&b, "ab"));
	room = buf_reserve(&b, 1000);
	assert_ptr_equal(room, b.data + 2);
	assert_true(b.cap >= 1003);
	assert_int_equal(b.len, 2);
	memset(room, 'c', 1000);
	b.len += 1000;
	assert_ok(buf_addc(&b, 'd'));
	assert_int_equal(b.data[1002], 'd');
}

static void failure_is_remembered(_unused_ void **state)
{
	_buf_done_ struct buf b = { 0 };

	assert_ok(buf_adds(&b, "before"));
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	assert_int_equal(buf_adds(&b, "after"), -ENOMEM);
	assert_int_equal(buf_addf(&b, "%d", 1), -ENOMEM);
	assert_int_equal(buf_zero(&b, 1), -ENOMEM);
	assert_string_equal(b.data, "before");
	assert_null(buf_take(&b));
	assert_false(b.failed);
	assert_null(b.data);

	assert_null(buf_reserve(&b, SIZE_MAX - 1));
	buf_reset(&b);
	assert_ok(buf_adds(&b, "again"));
	assert_string_equal(b.data, "again");
}

static void take_hands_over(_unused_ void **state)
{
	struct buf b = { 0 };
	_free_ char *empty = buf_take(&b);
	_free_ char *text = NULL;

	assert_string_equal(empty, "");
	assert_ok(buf_adds(&b, "text"));
	text = buf_take(&b);
	assert_string_equal(text, "text");
	assert_null(b.data);
	assert_int_equal(b.len + b.cap, 0);
	buf_done(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends),	   cmocka_unit_test(grows),
		cmocka_unit_test(reserves),	   cmocka_unit_test(failure_is_remembered),
		cmocka_unit_test(take_hands_over),
	};

	return run_units(tests);
}
