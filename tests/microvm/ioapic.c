/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC's registers and latches; what it delivers is seen by a Linux that boots. */
#include "microvm/vm.h"

#include "tests/base/unit.h"

static void put(struct ioapic *a, uint64_t off, uint32_t v)
{
	ioapic_access(a, off, &v, sizeof(v), true);
}

static uint32_t get(struct ioapic *a, uint64_t off)
{
	uint32_t v;

	ioapic_access(a, off, &v, sizeof(v), false);
	return v;
}

static uint32_t reg(struct ioapic *a, uint32_t i)
{
	put(a, 0, i);
	return get(a, 0x10);
}

static void reg_put(struct ioapic *a, uint32_t i, uint32_t v)
{
	put(a, 0, i);
	put(a, 0x10, v);
}

static void registers(_unused_ void **state)
{
	struct ioapic a;

	ioapic_init(&a, -1, 4);
	assert_int_equal(reg(&a, 1), 0x11 | 3 << 16);
	reg_put(&a, 0, 0xffffffff);
	assert_int_equal(reg(&a, 0), 0xff000000);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(reg(&a, 0x10 + 2 * i), 0x10000);
	reg_put(&a, 0x12, 0x00011031);
	reg_put(&a, 0x13, 0x05000000);
	assert_int_equal(reg(&a, 0x12),
			 0x00010031); /* without the delivery status, which is read only */
	assert_int_equal(reg(&a, 0x13), 0x05000000);
	ioapic_done(&a);
}

static void outside(_unused_ void **state)
{
	struct ioapic a;
	uint64_t wide = UINT64_MAX;

	ioapic_init(&a, -1, 4);
	for (uint32_t i = 0x18; i < 0x200; i++) {
		reg_put(&a, i, 0xffffffff);
		(void)reg(&a, i);
	}
	assert_int_equal(reg(&a, 0x18), 0);
	for (uint64_t off = 0; off < 4096; off++) {
		ioapic_access(&a, off, &wide, 8, true);
		ioapic_access(&a, off, &wide, 1, false);
	}
	ioapic_raise(&a, 4);
	ioapic_raise(&a, UINT32_MAX);
	ioapic_done(&a);
}

static void masked_edge_is_kept(_unused_ void **state)
{
	struct ioapic a;

	ioapic_init(&a, -1, 4);
	ioapic_raise(&a, 2);
	assert_true(a.pending[2]);
	reg_put(&a, 0x14, 0x00010040);
	assert_true(a.pending[2]);
	reg_put(&a, 0x14, 0x00000040);
	assert_false(a.pending[2]);
	ioapic_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(outside),
		cmocka_unit_test(masked_edge_is_kept),
	};

	return cmocka_run_group_tests_name("microvm/ioapic", tests, NULL, NULL);
}
