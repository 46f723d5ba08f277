/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter that does not fit: refused whole, wherever it was full. What one answers: jail_thread.c.
 */
#include "microvm/filter.h"

#include "base/err.h"
#include "base/mem.h"
#include "tests/base/unit.h"
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void refused(struct filter *f)
{
	assert_int_equal(filter_install(f, 0), -E2BIG);
	assert_string_equal(err_take(-E2BIG), "VM's jail: the seccomp filter is too long");
}

/* All but @left of the instructions. */
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
	for (uint32_t k = 0; k < 256; k++)
		filter_if_equal(&f, k, FILTER_ALLOW);
	assert_false(f.failed);
	filter_rule_end(&f);
	refused(&f);
}

#define ERRORS 3u /* as many answers, in turn */

/* Linux has them called by code of its own alone: no filter is asked, or SIGILL comes. */
static bool is_of_kernel(unsigned nr)
{
	return nr == SYS_rt_sigreturn || (nr >= NR_URETPROBE && nr < SYS_pidfd_send_signal);
}

/* Installs it and asks: the number of the first call whose answer is another one, or 0. */
static int wrong_answer(void)
{
	const short kept[] = { SYS_exit_group, SYS_write };
	struct filter f;

	filter_init(&f);
	for (unsigned nr = 0; nr < ARRAY_SIZE(f.actions); nr++)
		f.actions[nr] = SECCOMP_RET_ERRNO | (1 + nr % ERRORS);
	filter_set(&f, kept, ARRAY_SIZE(kept), FILTER_ALLOW);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (filter_install(&f, 0) < 0)
		return 255;
	for (unsigned nr = 2; nr < ARRAY_SIZE(f.actions); nr++)
		if (nr != SYS_exit_group && !is_of_kernel(nr) &&
		    (syscall(nr) != -1 || errno != (int)(1 + nr % ERRORS)))
			return 1;
	return syscall(FILTER_KNOWN + 1) == -1 && errno == ENOSYS ? 0 : 2;
}

/* Each number another answer than its neighbours: returns are further away than a jump goes. */
static void returns_all_over(_unused_ void **state)
{
	int status;
	pid_t pid = fork();

	/* Not by _exit(), before which ASan asks the kernel for its signal stack. */
	if (pid == 0)
		syscall(SYS_exit_group, wrong_answer());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_before_a_rule),
		cmocka_unit_test(full_within_a_rule),
		cmocka_unit_test(full_before_the_tree),
		cmocka_unit_test(a_rule_too_long),
		cmocka_unit_test(returns_all_over),
	};

	return cmocka_run_group_tests_name("microvm/filter", tests, NULL, NULL);
}
