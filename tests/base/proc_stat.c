/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc_stat.h"

#include "tests/base/unit.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static void parses(_unused_ void **state)
{
	const char *bad[] = { "",	   "1",
			      "1 (a",	   "1 (a)",
			      "1 (a) ",	   "1 (a) S",
			      "1 (a) S x", "1 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18" };
	struct proc_stat s = { 0 };

	assert_ok(proc_stat_parse("7 (a) Z 1 (b) 2) S 3 4 5 0 -1 6 0 0 0 0 200 50 0 0 20 0 1 0 99 "
				  "18446744073709551615 3\n",
				  &s));
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.ppid, 3);
	assert_int_equal(s.cpu_ns, 250 * (1000000000 / sysconf(_SC_CLK_TCK)));
	assert_int_equal(s.start, 99);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(proc_stat_parse(bad[i], &s), -EBADMSG);
	assert_int_equal(s.start, 99);
}

static void of_processes(_unused_ void **state)
{
	struct proc_stat mine = { 0 }, its = { 0 };
	pid_t pid;

	prctl(PR_SET_NAME, "a) Z 1 (b) 2", 0, 0, 0);
	while (clock() < CLOCKS_PER_SEC / 20)
		;
	assert_ok(proc_stat(getpid(), &mine));
	assert_true(mine.start > 0 && mine.cpu_ns >= 30000000 && mine.ppid == getppid());
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_ok(proc_stat(pid, &its));
	assert_true(its.ppid == getpid() && its.start >= mine.start && its.state != 'Z');
	kill(pid, SIGKILL);
	assert_ok(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT));
	assert_ok(proc_stat(pid, &its));
	assert_int_equal(its.state, 'Z');
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_stat(pid, &its), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(parses),
					    cmocka_unit_test(of_processes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
