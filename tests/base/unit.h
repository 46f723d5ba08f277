/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka with what it needs, and a directory to play in. */
#ifndef TESTS_BASE_UNIT_H
#define TESTS_BASE_UNIT_H

#include "base/fd.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* After what it uses. */
#include <cmocka.h>

/* The call gives 0. */
#define assert_ok(call) assert_int_equal((call), 0)

/* A new directory below TMPDIR: its path in @path, and a descriptor. */
static inline int temp_open(char path[64])
{
	const char *base = getenv("TMPDIR");
	int fd;

	snprintf(path, 64, "%.40s/strata-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Removes it with all in it. */
static inline void temp_close(const char *path, int fd)
{
	fd_close(fd);
	assert_ok(fd_remove_tree(AT_FDCWD, path));
}

/* Makes a file of that text. */
static inline void temp_file(int dirfd, const char *name, const char *text)
{
	_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_ok(fd_write_full(fd, text, strlen(text)));
}

/* TAP on the standard output, also without tests/run. */
#define run_units(tests) \
	(cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests((tests), NULL, NULL))

#endif
