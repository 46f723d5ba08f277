/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process in the VMM's jail still can do, and what it cannot. Each test is a child, since it
 * is one way.
 */
#include "microvm/microvm.h"

#include "base/err.h"
#include "tests/base/unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NOBODY 65534

/* Runs @fn in a child: its wait status. @as: the user to begin as. */
static int in_child(uid_t as, int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (as && (setresgid(as, as, as) < 0 || setresuid(as, as, as) < 0))
			_exit(99);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as after an exec: /proc/self is its own */
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool jail(uid_t uid, char *weak, size_t size)
{
	const struct vm_jail j = { uid, uid };

	return vm_jail(&j, weak, size) == 0;
}

static void *thread(void *arg)
{
	return arg;
}

/* That is "." and "..", or, where Landlock is, not even these. */
static bool root_empty(void)
{
	int n = 0, fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return errno == EACCES;
	while (readdir(d))
		n++;
	closedir(d);
	return n == 2;
}

/* capget(2) is not on the list either, so what needs a capability is tried. */
static bool capable_of_nothing(void)
{
	return fchownat(AT_FDCWD, "/", 0, 0, 0) < 0 && mkdir("/x", 0755) < 0;
}

/* A number for what is wrong, 0 for nothing. */
static int check(uid_t uid)
{
	char weak[256] = "", *p;
	pthread_t t;
	pid_t parent = getppid();

	if (!jail(uid, weak, sizeof(weak)))
		return 1;
	if (getuid() != uid || geteuid() != uid || getgid() != uid)
		return 2;
	if (!weak[0] && (!root_empty() || access("/etc/passwd", F_OK) == 0))
		return 3;
	if (!capable_of_nothing())
		return 4;
	if (kill(parent, 0) == 0 || errno != EPERM)
		return 5;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED)
		return 6;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0)
		return 7;
	if (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0)
		return 8;
	if (syscall(9999) != -1 || errno != ENOSYS)
		return 9;
	return 0;
}

static int as_root(void)
{
	return check(NOBODY);
}

static int as_user(void)
{
	return check(1000);
}

static void holds(_unused_ void **state)
{
	if (getuid() != 0)
		skip();
	assert_int_equal(in_child(0, as_root), 0);
}

/* With a user namespace of its own, or without where that is not allowed. */
static void holds_without_privilege(_unused_ void **state)
{
	assert_int_equal(getuid() ? as_user() : in_child(1000, as_user), 0);
}

static int core_pipe[2];

static int stands(void)
{
	struct rlimit core = { 1, 1 }, threads = { 0, 0 };
	char weak[256];

	signal(SIGSEGV, SIG_DFL); /* not the test's */
	if (!jail(NOBODY, weak, sizeof(weak)) || getrlimit(RLIMIT_CORE, &core) < 0 ||
	    getrlimit(RLIMIT_NPROC, &threads) < 0)
		return 1;
	if (core.rlim_max || !threads.rlim_max || threads.rlim_max > 4096)
		return 2;
	core.rlim_max = 4096;
	if (setrlimit(RLIMIT_CORE, &core) == 0)
		return 3;
	if (write(core_pipe[1], "", 1) != 1)
		return 4;
	return poll(NULL, 0, 20000);
}

/* Neither a file nor a program gets its memory: /proc shows as root's what may not be dumped. */
static void leaves_no_core(_unused_ void **state)
{
	struct stat st;
	char path[32], c;
	int status;
	pid_t pid;

	if (getuid() != 0)
		skip();
	assert_ok(pipe2(core_pipe, O_CLOEXEC));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(stands());
	fd_close(core_pipe[1]);
	assert_int_equal(read(core_pipe[0], &c, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	assert_ok(stat(path, &st));
	assert_int_equal(st.st_uid, 0);
	kill(pid, SIGSEGV);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && !WCOREDUMP(status));
	fd_close(core_pipe[0]);
}

static int opens_socket(void)
{
	char weak[256];

	if (!jail(NOBODY, weak, sizeof(weak)))
		return 1;
	socket(AF_INET, SOCK_STREAM, 0);
	return 0;
}

/* Whoever connects to a socket that listened before is let in; no other socket comes to listen. */
static int accepts(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);
	char weak[256];

	/* An abstract name of the kernel's choice. */
	if (bind(listener, (struct sockaddr *)&a, sizeof(a.sun_family)) < 0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&a, &len) < 0 ||
	    connect(client, (struct sockaddr *)&a, len) < 0)
		return 1;
	if (!jail(NOBODY, weak, sizeof(weak)))
		return 2;
	if (accept4(listener, NULL, NULL, SOCK_CLOEXEC) < 0)
		return 3;
	listen(client, 1);
	return 0;
}

static int executes(void)
{
	char *argv[] = { NULL };
	char weak[256];

	if (!jail(NOBODY, weak, sizeof(weak)))
		return 1;
	execve("/bin/true", argv, argv);
	return 0;
}

static int forks(void)
{
	char weak[256];

	if (!jail(NOBODY, weak, sizeof(weak)))
		return 1;
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 && errno == EPERM ? 0 : 2;
}

