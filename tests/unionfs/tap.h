/* SPDX-License-Identifier: Apache-2.0 */
/* TAP in a page, for tests that must link statically and run in a guest: no library but libc. */
#ifndef TESTS_UNIONFS_TAP_H
#define TESTS_UNIONFS_TAP_H

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf tap_case;
static int tap_count, tap_failed;

__attribute__((noreturn, unused)) static void tap_fail(const char *file, int line, const char *what)
{
	printf("# %s:%d: %s (%s)\n", file, line, what, strerror(errno));
	longjmp(tap_case, 1);
}

#define CHECK(x)                                          \
	do {                                              \
		errno = 0;                                \
		if (!(x))                                 \
			tap_fail(__FILE__, __LINE__, #x); \
	} while (0)
/* A system call that must fail with @e. */
#define CHECK_ERRNO(x, e) CHECK((x) < 0 && errno == (e))

/* Runs one case; the rest goes on when it fails. */
__attribute__((unused)) static void tap_run(const char *prefix, const char *name, void (*fn)(void))
{
	int bad = setjmp(tap_case);

	if (!bad)
		fn();
	else
		tap_failed++;
	printf("%sok %d - %s: %s\n", bad ? "not " : "", ++tap_count, prefix, name);
	fflush(stdout);
}

__attribute__((unused)) static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed != 0;
}

__attribute__((unused)) static int tap_skip(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	return 0;
}

#endif
