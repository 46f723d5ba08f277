/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include "base/str.h"
#include "tests/base/unit.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void close_keeps_errno(_unused_ void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken;

	errno = EXDEV;
	assert_int_equal(fd_close(-1), -1);
	taken = take_fd(fd);
	assert_int_equal(fd, -1);
	assert_int_equal(fd_close(taken), -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fcntl(taken, F_GETFD), -1);
}

/* Writes @len bytes into @fd in small pieces, from another process. */
static pid_t dribble(int fd, size_t len)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (size_t i = 0; i < len; i++) {
			char c = (char)i;

			if (write(fd, &c, 1) != 1)
				_exit(1);
			if (i % 1000 == 0)
				usleep(100);
		}
		_exit(0);
	}
	return pid;
}

static void whole_reads_and_writes(_unused_ void **state)
{
	char data[5000], more[10];
	int fds[2], status;
	pid_t pid;

	assert_ok(pipe2(fds, O_CLOEXEC));
	pid = dribble(fds[1], sizeof(data));
	fd_close(fds[1]);
	assert_int_equal(fd_read_full(fds[0], data, sizeof(data)), sizeof(data));
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], (char)i);
	assert_int_equal(fd_read_full(fds[0], more, sizeof(more)), 0);
	fd_close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(fd_read_full(-1, more, 1), -EBADF);
	assert_int_equal(fd_write_full(-1, more, 1), -EBADF);
	assert_ok(fd_write_full(-1, NULL, 0));
}