static void kills_attackers(_unused_ void **state)
{
	int s;

	if (getuid() != 0)
		skip();
	s = in_child(0, opens_socket);
	assert_true(WIFSIGNALED(s) && WTERMSIG(s) == SIGSYS);
	s = in_child(0, accepts);
	assert_true(WIFSIGNALED(s) && WTERMSIG(s) == SIGSYS);
	s = in_child(0, executes);
	assert_true(WIFSIGNALED(s) && WTERMSIG(s) == SIGSYS);
	assert_int_equal(in_child(0, forks), 0);
}

/* A capability of each kind before, also one that an exec would hand on. */
static int has_ambient(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps) < 0)
		return -1;
	caps[0].inheritable = caps[0].permitted;
	if (syscall(SYS_capset, &head, caps) < 0)
		return -1;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
}

static bool status_has(pid_t pid, const char *want)
{
	char path[64], text[8192];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd);
	return strstr(text, want);
}

/* As user 0, whom an exec would give everything: it waits for its end when it is in its jail. */
static void capabilities_are_gone(_unused_ void **state)
{
	char weak[256], byte = 0;
	int p[2], status;
	pid_t pid;

	if (getuid() != 0)
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (has_ambient() < 0 || !jail(0, weak, sizeof(weak)))
			_exit(1);
		_exit(write(p[1], "", 1) != 1 || read(p[1], &byte, 1) != 1);
	}
	assert_int_equal(read(p[0], &byte, 1), 1);
	assert_true(status_has(pid, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
				    "CapEff:\t0000000000000000\n"));
	assert_true(status_has(pid, "\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"));
	assert_int_equal(write(p[0], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int becomes_root(void)
{
	char weak[256];
	int r = jail(0, weak, sizeof(weak)) ? 1 : 0;

	return r || !err_text() || strchr(err_text(), '\n') ? 1 : 0;
}

/* Another user than one's own cannot be had without privilege: an error, not a weak jail. */
static void does_not_pretend(_unused_ void **state)
{
	if (getuid() != 0)
		skip();
	assert_int_equal(in_child(1000, becomes_root), 0);
}

static int open_at(int dir, const char *name, int flags)
{
	return openat(dir, name, flags | O_CLOEXEC, 0600) < 0 ? -errno : 0;
}

/* In @rw, @ro and @other, of which the last is in no rule: a number for what is wrong. */
static int check_folders(int rw, int ro, int other)
{
	if (open_at(rw, "new", O_CREAT | O_EXCL | O_WRONLY) != 0 || mkdirat(rw, "d", 0700) < 0 ||
	    renameat(rw, "new", rw, "d/new") < 0 || open_at(rw, "d/new", O_WRONLY | O_TRUNC) != 0)
		return 2;
	if (open_at(ro, "file", O_RDONLY) != 0 || open_at(ro, "file", O_WRONLY) != -EACCES ||
	    unlinkat(ro, "file", 0) == 0)
		return 3;
	if (open_at(other, "file", O_RDONLY) != -EACCES ||
	    open_at(other, "new", O_CREAT | O_WRONLY) != -EACCES)
		return 4;
	/* Nor by a way from one into another. */
	return renameat(rw, "d/new", other, "new") == 0 || linkat(other, "file", rw, "l", 0) == 0 ?
		       5 :
		       0;
}

/* A folder in /tmp with a file in it, open; it goes with the test's mount namespace. */
static int folder(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/%s", name);
	if (mkdir(path, 0777) < 0 || chmod(path, 0777) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (open_at(fd, "file", O_CREAT | O_WRONLY) != 0 || fchmodat(fd, "file", 0666, 0) < 0)
		return -1;
	return fd;
}

static int opens_beyond(void)
{
	struct vm_folder folders[2] = { { -1, false }, { -1, true } };
	const struct vm_jail j = { NOBODY, NOBODY, folders, ARRAY_SIZE(folders) };
	char weak[256];
	int other;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmp", "/tmp", "tmpfs", 0, NULL) < 0)
		return 1;
	folders[0].fd = folder("rw");
	folders[1].fd = folder("ro");
	other = folder("other");
	if (folders[0].fd < 0 || folders[1].fd < 0 || other < 0 ||
	    vm_jail(&j, weak, sizeof(weak)) < 0 || weak[0])
		return 1;
	return check_folders(folders[0].fd, folders[1].fd, other);
}

static void holds_to_folders(_unused_ void **state)
{
	if (getuid() != 0 || vm_landlock_abi() < 0)
		skip();
	assert_int_equal(in_child(0, opens_beyond), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds),
		cmocka_unit_test(holds_without_privilege),
		cmocka_unit_test(kills_attackers),
		cmocka_unit_test(capabilities_are_gone),
		cmocka_unit_test(leaves_no_core),
		cmocka_unit_test(does_not_pretend),
		cmocka_unit_test(holds_to_folders),
	};

	return cmocka_run_group_tests_name("microvm/jail", tests, NULL, NULL);
}
