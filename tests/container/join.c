/* SPDX-License-Identifier: Apache-2.0 */
/* Further processes in a running container, and what a hostile one can do about them. */
#include "tests/container/box.h"

#include <signal.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

static struct ctr *first;

static void begin(bool userns, enum ctr_network network)
{
	char *const argv[] = { (char *)"sleep", (char *)"1000", NULL };
	struct ctr_spec s = box_spec(argv);

	s.userns = userns;
	s.network = network;
	assert_int_equal(ctr_create(&s, &first), 0);
	fd_close(s.root_mount);
	assert_int_equal(ctr_start(first), 0);
}

static void end(void)
{
	int status;

	assert_int_equal(proc_pidfd_kill(ctr_pidfd(first), SIGKILL), 0);
	assert_int_equal(proc_wait(ctr_pidfd(first), &status), 0);
	ctr_free(first);
}

static int script(struct ctr_spec *s, const char *text)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)text, NULL };

	s->argv = argv;
	return box_run_in(ctr_pidfd(first), s);
}

static int plain(const char *text)
{
	struct ctr_spec s = box_spec(NULL);

	return script(&s, text);
}

static void assert_joined(const char *name)
{
	char path[64], ns[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", ctr_pid(first), name);
	n = readlink(path, ns, sizeof(ns) - 1);
	assert_true(n > 0);
	ns[n] = '\0';
	snprintf(path, sizeof(path), "readlink /proc/self/ns/%s", name);
	assert_int_equal(plain(path), 0);
	assert_int_equal(strncmp(box.out, ns, (size_t)n), 0);
}

static void joins(void **state _unused_)
{
	static const char *const names[] = { "mnt", "pid", "ipc", "uts", "net", "cgroup", "user" };

	begin(false, CTR_NETWORK_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_joined(names[i]);
	assert_int_equal(plain("test $$ != 1 && exit 9"), 9);
	assert_int_equal(plain("ls -d /outside"), 1);
	assert_int_equal(plain("cd /proc/self/fd; echo *"), 0);
	assert_true(streq(box.out, "0 1 2\n") || streq(box.out, "0 1 2 3\n"));
	end();
	/* Children of ours are ours again. */
	assert_int_equal(box_script(NULL, "echo $$"), 0);
	assert_out("1\n");
}

static void is_restricted(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	begin(false, CTR_NETWORK_HOST);
	assert_int_equal(plain("grep -E '^(CapEff|CapBnd|Seccomp|NoNew.*):' /proc/self/status"), 0);
	assert_out("CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n"
		   "NoNewPrivs:\t1\nSeccomp:\t2\n");
	s.user = "app";
	s.cwd = "/etc";
	assert_int_equal(script(&s, "id -u; echo $HOME; pwd; echo x > /dev/stdout"), 0);
	assert_out("1000\n/home/app\n/etc\nx\n");
	s = box_spec(NULL);
	s.cwd = "/nosuch";
	assert_int_equal(script(&s, "pwd"), -ENOENT);
	err_clear();
	end();
}

static void errors_come_back(void **state _unused_)
{
	char *const argv[] = { (char *)"nosuch", NULL };
	struct ctr_spec s = box_spec(argv);
	int pidfd;

	begin(false, CTR_NETWORK_NONE);
	assert_int_equal(box_run_in(ctr_pidfd(first), &s), -ENOENT);
	assert_string_equal(err_take(-ENOENT),
			    "exec \"nosuch\": executable file not found in $PATH");
	pidfd = fcntl(ctr_pidfd(first), F_DUPFD_CLOEXEC, 3);
	end();
	s = box_spec(argv);
	assert_int_equal(box_run_in(pidfd, &s), -ESRCH);
	err_clear();
	fd_close(pidfd);
	assert_int_equal(ctr_exec(-1, &s, &first), -EBADF);
}

static void terminal(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	begin(false, CTR_NETWORK_NONE);
	s.tty = true;
	s.rows = 20;
	s.cols = 70;
	assert_int_equal(script(&s, "tty; stty size"), 0);
	assert_out("/dev/pts/0\r\n20 70\r\n");
	end();
}

/* A devpts that is none, by a link in its place. */
static void forged_terminal(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	s.caps = ~0ull;
	begin(false, CTR_NETWORK_NONE);
	assert_int_equal(script(&s, "mount -t tmpfs x /dev/pts && mknod /dev/pts/ptmx p"), 0);
	s = box_spec(NULL);
	s.tty = true;
	assert_int_equal(script(&s, "tty"), -ENOTTY);
	err_clear();
	end();
}

static void user_namespace(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	begin(true, CTR_NETWORK_NONE);
	s.userns = true;
	assert_int_equal(script(&s, "id -u; cat /proc/self/uid_map"), 0);
	assert_out("0\n         0     100000      65536\n");
	end();
	begin(true, CTR_NETWORK_HOST);
	s = box_spec(NULL);
	s.userns = true;
	assert_int_equal(script(&s, "true"), 0);
	end();
}

/* What it is executed from cannot be written, by whomever (CVE-2019-5736). */
static void program_is_read_only(void **state _unused_)
{
	char path[128];
	int fd, w;

	snprintf(path, sizeof(path), "%s/root/bin/busybox", box.dir);
	fd = ctr_program_open(path);
	assert_true(fd >= 0);
	w = open(fd_path(fd).s, O_WRONLY | O_CLOEXEC);
	assert_int_equal(w, -1);
	assert_int_equal(errno, EROFS);
	w = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(w >= 0);
	fd_close(w);
	fd_close(fd);
	assert_int_equal(ctr_program_open("/nosuch"), -ENOENT);
	err_clear();
}

/* This program at @path in the role of @how (main()), as it waits: what /proc/PID/exe gives. */
static void hold(const char *path, const char *how, int *ret)
{
	char *const argv[] = { (char *)path, (char *)how, NULL };
	char exe[64];
	siginfo_t si;
	pid_t pid = fork();

	if (!pid) {
		execv(path, argv);
		_exit(1);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WEXITED), 0);
	assert_int_equal(si.si_code, CLD_STOPPED);
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	*ret = open(exe, O_RDONLY | O_CLOEXEC);
	assert_true(*ret >= 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED), 0);
}

