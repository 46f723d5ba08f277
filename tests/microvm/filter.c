/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter that does not fit: refused whole, wherever it was full. What one answers: jail_thread.c.
 */
#include "microvm/filter.h"

#include "base/err.h"
#include "tests/base/unit.h"
#include <sys/syscall.h>

static void refused(struct filter *f)
{
	assert_int_equal(filter_install(f, 0), -E2BIG);
	assert_string_equal(err_take(-E2BIG), "VM's jail: the seccomp filter is too long");
}

/* Two instructions a call, so that @left of them are free. */
static void fill(struct filter *f, unsigned left)
{
	filter_init(f);
	while (f->n + left < ARRAY_SIZE(f->insns))
		filter_call(f, SYS_getpid, FILTER_ALLOW);
}

static void full_before_a_rule(_unused_ void **state)
{
	struct filter f;

	fill(&f, 0);
	assert_int_equal(f.n, ARRAY_SIZE(f.insns));
	filter_rule(&f, SYS_ioctl, 1);
	filter_rule_end(&f);
	assert_int_equal(f.n, ARRAY_SIZE(f.insns));
	assert_int_equal(f.rule, ARRAY_SIZE(f.insns));
	refused(&f);
}

static void full_within_a_rule(_unused_ void **state)
{
	struct filter f;

	fill(&f, 2);
	filter_rule(&f, SYS_ioctl, 1);
	filter_if_equal(&f, 1, FILTER_ALLOW);
	filter_rule_end(&f);
	refused(&f);
}

static void full_before_the_tree(_unused_ void **state)
{
	struct filter f;

	fill(&f, 0);
	refused(&f);
}

/* A jump is of 255 instructions at most: a longer rule would end in the middle of itself. */
static void a_rule_too_long(_unused_ void **state)
{
	struct filter f;

	filter_init(&f);
	filter_rule(&f, SYS_ioctl, 1);
	for (uint32_t k = 0; k < 128; k++)
		filter_if_equal(&f, k, FILTER_ALLOW);
	assert_false(f.failed);
	filter_rule_end(&f);
	refused(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_before_a_rule),
		cmocka_unit_test(full_within_a_rule),
		cmocka_unit_test(full_before_the_tree),
		cmocka_unit_test(a_rule_too_long),
	};

	return cmocka_run_group_tests_name("microvm/filter", tests, NULL, NULL);
}
