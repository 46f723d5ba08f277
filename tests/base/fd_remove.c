/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/base/unit.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define DEEP 2500 /* levels: the path is longer than PATH_MAX many times over */

static bool exists(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void small_things(_unused_ void **state)
{
	char path[64];
	int dir = temp_open(path);

	assert_ok(fd_remove_tree(dir, "none"));
	assert_ok(fd_remove_tree(dir, "none/below"));
	temp_file(dir, "file", "");
	assert_ok(fd_remove_tree(dir, "file"));
	assert_false(exists(dir, "file"));
	assert_ok(mkdirat(dir, "empty", 0755));
	assert_ok(fd_remove_tree(dir, "empty"));
	assert_false(exists(dir, "empty"));
	assert_int_equal(fd_remove_tree(dir, "."), -EINVAL);
	assert_int_equal(fd_remove_tree(dir, ".."), -EINVAL);
	assert_int_equal(fd_remove_tree(dir, ""), -EINVAL);
	assert_int_equal(fd_remove_tree(dir, "x/.."), 0); /* x is not there */
	temp_close(path, dir);
}

static void links_are_not_followed(_unused_ void **state)
{
	char path[64];
	int dir = temp_open(path);

	assert_ok(fd_mkdir_p(dir, "kept/below", 0755));
	temp_file(dir, "kept/file", "");
	assert_ok(fd_mkdir_p(dir, "tree/sub", 0755));
	assert_ok(symlinkat("../kept", dir, "tree/directory"));
	assert_ok(symlinkat("../../kept", dir, "tree/sub/directory"));
	assert_ok(symlinkat("../kept/file", dir, "tree/file"));
	assert_ok(symlinkat("/", dir, "tree/root"));
	assert_ok(symlinkat("nowhere", dir, "tree/dangling"));
	assert_ok(symlinkat("kept", dir, "link"));
	assert_ok(mkfifoat(dir, "tree/fifo", 0600));
	assert_ok(fd_remove_tree(dir, "tree"));
	assert_false(exists(dir, "tree"));
	assert_ok(fd_remove_tree(dir, "link"));
	assert_false(exists(dir, "link"));
	assert_true(exists(dir, "kept/file"));
	assert_true(exists(dir, "kept/below"));
	temp_close(path, dir);
}

/* @levels directories, each with a file and a directory before and behind the next one. */
static void make_deep(int dir, const char *top, size_t levels)
{
	static const char name[] = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
	int fd;

	assert_ok(mkdirat(dir, top, 0755));
	fd = openat(dir, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < levels; i++) {
		int next;

		temp_file(fd, "a file", "");
		assert_ok(mkdirat(fd, "z directory", 0755));
		assert_ok(mkdirat(fd, name, 0755));
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		fd_close(fd);
		fd = next;
	}
	fd_close(fd);
}

static void deep_trees(_unused_ void **state)
{
	struct rlimit old, few = { .rlim_cur = 60, .rlim_max = 60 };
	char path[64];
	int dir = temp_open(path);

	make_deep(dir, "deep", DEEP);
	assert_ok(getrlimit(RLIMIT_NOFILE, &old));
	few.rlim_max = old.rlim_max;
	assert_ok(setrlimit(RLIMIT_NOFILE, &few));
	assert_ok(fd_remove_tree(dir, "deep"));
	assert_ok(setrlimit(RLIMIT_NOFILE, &old));
	assert_false(exists(dir, "deep"));
	temp_close(path, dir);
}

/* Two chains that leave one directory deep below: what was closed is gone back to. */
static void deep_forks(_unused_ void **state)
{
	char path[64];
	int dir = temp_open(path), fd;

	make_deep(dir, "tree", 1);
	fd = openat(dir, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 5; i++) {
		make_deep(fd, (char[]){ 'c', (char)('0' + i), 0 }, 100);
		make_deep(fd, (char[]){ 'd', (char)('0' + i), 0 }, 33);
	}
	fd_close(fd);
	assert_ok(fd_remove_tree(dir, "tree"));
	assert_false(exists(dir, "tree"));
	temp_close(path, dir);
}

static void wide_trees(_unused_ void **state)
{
	char path[64], name[32];
	int dir = temp_open(path);

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "wide/d%d/e", i % 100);
		assert_ok(fd_mkdir_p(dir, name, 0755));
		snprintf(name, sizeof(name), "wide/d%d/e/f%d", i % 100, i);
		temp_file(dir, name, "");
	}
	assert_ok(fd_remove_tree(dir, "wide"));
	assert_false(exists(dir, "wide"));
	temp_close(path, dir);
}

