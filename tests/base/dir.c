/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dir.h"

#include "base/fd.h"
#include "tests/base/unit.h"

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void reads(_unused_ void **state)
{
	static const char *const names[] = { "a", "...", ".b", "..c" };
	char root[64];
	int dirfd = temp_open(root);
	unsigned seen = 0, before = count_fds();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_ok(mkdirat(dirfd, names[i], 0700));
	{
		_closedir_ DIR *d = dir_open(dirfd, ".");
		struct dirent *e;

		assert_non_null(d);
		while ((e = dir_next(d)))
			for (size_t i = 0; i < ARRAY_SIZE(names); i++)
				seen += strcmp(e->d_name, names[i]) == 0 ? 1u << (4 * i) : 0;
		assert_int_equal(errno, 0);
	}
	assert_int_equal(seen, 0x1111);
	assert_int_equal(count_fds(), before);
	temp_close(root, dirfd);
}

static void refuses(_unused_ void **state)
{
	char root[64];
	int dirfd = temp_open(root);
	unsigned before = count_fds();

	assert_ok(symlinkat(".", dirfd, "link"));
	assert_null(dir_open(dirfd, "none"));
	assert_int_equal(errno, ENOENT);
	assert_null(dir_open(dirfd, "link"));
	assert_true(errno == ENOTDIR || errno == ELOOP);
	/* A descriptor that is no directory's is taken too. */
	assert_null(dir_take(open("/dev/null", O_RDONLY | O_CLOEXEC)));
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(count_fds(), before);
	temp_close(root, dirfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads), cmocka_unit_test(refuses) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
