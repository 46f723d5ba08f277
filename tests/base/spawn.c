/* SPDX-License-Identifier: Apache-2.0 */
/* This program is also the child: it says what it holds. */
#include "base/buf.h"
#include "base/proc.h"
#include "base/str.h"
#include "tests/base/unit.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define SELF "/proc/self/exe"

/* "0 1 5 |blocked|ignored|VALUE of NAME|argv[2]": the open descriptors and the signals. */
static int report(const char *arg)
{
	static const char *const fields[] = { "SigBlk:\t", "SigIgn:\t" };
	_buf_done_ struct buf b = { 0 };
	_free_ char *status = NULL;

	/* What a sanitizer has opened is above. */
	for (int fd = 0; fd < 100; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			buf_addf(&b, "%d ", fd);
	}
	file_read_all(AT_FDCWD, "/proc/self/status", 1 << 20, &status, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		buf_addf(&b, "|%.16s", strstr(status, fields[i]) + strlen(fields[i]));
	buf_addf(&b, "|%s|%s", getenv("NAME") ?: "", arg ?: "");
	return fd_write_full(1, b.data, b.len);
}

#define NO_SIGNALS "|0000000000000000|0000000000000000"

/* argv is not const for execve(2), whatever it does with it. */
#define WORD(s) ((char[]){ s })

static char *const report_argv[] = { WORD("spawn"), WORD("report"), WORD("argument"), NULL };
static char *const count_argv[] = { WORD("spawn"), WORD("count"), NULL };
static char *const identify_argv[] = { WORD("spawn"), WORD("identify"), NULL };
static char *const env[] = { WORD("NAME=value"), NULL };

static int spawn_and_wait(char *const *argv, char *const *environment, const int *fds, int nfds)
{
	_close_ int pidfd = -1;
	int status = -1;
	pid_t pid = -1;

	assert_ok(proc_spawn(SELF, argv, environment, fds, nfds, &pid, &pidfd));
	assert_true(pid > 0);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_ok(proc_wait(pidfd, &status));
	return status;
}

static void expect_text(int fd, const char *text)
{
	char got[500] = { 0 };

	assert_true(pread(fd, got, sizeof(got) - 1, 0) >= 0);
	assert_string_equal(got, text);
}

static void inherits_what_is_given(_unused_ void **state)
{
	_close_ int out = fd_memfd("out", NULL, 0);
	_close_ int leak = fcntl(out, F_DUPFD, 20); /* not O_CLOEXEC */
	const int fds[] = { -1, out, -1, out };

	assert_int_equal(spawn_and_wait(report_argv, env, fds, 4), 0);
	expect_text(out, "0 1 2 3 " NO_SIGNALS "|value|argument");
}

static void our_environment(_unused_ void **state)
{
	_close_ int out = fd_memfd("out", NULL, 0);
	const int fds[] = { -1, out };

	setenv("NAME", "ours", 1);
	assert_int_equal(spawn_and_wait(report_argv, NULL, fds, 2), 0);
	expect_text(out, "0 1 " NO_SIGNALS "|ours|argument");
}

static void nothing_is_inherited(_unused_ void **state)
{
	assert_int_equal(spawn_and_wait(count_argv, env, NULL, 0), 0);
}

/* Ours are called like the ones to be given, the other way round. */
static void renumbering_clobbers_nothing(_unused_ void **state)
{
	int saved[6], given[6], files[6];
	int status;

	for (int i = 0; i < 6; i++) {
		char text = (char)('0' + i);

		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 50);
		files[i] = fd_memfd("file", &text, 1);
		files[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 70);
	}
	/* Number 5 - i holds file i, and shall become number i. */
	for (int i = 0; i < 6; i++) {
		given[i] = 5 - i;
		assert_int_equal(dup3(files[i], 5 - i, O_CLOEXEC), 5 - i);
	}
	status = spawn_and_wait(identify_argv, env, given, 6);
	for (int i = 0; i < 6; i++) {
		if (saved[i] >= 0)
			dup2(saved[i], i);
		else
			close(i);
		fd_close(saved[i]);
		fd_close(files[i]);
	}
	assert_int_equal(status, 0);
}