/* Also for an owner whom the modes deny everything. */
static void modes_do_not_matter(_unused_ void **state)
{
	static const mode_t modes[] = { 0, 0100, 0200, 0400, 0500, 0600, 07777 };
	char path[64], name[64];
	int dir = temp_open(path);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		snprintf(name, sizeof(name), "tree/%zu/sub/sub", i);
		assert_ok(fd_mkdir_p(dir, name, 0755));
		snprintf(name, sizeof(name), "tree/%zu/sub/file", i);
		temp_file(dir, name, "");
		snprintf(name, sizeof(name), "tree/%zu/sub", i);
		assert_ok(fchmodat(dir, name, modes[i], 0));
		snprintf(name, sizeof(name), "tree/%zu", i);
		assert_ok(fchmodat(dir, name, modes[i], 0));
	}
	assert_ok(fchmodat(dir, "tree", 0, 0));
	assert_ok(fd_remove_tree(dir, "tree"));
	assert_false(exists(dir, "tree"));

	/* The directory that holds the tree is not his to change. */
	if (geteuid() != 0) {
		assert_ok(mkdirat(dir, "tree", 0755));
		assert_ok(fchmod(dir, 0500));
		assert_int_equal(fd_remove_tree(dir, "tree"), -EACCES);
		assert_ok(fchmod(dir, 0700));
	}
	temp_close(path, dir);
}

/* Root of a user and a mount namespace of our own. */
static int become_root(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	file_write(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (file_write(AT_FDCWD, "/proc/self/uid_map", uids) < 0)
		return -EPERM;
	return file_write(AT_FDCWD, "/proc/self/gid_map", gids);
}

/* In a mount namespace of its own: 0, the wrong answer of a call, or 77 when there can be none. */
static int try_mounts(const char *path)
{
	char mountpoint[128], bound[128];
	int dir;

	if (unshare(CLONE_NEWNS) < 0 && become_root() < 0)
		return 77;
	snprintf(mountpoint, sizeof(mountpoint), "%s/tree/sub/mount", path);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", mountpoint, "tmpfs", 0, NULL) < 0)
		return 77;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mknodat(dir, "tree/sub/mount/kept", S_IFREG | 0644, 0) < 0)
		return 77;
	if (fd_remove_tree(dir, "tree") != -EBUSY || !exists(dir, "tree/sub/mount/kept"))
		return 1;
	/* As the name itself, and by a bind mount, which has the same device. */
	if (fd_remove_tree(dir, "tree/sub/mount") != -EBUSY || umount(mountpoint) < 0)
		return 2;
	if (mknodat(dir, "bound/kept", S_IFREG | 0644, 0) < 0)
		return 5;
	snprintf(bound, sizeof(bound), "%s/bound", path);
	if (mount(bound, mountpoint, NULL, MS_BIND, NULL) < 0)
		return 3;
	return fd_remove_tree(dir, "tree") == -EBUSY && exists(dir, "bound/kept") ? 0 : 4;
}

static void mounts_are_not_crossed(_unused_ void **state)
{
	char path[64];
	int dir = temp_open(path), status;
	pid_t pid;

	assert_ok(fd_mkdir_p(dir, "tree/sub/mount", 0755));
	assert_ok(fd_mkdir_p(dir, "bound", 0755));
	pid = fork();
	if (pid == 0)
		_exit(try_mounts(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	temp_close(path, dir);
	if (status == 77 << 8)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_things),
		cmocka_unit_test(links_are_not_followed),
		cmocka_unit_test(deep_trees),
		cmocka_unit_test(deep_forks),
		cmocka_unit_test(wide_trees),
		cmocka_unit_test(modes_do_not_matter),
		cmocka_unit_test(mounts_are_not_crossed),
	};

	return run_units(tests);
}
