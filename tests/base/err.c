/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "tests/base/unit.h"
#include <pthread.h>

static void first_text_wins(_unused_ void **state)
{
	assert_null(err_text());
	assert_int_equal(err(-EBADMSG, "layer %s: digest mismatch", "abc"), -EBADMSG);
	assert_int_equal(err(-EIO, "clean-up failed"), -EIO);
	errno = ENOSPC;
	assert_int_equal(err_sys("cannot write"), -ENOSPC);
	assert_string_equal(err_text(), "layer abc: digest mismatch");
	assert_string_equal(err_take(-EBADMSG), "layer abc: digest mismatch");
	assert_null(err_text());
}

static void sys_appends_meaning(_unused_ void **state)
{
	errno = ENOENT;
	assert_int_equal(err_sys("open %d", 7), -ENOENT);
	assert_string_equal(err_take(-ENOENT), "open 7: No such file or directory");
}

static void errno_is_kept(_unused_ void **state)
{
	errno = EXDEV;
	err(-EIO, "%s", "x");
	assert_int_equal(errno, EXDEV);
	err_clear();
	err_sys("y");
	assert_int_equal(errno, EXDEV);
	err_clear();
}

static void take_without_text(_unused_ void **state)
{
	assert_string_equal(err_take(-EPERM), "Operation not permitted");
	err(-EIO, "gone");
	err_clear();
	assert_null(err_text());
	assert_string_equal(err_take(-EIO), "Input/output error");
}

static void taken_text_can_be_wrapped(_unused_ void **state)
{
	err(-EIO, "inner");
	err(-EIO, "outer: %s", err_take(-EIO));
	assert_string_equal(err_take(-EIO), "outer: inner");
}

static void long_texts_are_cut(_unused_ void **state)
{
	char text[2 * ERR_TEXT_MAX];
	const char *taken;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err(-EIO, "%s", text);
	assert_int_equal(strlen(err_take(-EIO)), ERR_TEXT_MAX - 1);

	errno = EIO;
	err_sys("%s", text);
	taken = err_take(-EIO);
	assert_true(strlen(taken) < ERR_TEXT_MAX);
	assert_non_null(strstr(taken, "aa: Input/output error"));
}

static void *other_thread(void *ret)
{
	*(const char **)ret = err_text();
	err(-EIO, "of the other thread");
	return NULL;
}

static void texts_are_per_thread(_unused_ void **state)
{
	const char *seen = "unset";
	pthread_t thread;

	err(-EIO, "of this thread");
	assert_ok(pthread_create(&thread, NULL, other_thread, &seen));
	assert_ok(pthread_join(thread, NULL));
	assert_null(seen);
	assert_string_equal(err_take(-EIO), "of this thread");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_text_wins),
		cmocka_unit_test(sys_appends_meaning),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(take_without_text),
		cmocka_unit_test(taken_text_can_be_wrapped),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(texts_are_per_thread),
	};

	return run_units(tests);
}