/* Who kept hold of the program while it ran writes to it when it has ended: 0 or -errno. */
static int overwrite(const char *path, const char *how)
{
	int fd, w, r;

	hold(path, how, &fd);
	w = open(fd_path(fd).s, O_WRONLY | O_CLOEXEC);
	r = w < 0 ? -errno : 0;
	fd_close(w);
	fd_close(fd);
	return r;
}

static void protects_itself(void **state _unused_)
{
	char path[128];
	_close_ int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = -1;
	struct stat st;

	snprintf(path, sizeof(path), "%s/outside/self", box.dir);
	to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0 && fstat(from, &st) == 0);
	assert_int_equal(sendfile(to, from, NULL, (size_t)st.st_size), st.st_size);
	to = fd_close(to);
	assert_int_equal(overwrite(path, "bare"), 0);
	assert_int_equal(overwrite(path, "protected"), -EROFS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins),
		cmocka_unit_test(is_restricted),
		cmocka_unit_test(errors_come_back),
		cmocka_unit_test(terminal),
		cmocka_unit_test(forged_terminal),
		cmocka_unit_test(user_namespace),
		cmocka_unit_test(program_is_read_only),
		cmocka_unit_test(protects_itself),
	};

	if (argc == 2)
		return streq(argv[1], "protected") && ctr_protect(argv) < 0 ? 1 : raise(SIGSTOP);
	if (box_skips())
		return 0;
	return cmocka_run_group_tests_name("join", tests, box_setup, box_teardown);
}
