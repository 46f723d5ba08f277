/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real groups with real processes, below strata/ of each hierarchy; every one that is made here is
 * removed here.
 */
#include "tests/runtime/fixture.h"

#include "runtime/cgroup.h"
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char id[64];

static int setup_id(_unused_ void **state)
{
	snprintf(id, sizeof(id), "test-%d", getpid());
	return 0;
}

static int teardown_id(_unused_ void **state)
{
	int r = cgroup_purge(id);

	if (r < 0)
		print_message("# %s\n", err_take(r));
	return r;
}

/* Skips with a reason unless this machine can keep such a limit. */
static struct cgroup *need(const struct run_limits *l)
{
	struct cgroup *g = NULL;
	int r = cgroup_new(id, l, &g);

	if (r < 0) {
		print_message("# SKIP %s\n", err_take(r));
		skip();
	}
	return g;
}

static bool group_there(void)
{
	struct cgroup_mounts m;
	bool there = false;

	assert_int_equal(cgroup_mounts_find(&m), 0);
	for (size_t k = 0; k < m.n; k++) {
		_free_ char *path = str_fmt("%s/" CGROUP_FOLDER "/%s", m.m[k].path, id);

		there |= access(path, F_OK) == 0;
	}
	cgroup_mounts_done(&m);
	return there;
}

/* A child in the group that runs @fn, entered in both ways. */
static pid_t spawn_in(const struct cgroup *g, void (*fn)(void))
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int go[2];
	pid_t pid;
	char c;

	if (cgroup_fd(g) >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd(g);
	}
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &c, 1) != 0)
			_exit(99);
		fn();
		_exit(0);
	}
	close(go[0]);
	assert_int_equal(cgroup_enter(g, pid, false), 0);
	close(go[1]);
	return pid;
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void sleep_long(void)
{
	pause();
}

static void eat_memory(void)
{
	size_t size = 128u << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t off = 0; p != MAP_FAILED && off < size; off += 4096)
		p[off] = 1;
}

static void fork_many(void)
{
	int n = 0;

	for (int k = 0; k < 50; k++) {
		pid_t pid = fork();

		if (pid == 0) {
			pause();
			_exit(0);
		}
		n += pid > 0;
	}
	_exit(n);
}

static void spin(void)
{
	alarm(20);
	for (;;)
		;
}

static void test_unlimited(_unused_ void **state)
{
	struct cgroup *g = need(NULL);
	pid_t pid = spawn_in(g, sleep_long);

	assert_true(g->n <= 1);
	if (cgroup_fd(g) < 0) {
		kill(pid, SIGKILL);
	} else {
		assert_true(group_there());
		assert_int_equal(cgroup_kill(g), 0);
	}
	assert_int_equal(end_of(pid), 137);
	assert_false(cgroup_oom_killed(g));
	cgroup_free(g);
	assert_false(group_there());
}

static void test_memory(_unused_ void **state)
{
	struct cgroup *g = need(&(struct run_limits){ .memory = 32u << 20 });
	pid_t pid = spawn_in(g, eat_memory);

	assert_int_equal(end_of(pid), 137);
	assert_true(cgroup_oom_killed(g));
	cgroup_free(g);
	assert_false(group_there());
}

static void test_memory_enough(_unused_ void **state)
{
	struct cgroup *g = need(&(struct run_limits){ .memory = 512u << 20 });
	pid_t pid = spawn_in(g, eat_memory);

	assert_int_equal(end_of(pid), 0);
	assert_false(cgroup_oom_killed(g));
	cgroup_free(g);
}

/* And what it left is ended with the group. */
static void test_pids(_unused_ void **state)
{
	struct cgroup *g = need(&(struct run_limits){ .pids = 10 });
	pid_t pid = spawn_in(g, fork_many);

	assert_int_equal(end_of(pid), 9);
	assert_int_equal(cgroup_kill(g), 0);
	cgroup_free(g);
	assert_false(group_there());
}

