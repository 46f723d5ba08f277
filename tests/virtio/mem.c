/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/base/unit.h"
#include "virtio/virtio.h"

static uint8_t low[0x1000], high[0x2000];
static const struct mem mem = { { { 0, 0x1000, low }, { 0x100000000, 0x2000, high } }, 2 };

static void inside(_unused_ void **state)
{
	assert_ptr_equal(mem_at(&mem, 0, 0x1000), low);
	assert_ptr_equal(mem_at(&mem, 0xfff, 1), low + 0xfff);
	assert_ptr_equal(mem_at(&mem, 0x100000010, 0x1ff0), high + 0x10);
}

static void outside(_unused_ void **state)
{
	assert_null(mem_at(&mem, 0, 0x1001));
	assert_null(mem_at(&mem, 0xfff, 2));
	assert_null(mem_at(&mem, 0x1001, 0));
	assert_null(mem_at(&mem, 0x1000, 1));
	assert_null(mem_at(&mem, 0xffffffff, 2));
	assert_null(mem_at(&mem, UINT64_MAX, 1));
	assert_null(mem_at(&mem, UINT64_MAX, UINT64_MAX));
	assert_null(mem_at(&mem, 0x100001fff, 2));
	assert_null(mem_at(&mem, 1, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inside),
		cmocka_unit_test(outside),
	};

	return cmocka_run_group_tests_name("virtio/mem", tests, NULL, NULL);
}
