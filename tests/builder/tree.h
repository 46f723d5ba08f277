/* SPDX-License-Identifier: Apache-2.0 */
/* Files to copy from and to look at. */
#ifndef TESTS_BUILDER_TREE_H
#define TESTS_BUILDER_TREE_H

#include "base/str.h"
#include "tests/base/unit.h"
#include <stdio.h>

/* Makes the file @path with its folders. */
static inline void tree_file(int dirfd, const char *path, const char *text)
{
	char parent[256];
	char *slash;

	assert_ok(str_copy(parent, sizeof(parent), path));
	slash = strrchr(parent, '/');
	if (slash) {
		*slash = '\0';
		assert_ok(fd_mkdir_p(dirfd, parent, 0755));
	}
	temp_file(dirfd, path, text);
}

/* @path is a regular file of that text, reached without any link. */
static inline void assert_file(int dirfd, const char *path, const char *text)
{
	_close_ int fd = fd_open_beneath(dirfd, path, O_RDONLY, 0);
	_free_ char *data = NULL;
	size_t len;

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(-fd));
	assert_ok(fd_read_all(fd, 1 << 20, &data, &len));
	assert_string_equal(data, text);
}

static inline struct stat tree_stat(int dirfd, const char *path)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

static inline void assert_absent(int dirfd, const char *path)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		fail_msg("%s is there", path);
}

static inline void assert_link(int dirfd, const char *path, const char *target)
{
	char buf[256];
	ssize_t n = readlinkat(dirfd, path, buf, sizeof(buf) - 1);

	assert_true(n >= 0);
	buf[n] = '\0';
	assert_string_equal(buf, target);
}

/* Only the superuser gives files away and makes devices. */
#define need_root()                 \
	do {                        \
		if (geteuid() != 0) \
			skip();     \
	} while (0)

#endif