static void handler(_unused_ int sig)
{
}

static void signals_are_default(_unused_ void **state)
{
	_close_ int out = fd_memfd("out", NULL, 0);
	const int fds[] = { -1, out };
	sigset_t block, old, now;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, handler);
	signal(SIGRTMAX, SIG_IGN);
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGRTMIN + 3);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	assert_int_equal(spawn_and_wait(report_argv, env, fds, 2), 0);
	pthread_sigmask(SIG_SETMASK, &old, &now);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGRTMAX, SIG_DFL);
	assert_true(signal(SIGUSR1, SIG_DFL) == handler);
	assert_int_equal(sigismember(&now, SIGTERM), 1);
	assert_int_equal(sigismember(&now, SIGUSR1), 0);
	expect_text(out, "0 1 " NO_SIGNALS "|value|argument");
}

static void failures_are_told(_unused_ void **state)
{
	char path[64], script[80];
	int dir = temp_open(path), pidfd = -7, bad = 987;
	pid_t pid = -7;

	assert_int_equal(proc_spawn("/no/such", report_argv, env, NULL, 0, &pid, &pidfd), -ENOENT);
	temp_file(dir, "plain", "");
	snprintf(script, sizeof(script), "%s/plain", path);
	assert_int_equal(proc_spawn(script, report_argv, env, NULL, 0, &pid, &pidfd), -EACCES);
	assert_ok(fchmodat(dir, "plain", 0755, 0));
	assert_int_equal(proc_spawn(script, report_argv, env, NULL, 0, &pid, &pidfd), -ENOEXEC);
	assert_int_equal(proc_spawn(SELF, report_argv, env, &bad, 1, &pid, &pidfd), -EBADF);
	/* A folder that is no group; where clone3 is kept from us, that comes first. */
	bad = proc_spawn_in(dir, SELF, report_argv, env, NULL, 0, &pid, &pidfd);
	assert_true(bad == -EBADF || bad == -ENOSYS || bad == -EPERM);
	assert_int_equal(pid, -7);
	assert_int_equal(pidfd, -7);
	temp_close(path, dir);
	/* No child is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void *spawn_many(_unused_ void *arg)
{
	for (int i = 0; i < 20; i++) {
		_close_ int pidfd = -1;
		int status = -1;

		if (proc_spawn(SELF, count_argv, env, NULL, 0, NULL, &pidfd) < 0 ||
		    proc_wait(pidfd, &status) < 0 || status)
			return (void *)1;
	}
	return NULL;
}

static void from_threads(_unused_ void **state)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_ok(pthread_create(&threads[i], NULL, spawn_many, NULL));
	for (int i = 0; i < 4; i++) {
		void *failed;

		assert_ok(pthread_join(threads[i], &failed));
		assert_null(failed);
	}
}

/* How many descriptors below 100 are open. */
static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* 0 when descriptor i is the file that holds the digit i, for six. */
static int identify(void)
{
	for (int i = 0; i < 6; i++) {
		char c = 0;

		if (pread(i, &c, 1, 0) != 1 || c != '0' + i)
			return 1 + i;
	}
	return count_fds() == 6 ? 0 : 10;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inherits_what_is_given),
		cmocka_unit_test(our_environment),
		cmocka_unit_test(nothing_is_inherited),
		cmocka_unit_test(renumbering_clobbers_nothing),
		cmocka_unit_test(signals_are_default),
		cmocka_unit_test(failures_are_told),
		cmocka_unit_test(from_threads),
	};

	if (argc > 1 && streq(argv[1], "report"))
		return -report(argv[2]);
	if (argc > 1 && streq(argv[1], "count"))
		return count_fds();
	if (argc > 1 && streq(argv[1], "identify"))
		return identify();
	return run_units(tests);
}
