/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/base/unit.h"
#include <dirent.h>
#include <sys/wait.h>

static size_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void reads_whole_files(_unused_ void **state)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 100000 };
	char path[64];
	int dir = temp_open(path);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_free_ char *data = malloc(sizes[i] + 1);
		_free_ char *got = NULL;
		size_t len = 77;

		memset(data, 'x', sizes[i]);
		assert_ok(file_replace(dir, "f", data, sizes[i], 0644, false));
		if (sizes[i])
			assert_int_equal(file_read_all(dir, "f", sizes[i] - 1, &got, &len), -EFBIG);
		assert_null(got);
		assert_int_equal(len, 77);
		assert_ok(file_read_all(dir, "f", sizes[i], &got, &len));
		assert_int_equal(len, sizes[i]);
		assert_memory_equal(got, data, len);
		assert_int_equal(got[len], 0);
		free(take_ptr(got));
		assert_ok(file_read_all(dir, "f", SIZE_MAX, &got, NULL));
	}
	assert_int_equal(file_read_all(dir, "none", 10, &(char *){ NULL }, NULL), -ENOENT);
	assert_int_equal(file_read_all(dir, ".", 10, &(char *){ NULL }, NULL), -EISDIR);
	temp_close(path, dir);
}

/* They give their size as 0. */
static void reads_kernel_files(_unused_ void **state)
{
	_free_ char *text = NULL;
	_free_ char *none = NULL;
	size_t len;

	assert_ok(file_read_all(AT_FDCWD, "/proc/self/status", 1 << 20, &text, &len));
	assert_true(len > 100 && strlen(text) == len);
	assert_int_equal(file_read_all(AT_FDCWD, "/proc/self/status", 10, &none, &len), -EFBIG);
}

/* As a pipe: more than the first read asks for, in pieces. */
static void reads_pipes(_unused_ void **state)
{
	_free_ char *text = NULL;
	char piece[1000];
	int fds[2];
	size_t len;
	pid_t pid;

	memset(piece, 'p', sizeof(piece));
	assert_ok(pipe2(fds, O_CLOEXEC));
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 50; i++)
			fd_write_full(fds[1], piece, sizeof(piece));
		_exit(0);
	}
	fd_close(fds[1]);
	assert_ok(fd_read_all(fds[0], 50000, &text, &len));
	assert_int_equal(len, 50000);
	assert_int_equal(text[49999], 'p');
	fd_close(fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void writes_in_place(_unused_ void **state)
{
	_free_ char *text = NULL;
	char path[64];
	int dir = temp_open(path);

	assert_int_equal(file_write(dir, "none", "x"), -ENOENT);
	temp_file(dir, "f", "abcdef");
	assert_ok(file_write(dir, "f", "xyz"));
	assert_ok(file_read_all(dir, "f", 100, &text, NULL));
	assert_string_equal(text, "xyzdef");
	temp_close(path, dir);
}

static void replaces(_unused_ void **state)
{
	_free_ char *text = NULL;
	mode_t mask = umask(077);
	struct stat st;
	char path[64];
	int dir = temp_open(path);
	_close_ int name_only = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_ok(file_replace(name_only, "f", "old", 3, 0644, true));
	assert_ok(fstatat(dir, "f", &st, 0));
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_ok(file_replace(dir, "f", "new", 3, 0444, true));
	assert_ok(fstatat(dir, "f", &st, 0));
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_ok(file_read_all(dir, "f", 100, &text, NULL));
	assert_string_equal(text, "new");
	assert_int_equal(count_entries(path), 1);
	umask(mask);
	temp_close(path, dir);
}

/*
 * Whoever had it open keeps the old one; a link is replaced, not followed; a failure leaves
 * nothing.
 */
static void replaces_the_name(_unused_ void **state)
{
	_free_ char *text = NULL;
	char path[64], old[4] = { 0 };
	int dir = temp_open(path);
	_close_ int reader = -1;

	temp_file(dir, "target", "old");
	reader = openat(dir, "target", O_RDONLY | O_CLOEXEC);
	assert_ok(symlinkat("target", dir, "link"));
	assert_ok(file_replace(dir, "link", "new", 3, 0644, false));
	assert_ok(file_read_all(dir, "target", 100, &text, NULL));
	assert_string_equal(text, "old");
	assert_ok(file_replace(dir, "target", "new", 3, 0644, false));
	assert_int_equal(fd_read_full(reader, old, 3), 3);
	assert_string_equal(old, "old");

	assert_ok(mkdirat(dir, "directory", 0755));
	assert_int_equal(file_replace(dir, "directory", "x", 1, 0644, false), -EISDIR);
	assert_int_equal(file_replace(dir, "directory/x", "x", 1, 0644, false), -EINVAL);
	assert_int_equal(file_replace(dir, "", "x", 1, 0644, false), -EINVAL);
	assert_int_equal(count_entries(path), 3);
	temp_close(path, dir);
}

/* A reader never sees anything but one whole version. */
static void replaces_atomically(_unused_ void **state)
{
	char path[64], text[2000];
	int dir = temp_open(path), status;
	pid_t pid;

	memset(text, 'a', sizeof(text));
	assert_ok(file_replace(dir, "f", text, sizeof(text), 0644, false));
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 300; i++) {
			memset(text, 'a' + i % 26, sizeof(text));
			if (file_replace(dir, "f", text, sizeof(text), 0644, false) < 0)
				_exit(1);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		_free_ char *got = NULL;
		size_t len;

		assert_ok(file_read_all(dir, "f", sizeof(text), &got, &len));
		assert_int_equal(len, sizeof(text));
		for (size_t i = 1; i < len; i++)
			assert_int_equal(got[i], got[0]);
	}
	assert_int_equal(status, 0);
	assert_int_equal(count_entries(path), 1);
	temp_close(path, dir);
}

static void makes_parents(_unused_ void **state)
{
	struct stat st;
	char path[64];
	int dir = temp_open(path);

	assert_ok(fd_mkdir_p(dir, "a/b/c", 0755));
	assert_ok(fd_mkdir_p(dir, "a/b/c", 0755));
	assert_ok(fd_mkdir_p(dir, "a/b/d/", 0755));
	assert_ok(fd_mkdir_p(dir, "a//e/.", 0755));
	assert_ok(fd_mkdir_p(dir, ".", 0755));
	assert_ok(fstatat(dir, "a/b/d", &st, 0));
	assert_true(S_ISDIR(st.st_mode));
	assert_ok(fstatat(dir, "a/e", &st, 0));
	temp_file(dir, "file", "");
	assert_int_equal(fd_mkdir_p(dir, "file", 0755), -ENOTDIR);
	assert_int_equal(fd_mkdir_p(dir, "file/x", 0755), -ENOTDIR);
	assert_int_equal(fd_mkdir_p(dir, "", 0755), -ENOENT);
	assert_ok(symlinkat("a/b", dir, "link"));
	assert_ok(fd_mkdir_p(dir, "link", 0755));
	temp_close(path, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_whole_files),
		cmocka_unit_test(reads_kernel_files),
		cmocka_unit_test(reads_pipes),
		cmocka_unit_test(writes_in_place),
		cmocka_unit_test(replaces),
		cmocka_unit_test(replaces_the_name),
		cmocka_unit_test(replaces_atomically),
		cmocka_unit_test(makes_parents),
	};

	return run_units(tests);
}