static void whole_reads_at(_unused_ void **state)
{
	_close_ int fd = fd_memfd("test", NULL, 0);
	char got[8] = { 0 };

	assert_ok(fd_pwrite_full(fd, "world", 5, 10));
	assert_ok(fd_pwrite_full(fd, "hello", 5, 0));
	assert_int_equal(fd_pread_full(fd, got, 8, 10), 5);
	assert_string_equal(got, "world");
	assert_int_equal(fd_pread_full(fd, got, 5, 0), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(fd_pread_full(fd, got, 8, 100), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
}

static void memfds_are_sealed(_unused_ void **state)
{
	_close_ int sealed = fd_memfd("sealed", "text", 4);
	_close_ int open_ = fd_memfd("open", NULL, 4096);
	struct stat st;

	assert_int_equal(pwrite(sealed, "x", 1, 0), -1);
	assert_int_equal(ftruncate(sealed, 0), -1);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_SEAL), -1);
	assert_ok(fstat(open_, &st));
	assert_int_equal(st.st_size, 4096);
	assert_int_equal(pwrite(open_, "x", 1, 0), 1);
	assert_int_equal(fcntl(sealed, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void flags(_unused_ void **state)
{
	_close_ int fd = fd_memfd("flags", NULL, 0);

	assert_ok(fd_cloexec(fd, false));
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_ok(fd_cloexec(fd, true));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_ok(fd_nonblock(fd, true));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_ok(fd_nonblock(fd, false));
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_cloexec(-1, true), -EBADF);
}

static void proc_path(_unused_ void **state)
{
	_close_ int fd = fd_memfd("path", "x", 1);
	_close_ int again = open(fd_path(fd).s, O_RDONLY | O_CLOEXEC);
	struct stat a, b;

	assert_ok(fstat(fd, &a));
	assert_ok(fstat(again, &b));
	assert_int_equal(a.st_ino, b.st_ino);
}

static void locks(_unused_ void **state)
{
	char path[64];
	int dir = temp_open(path);
	_close_ int a = -1, b = -1;

	temp_file(dir, "lock", "");
	a = openat(dir, "lock", O_RDONLY | O_CLOEXEC);
	b = openat(dir, "lock", O_RDONLY | O_CLOEXEC);
	assert_ok(fd_lock(a, false, false));
	assert_ok(fd_lock(b, false, false));
	assert_int_equal(fd_lock(a, true, false), -EWOULDBLOCK);
	b = fd_close(b);
	assert_ok(fd_lock(a, true, true));
	temp_close(path, dir);
}

/* A root as someone hostile arranges it, and beside it what he wants. */
struct jail {
	char path[64];
	int dir, root;
};

static struct jail jail_open(void)
{
	struct jail j;

	j.dir = temp_open(j.path);
	temp_file(j.dir, "secret", "outside");
	assert_ok(mkdirat(j.dir, "root", 0755));
	j.root = openat(j.dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(mkdirat(j.root, "etc", 0755));
	assert_ok(mkdirat(j.root, "sub", 0755));
	temp_file(j.root, "etc/passwd", "inside");
	temp_file(j.root, "secret", "inside");
	assert_ok(symlinkat("/etc/passwd", j.root, "absolute"));
	assert_ok(symlinkat("../../../../../../../../secret", j.root, "sub/dots"));
	assert_ok(symlinkat("..", j.root, "up"));
	assert_ok(symlinkat("/proc/self/root", j.root, "magic"));
	assert_ok(symlinkat("loop", j.root, "loop"));
	return j;
}

static void jail_close(struct jail *j)
{
	fd_close(j->root);
	temp_close(j->path, j->dir);
}

static void expect_inside(int fd)
{
	_close_ int owned = fd;
	_free_ char *text = NULL;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_ok(fd_read_all(fd, 100, &text, NULL));
	assert_string_equal(text, "inside");
}

static void root_cannot_be_left(_unused_ void **state)
{
	struct jail j = jail_open();
	int fd;

	expect_inside(fd_open_in_root(j.root, "etc/passwd", O_RDONLY, 0));
	expect_inside(fd_open_in_root(j.root, "/etc/passwd", O_RDONLY, 0));
	expect_inside(fd_open_in_root(j.root, "absolute", O_RDONLY, 0));
	expect_inside(fd_open_in_root(j.root, "sub/dots", O_RDONLY, 0));
	expect_inside(fd_open_in_root(j.root, "../secret", O_RDONLY, 0));
	expect_inside(fd_open_in_root(j.root, "up/secret", O_RDONLY, 0));
	assert_int_equal(fd_open_in_root(j.root, "magic/etc", O_RDONLY, 0), -ENOENT);
	assert_int_equal(fd_open_in_root(j.root, "loop", O_RDONLY, 0), -ELOOP);
	assert_int_equal(fd_open_in_root(j.root, "none", O_RDONLY, 0), -ENOENT);

	/* The mode is for what is created, and is not refused where nothing is. */
	fd = fd_open_in_root(j.root, "up/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
	assert_true(fd >= 0);
	fd_close(fd);
	assert_ok(faccessat(j.root, "new", F_OK, 0));
	assert_int_equal(faccessat(j.dir, "new", F_OK, 0), -1);
	fd_close(fd_open_in_root(j.root, "new", O_RDONLY, 0644));
	jail_close(&j);
}

static void magic_links_are_refused(_unused_ void **state)
{
	_close_ int proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(fd_open_in_root(proc, "root/etc", O_RDONLY, 0), -ELOOP);
	assert_int_equal(fd_open_in_root(proc, "exe", O_RDONLY, 0), -ELOOP);
}

static void beneath_takes_no_links(_unused_ void **state)
{
	struct jail j = jail_open();

	expect_inside(fd_open_beneath(j.root, "etc/passwd", O_RDONLY, 0));
	expect_inside(fd_open_beneath(j.root, "sub/../secret", O_RDONLY, 0));
	assert_int_equal(fd_open_beneath(j.root, "absolute", O_RDONLY, 0), -ELOOP);
	assert_int_equal(fd_open_beneath(j.root, "up/secret", O_RDONLY, 0), -ELOOP);
	assert_int_equal(fd_open_beneath(j.root, "/etc/passwd", O_RDONLY, 0), -EXDEV);
	assert_int_equal(fd_open_beneath(j.root, "../secret", O_RDONLY, 0), -EXDEV);
	jail_close(&j);
}

static void leases_do_not_spin(_unused_ void **state)
{
	char path[64];
	int dir = temp_open(path);
	_close_ int holder = -1;

	temp_file(dir, "leased", "");
	holder = openat(dir, "leased", O_RDONLY | O_CLOEXEC);
	if (fcntl(holder, F_SETLEASE, F_WRLCK) < 0) {
		temp_close(path, dir);
		skip();
	}
	signal(SIGIO, SIG_IGN);
	assert_int_equal(fd_openat2(dir, "leased", O_RDONLY | O_NONBLOCK, 0, 0), -EAGAIN);
	temp_close(path, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_keeps_errno),
		cmocka_unit_test(whole_reads_and_writes),
		cmocka_unit_test(whole_reads_at),
		cmocka_unit_test(memfds_are_sealed),
		cmocka_unit_test(flags),
		cmocka_unit_test(proc_path),
		cmocka_unit_test(locks),
		cmocka_unit_test(root_cannot_be_left),
		cmocka_unit_test(magic_links_are_refused),
		cmocka_unit_test(beneath_takes_no_links),
		cmocka_unit_test(leases_do_not_spin),
	};

	return run_units(tests);
}
