/* SPDX-License-Identifier: Apache-2.0 */
/* What devices have moved: an answer that whatever runs gives, and that nobody waits for long. */
#include "tests/runtime/fixture.h"

#include <sys/socket.h>

static const char answer[] = "five\n";

/* How many bytes of it what runs says; -1: it says nothing, and holds the descriptor. */
static int says;

static int give_stats(_unused_ void *ctx, int *ret_fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (says > 0 && send(pair[1], answer, (size_t)says, 0) != says)
		return -EIO;
	if (says >= 0)
		close(pair[1]);
	*ret_fd = pair[0];
	return 0;
}

static pid_t start(struct inst *i, bool counts)
{
	struct isolation iso = script_isolation;
	pid_t pid = fork();

	if (pid == 0) {
		struct script s = { .text = "exec sleep 100", .process = { .pidfd = -1 } };
		struct supervise v = {
			.inst = i,
			.iso = &iso,
			.ctx = &s,
			.stdio = { -1, -1, -1 },
			.report_fd = -1,
		};

		if (counts)
			iso.stats = give_stats;
		supervise(&v);
		_exit(0);
	}
	while (state_of(i).status != INST_RUNNING)
		poll(NULL, 0, 1);
	return pid;
}

static void end(struct inst *i, pid_t pid)
{
	char b[5];

	assert_int_equal(inst_stop(i, SIGKILL, 0), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(inst_stats(i, b, sizeof(b)), -ESRCH);
}

static void test_answers(void **state)
{
	static const struct {
		int says, result;
	} cases[] = {
		{ 5, 0 }, { 4, -EBADMSG }, { 6, -EBADMSG }, { 0, -ESRCH }, { -1, -ETIMEDOUT }
	};
	struct fixture *f = *state;

	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		struct inst *i = make_inst(f, "one", NULL);
		char b[5] = "none";
		pid_t pid;

		says = cases[n].says;
		pid = start(i, true);
		assert_int_equal(inst_stats(i, b, sizeof(b)), cases[n].result);
		assert_memory_equal(b, cases[n].result ? "none" : "five\n", sizeof(b));
		end(i, pid);
		assert_int_equal(inst_delete(i), 0);
		inst_close(i);
	}
}

static void test_none(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	pid_t pid = start(i, false);
	char b[5];

	assert_int_equal(inst_stats(i, b, sizeof(b)), -EOPNOTSUPP);
	end(i, pid);
	inst_close(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
