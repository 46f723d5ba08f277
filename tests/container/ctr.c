/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a container: create, start, exit codes, errors, what comes from outside. */
#include "tests/container/box.h"

#include <signal.h>
#include <sys/resource.h>

static char *const cmd_true[] = { (char *)"true", NULL };

static int run1(const char *name)
{
	char *const argv[] = { (char *)name, NULL };
	struct ctr_spec s = box_spec(argv);

	return box_run(&s);
}

static void exit_codes(void **state _unused_)
{
	assert_int_equal(run1("true"), 0);
	assert_int_equal(run1("/bin/true"), 0);
	assert_int_equal(box_script(NULL, "exit 7"), 7);
	/*
	 * The first process of a pid namespace ignores what it does not handle, so a child of it
	 * dies.
	 */
	assert_int_equal(box_script(NULL, "sh -c 'kill -9 $$'; exit $?"), 128 + SIGKILL);
}

static void killed_from_outside(void **state _unused_)
{
	char *const argv[] = { (char *)"sleep", (char *)"1000", NULL };
	struct ctr_spec s = box_spec(argv);
	struct ctr *c;
	int status;

	assert_int_equal(ctr_create(&s, &c), 0);
	fd_close(s.root_mount);
	assert_true(ctr_pid(c) > 0);
	assert_int_equal(ctr_start(c), 0);
	assert_int_equal(ctr_start(c), -EALREADY);
	err_clear();
	assert_int_equal(ctr_console(c), -1);
	assert_int_equal(proc_pidfd_kill(ctr_pidfd(c), SIGKILL), 0);
	assert_int_equal(proc_wait(ctr_pidfd(c), &status), 0);
	assert_int_equal(status, 128 + SIGKILL);
	ctr_free(c);
}

/* Created and forgotten: it ends by itself, having run nothing. */
static void never_started(void **state _unused_)
{
	struct ctr_spec s = box_spec(cmd_true);
	struct ctr *c;
	int status, pidfd;

	assert_int_equal(ctr_create(&s, &c), 0);
	fd_close(s.root_mount);
	pidfd = fcntl(ctr_pidfd(c), F_DUPFD_CLOEXEC, 3);
	ctr_free(c);
	assert_int_equal(proc_wait(pidfd, &status), 0);
	assert_int_equal(status, 125);
	fd_close(pidfd);
}

static void missing_command(void **state _unused_)
{
	assert_int_equal(run1("nosuch"), -ENOENT);
	assert_string_equal(err_take(-ENOENT),
			    "exec \"nosuch\": executable file not found in $PATH");
	assert_int_equal(run1("/nosuch"), -ENOENT);
	assert_string_equal(err_take(-ENOENT), "exec \"/nosuch\": no such file or directory");
	assert_int_equal(run1("/bin/true/x"), -ENOENT);
	err_clear();
	assert_int_equal(run1(""), -ENOENT);
	err_clear();
}

static void not_executable(void **state _unused_)
{
	box_write("bin/data", "x", 0644);
	assert_int_equal(run1("data"), -EACCES);
	assert_string_equal(err_take(-EACCES), "exec \"data\": permission denied");
	assert_int_equal(run1("/bin/data"), -EACCES);
	err_clear();
	assert_int_equal(run1("/etc"), -EACCES);
	err_clear();
	box_write("bin/garbage", "\177garbage", 0755);
	assert_int_equal(run1("garbage"), -ENOEXEC);
	err_clear();
}

static int refuse(void *ctx, pid_t pid)
{
	*(pid_t *)ctx = pid;
	return err(-EDQUOT, "refused");
}

static int admit(void *ctx, pid_t pid)
{
	*(pid_t *)ctx = pid;
	return 0;
}

static void enter_decides(void **state _unused_)
{
	struct ctr_spec s = box_spec(cmd_true);
	pid_t pid = 0;

	s.enter = refuse;
	s.enter_ctx = &pid;
	assert_int_equal(box_run(&s), -EDQUOT);
	assert_string_equal(err_take(-EDQUOT), "refused");
	assert_true(pid > 0);
	/* Reaped: nothing waits for us. */
	assert_int_equal(kill(pid, 0), -1);
	s = box_spec(cmd_true);
	s.enter = admit;
	s.enter_ctx = &pid;
	assert_int_equal(box_run(&s), 0);
}

static void bad_specs(void **state _unused_)
{
	char *const none[] = { NULL };
	struct ctr_spec s = box_spec(none);

	assert_int_equal(box_run(&s), -EINVAL);
	err_clear();
	s = box_spec(cmd_true);
	fd_close(s.root_mount);
	s.root_mount = -1;
	assert_int_equal(box_run(&s), -EBADF);
	err_clear();
	s = box_spec(cmd_true);
	s.mounts = &(struct ctr_mount){ .source = "/nosuch", .target = "/x" };
	s.nmounts = 1;
	assert_int_equal(box_run(&s), -ENOENT);
	assert_non_null(strstr(err_take(-ENOENT), "/nosuch"));
}

