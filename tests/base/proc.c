/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include "base/err.h"
#include "base/str.h"
#include "tests/base/unit.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void boot_id(_unused_ void **state)
{
	struct boot_id a, b;

	assert_ok(proc_boot_id(&a));
	assert_ok(proc_boot_id(&b));
	assert_int_equal(strlen(a.s), 36);
	assert_string_equal(a.s, b.s);
}

static pid_t fork_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void start_times(_unused_ void **state)
{
	uint64_t mine, again, child = 0;
	pid_t pid;

	assert_ok(proc_start_time(getpid(), &mine));
	assert_true(mine > 0);
	/* A name that looks like the fields behind it. */
	prctl(PR_SET_NAME, "a) Z 1 (b) 2", 0, 0, 0);
	assert_ok(proc_start_time(getpid(), &again));
	assert_true(mine == again);
	assert_true(proc_alive(getpid(), mine));
	assert_false(proc_alive(getpid(), mine + 1));
	assert_false(proc_alive(0, mine));
	assert_false(proc_alive(-1, mine));

	pid = fork_sleeper();
	assert_ok(proc_start_time(pid, &child));
	assert_true(child >= mine);
	assert_true(proc_alive(pid, child));
	kill(pid, SIGKILL);
	assert_ok(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT));
	assert_false(proc_alive(pid, child)); /* a zombie */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(proc_alive(pid, child));
	assert_int_equal(proc_start_time(pid, &child), -ESRCH);
}

static void pidfds(_unused_ void **state)
{
	pid_t pid = fork_sleeper();
	_close_ int fd = proc_pidfd(pid);
	int status = -1;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_ok(proc_pidfd_kill(fd, 0));
	assert_ok(proc_pidfd_kill(fd, SIGTERM));
	assert_ok(proc_wait(fd, &status));
	assert_int_equal(status, 128 + SIGTERM);
	assert_int_equal(proc_pidfd_kill(fd, 0), -ESRCH);
	assert_int_equal(proc_wait(fd, &status), -ECHILD);
	assert_int_equal(proc_pidfd(-1), -EINVAL);
}

static void exit_codes(_unused_ void **state)
{
	pid_t pid = fork();
	_close_ int fd = -1;
	int status = -1;

	if (pid == 0)
		_exit(42);
	fd = proc_pidfd(pid);
	assert_ok(proc_wait(fd, &status));
	assert_int_equal(status, 42);
}

static void siblings(_unused_ void **state)
{
	_free_ char *path = NULL;
	_free_ char *none = NULL;
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = '\0';
	assert_ok(proc_sibling(strrchr(self, '/') + 1, &path));
	assert_string_equal(path, self);
	assert_int_equal(proc_sibling("no-such-program", &none), -ENOENT);
	assert_null(none);
	assert_non_null(str_after(err_take(-ENOENT), "no-such-program: neither in "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_id),  cmocka_unit_test(start_times),
		cmocka_unit_test(pidfds),   cmocka_unit_test(exit_codes),
		cmocka_unit_test(siblings),
	};

	return run_units(tests);
}