static void test_cpu(_unused_ void **state)
{
	struct cgroup *g = need(&(struct run_limits){ .nano_cpus = 200000000, .cpu_weight = 50 });
	pid_t pid = spawn_in(g, spin);
	uint64_t t = clock_ns();
	struct rusage usage;
	double cpu;

	usleep(1000000);
	assert_int_equal(cgroup_kill(g), 0);
	assert_int_equal(wait4(pid, NULL, 0, &usage), pid);
	cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
	/* A fifth of the time, give or take a period. */
	assert_true(cpu < 0.2 * (double)(clock_ns() - t) / 1e9 + 0.1);
	cgroup_free(g);
	assert_false(group_there());
}

/* Raised, lowered, and one that it has not been made with. */
static void test_update(_unused_ void **state)
{
	struct run_limits l = { .memory = 64u << 20 }, pids = { .pids = 5 };
	struct cgroup *g = need(&l);
	struct cgroup_usage u;
	struct cgroup *seen;
	pid_t pid = spawn_in(g, sleep_long);
	int r;

	for (unsigned mib = 128; mib >= 32; mib /= 4) {
		l.memory = (uint64_t)mib << 20;
		assert_int_equal(cgroup_update(id, &l), 0);
		assert_int_equal(cgroup_open(id, &seen), 0);
		assert_int_equal(cgroup_usage(seen, &u), 0);
		assert_int_equal(u.memory_limit, l.memory);
		cgroup_close(seen);
	}
	/* In v2 the group has it now; in v1 it is none of this instance's. */
	r = cgroup_update(id, &pids);
	assert_true(r == 0 || r == -EOPNOTSUPP);
	assert_true(r == 0 || strstr(err_take(r), "start it with such a limit"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(end_of(pid), 137);
	cgroup_free(g);
	assert_int_equal(cgroup_update(id, &l), -EOPNOTSUPP);
	err_clear();
}

/* After a supervisor that was killed: processes, groups below the group, all of it. */
static void test_purge(_unused_ void **state)
{
	struct cgroup *g = need(&(struct run_limits){ .memory = 64u << 20, .pids = 10 });
	pid_t pid = spawn_in(g, sleep_long);

	for (size_t k = 0; k < g->n; k++)
		assert_int_equal(fd_mkdir_p(g->dirs[k].fd, "a/b", 0755), 0);
	assert_int_equal(cgroup_purge(id), 0);
	assert_int_equal(end_of(pid), 137);
	assert_false(group_there());
	assert_int_equal(cgroup_purge(id), 0);
	cgroup_free(g);
	assert_int_equal(cgroup_purge("../x"), -EINVAL);
}

#define IO_RATE	 (UINT64_C(4) << 20)
#define IO_BYTES (1u << 20) /* at a time; the disk is asked for it 4 times */

static int io_file = -1;

static void reads_from_disk(void)
{
	void *p = mmap(NULL, IO_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int k = 0; k < 4; k++)
		if (pread(io_file, p, IO_BYTES, 0) != IO_BYTES)
			_exit(1);
	_exit(0);
}

/* A file that is read past the page cache, or -1: not here. */
static int file_on_disk(void)
{
	static uint8_t bytes[IO_BYTES];
	char name[] = "cgroup-io-XXXXXX";
	int fd = mkostemp(name, O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		return -1;
	unlink(name);
	fcntl(fd, F_SETFL, 0);
	memset(bytes, 1, sizeof(bytes));
	if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes) || fsync(fd) < 0 ||
	    fcntl(fd, F_SETFL, O_DIRECT) < 0)
		return fd_close(fd);
	return fd;
}

/* 4 MiB at 4 MiB a second: at least half of a second, however fast the disk is. */
static void test_io(_unused_ void **state)
{
	struct run_limits l = { .io_rate = IO_RATE };
	struct cgroup *g;
	uint64_t began;

	io_file = file_on_disk();
	if (io_file < 0 || limits_disk(io_file, &l.io_disk) < 0) {
		print_message("# SKIP no file on a disk here\n");
		skip();
	}
	g = need(&l);
	began = clock_ns();
	assert_int_equal(end_of(spawn_in(g, reads_from_disk)), 0);
	assert_true(clock_ns() - began > 500000000u);
	cgroup_free(g);
	io_file = fd_close(io_file);
}

/* What its disks moved, of files as the kernel writes them. */
static void used(bool v2, const char *text, bool has, uint64_t in, uint64_t out)
{
	const char *name = v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive";
	char path[] = "/tmp/strata-cgroup.XXXXXX";
	struct cgroup_usage u;
	struct cgroup g = { .n = 1 };

	assert_non_null(mkdtemp(path));
	g.dirs[0] = (struct cgroup_dir){ .fd = open(path, O_RDONLY | O_DIRECTORY), .v2 = v2 };
	assert_int_equal(file_replace(g.dirs[0].fd, "cgroup.procs", "", 0, 0600, false), 0);
	if (text)
		assert_int_equal(file_replace(g.dirs[0].fd, name, text, strlen(text), 0600, false),
				 0);
	assert_int_equal(cgroup_usage(&g, &u), 0);
	assert_int_equal(u.has_io, has);
	assert_true(u.io_read == in && u.io_written == out);
	fd_close(g.dirs[0].fd);
	assert_int_equal(fd_remove_tree(AT_FDCWD, path), 0);
}

static void test_io_usage(_unused_ void **state)
{
	used(true, NULL, false, 0, 0);
	used(true, "", true, 0, 0);
	used(true,
	     "8:16 rbytes=1000000000000 wbytes=20 rios=3 wios=4 dbytes=5 dios=6\n"
	     "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0 \n",
	     true, 1000000000001, 22);
	used(false, NULL, false, 0, 0);
	used(false,
	     "8:0 Read 4096\n8:0 Write 512\n8:0 Sync 1\n8:0 Async 9\n8:0 Discard 0\n"
	     "8:0 Total 4608\n"
	     "8:16 Read 1\nTotal 4609\n",
	     true, 4097, 512);
}

static void test_no_disk(_unused_ void **state)
{
	_close_ int fd = memfd_create("none", MFD_CLOEXEC);
	dev_t disk;

	assert_int_equal(limits_disk(fd, &disk), -EOPNOTSUPP);
	assert_non_null(strstr(err_take(-EOPNOTSUPP), "no disk of its own"));
}

/* The start of an unlimited one: no write to cgroup.procs, whose first costs milliseconds. */
static void test_cheap(_unused_ void **state)
{
	uint64_t best = UINT64_MAX;

	for (int k = 0; k < 20; k++) {
		struct cgroup *g;
		uint64_t t;

		usleep(20000);
		t = clock_ns();
		g = need(NULL);
		cgroup_free(g);
		best = MIN(best, clock_ns() - t);
	}
	print_message("# made and removed in %llu us\n", (unsigned long long)best / 1000);
	assert_true(best < 1000000);
}

static void test_mounts(_unused_ void **state)
{
	struct cgroup_mounts m;

	assert_int_equal(cgroup_controller_parse("memory", 6), CGROUP_MEMORY);
	assert_int_equal(cgroup_controller_parse("cpuacct", 7), 0);
	assert_int_equal(cgroup_controller_parse("cpu", 3), CGROUP_CPU);
	assert_int_equal(cgroup_controller_parse("blkio", 5), CGROUP_IO);
	assert_int_equal(cgroup_controller_parse("io", 2), CGROUP_IO);
	assert_int_equal(cgroup_mounts_find(&m), 0);
	for (size_t k = 0; k < m.n; k++)
		assert_true(m.m[k].v2 || m.m[k].controllers);
	cgroup_mounts_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mounts, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_unlimited, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_memory, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_memory_enough, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_pids, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_cpu, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_io, setup_id, teardown_id),
		cmocka_unit_test(test_no_disk),
		cmocka_unit_test(test_io_usage),
		cmocka_unit_test_setup_teardown(test_update, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_purge, setup_id, teardown_id),
		cmocka_unit_test_setup_teardown(test_cheap, setup_id, teardown_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