static void rlimits(void **state _unused_)
{
	static const struct ctr_rlimit l[] = { { RLIMIT_NOFILE, { 64, 128 } },
					       { RLIMIT_CORE, { 0, 0 } } };
	struct ctr_spec s = box_spec(NULL);

	s.rlimits = l;
	s.nrlimits = ARRAY_SIZE(l);
	assert_int_equal(box_script(&s, "ulimit -n; ulimit -Hn; ulimit -c"), 0);
	assert_out("64\n128\n0\n");
}

static void environment(void **state _unused_)
{
	char *const env[] = { (char *)"A=1", (char *)"PATH=/bin", (char *)"HOME=/there", NULL };
	struct ctr_spec s = box_spec(NULL);

	s.env = env;
	assert_int_equal(box_script(&s, "echo $A $PATH $HOME"), 0);
	assert_out("1 /bin /there\n");
	assert_int_equal(box_script(NULL, "echo $PATH $HOME"), 0);
	assert_out("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /root\n");
}

static void no_path_no_command(void **state _unused_)
{
	char *const env[] = { (char *)"PATH=relative::/nosuch", NULL };
	struct ctr_spec s = box_spec(cmd_true);

	s.env = env;
	assert_int_equal(box_run(&s), -ENOENT);
	err_clear();
}

static void working_directory(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	s.cwd = "/made/for/you";
	assert_int_equal(box_script(&s, "pwd; stat -c %a:%u ."), 0);
	assert_out("/made/for/you\n755:0\n");
	s = box_spec(NULL);
	s.cwd = "relative";
	assert_int_equal(box_script(&s, "pwd"), -EINVAL);
	err_clear();
	s = box_spec(NULL);
	s.cwd = "/bin/busybox";
	assert_int_equal(box_script(&s, "pwd"), -ENOTDIR);
	err_clear();
}

/* CVE-2024-21626: descriptors of ours are no way out. */
static void no_way_out_by_cwd(void **state _unused_)
{
	for (int fd = 3; fd < 12; fd++) {
		char cwd[32];
		struct ctr_spec s = box_spec(NULL);

		snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
		s.cwd = cwd;
		assert_true(box_script(&s, "pwd") < 0);
		err_clear();
	}
}

static void cwd_is_the_users(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	assert_int_equal(mkdirat(box.root, "private", 0700), 0);
	s.cwd = "/private";
	s.user = "app";
	assert_int_equal(box_script(&s, "pwd"), -EACCES);
	err_clear();
}

static void terminal(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	s.tty = true;
	s.rows = 33;
	s.cols = 99;
	assert_int_equal(
		box_script(&s, "tty; stty size; echo hello > /dev/tty; test -c /dev/console"), 0);
	assert_out("/dev/pts/0\r\n33 99\r\nhello\r\n");
	s = box_spec(NULL);
	s.tty = true;
	s.user = "app";
	assert_int_equal(box_script(&s, "echo mine > /dev/stdout; stat -c %u /dev/pts/0"), 0);
	assert_out("mine\r\n1000\r\n");
}

static void users_own_their_pipes(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	s.user = "app";
	assert_int_equal(box_script(&s, "echo mine > /dev/stdout"), 0);
	assert_out("mine\n");
}

static void no_foreign_descriptors(void **state _unused_)
{
	int leak = fcntl(box.root, F_DUPFD, 50); /* without FD_CLOEXEC */

	assert_int_equal(box_script(NULL, "cd /proc/self/fd; echo *"), 0);
	fd_close(leak);
	/* 3 is the shell's own, reading the directory. */
	assert_true(streq(box.out, "0 1 2\n") || streq(box.out, "0 1 2 3\n"));
}

static void signals_are_default(void **state _unused_)
{
	char *const argv[] = { (char *)"grep", (char *)"-E", (char *)"SigBlk|SigIgn",
			       (char *)"/proc/self/status", NULL };
	struct ctr_spec s = box_spec(argv);
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert_int_equal(box_run(&s), 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGPIPE, SIG_DFL);
	assert_out("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static char *mountinfo(void)
{
	char *text = NULL;

	assert_int_equal(file_read_all(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &text, NULL), 0);
	return text;
}

static void nothing_is_left(void **state _unused_)
{
	char *before = mountinfo(), *after;

	assert_int_equal(run1("true"), 0);
	assert_int_equal(run1("nosuch"), -ENOENT);
	err_clear();
	after = mountinfo();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(killed_from_outside),
		cmocka_unit_test(never_started),
		cmocka_unit_test(missing_command),
		cmocka_unit_test(not_executable),
		cmocka_unit_test(enter_decides),
		cmocka_unit_test(bad_specs),
		cmocka_unit_test(rlimits),
		cmocka_unit_test(environment),
		cmocka_unit_test(no_path_no_command),
		cmocka_unit_test(working_directory),
		cmocka_unit_test(no_way_out_by_cwd),
		cmocka_unit_test(cwd_is_the_users),
		cmocka_unit_test(terminal),
		cmocka_unit_test(users_own_their_pipes),
		cmocka_unit_test(no_foreign_descriptors),
		cmocka_unit_test(signals_are_default),
		cmocka_unit_test(nothing_is_left),
	};

	if (box_skips())
		return 0;
	return cmocka_run_group_tests_name("ctr", tests, box_setup, box_teardown);
}
