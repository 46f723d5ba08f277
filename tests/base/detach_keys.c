/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/detach_keys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Types @in in pieces of @piece bytes; what went on must be @want. */
static void types(const char *keys, const char *in, size_t piece, const char *want, bool detaches)
{
	struct detach_keys k;
	char out[256];
	size_t n = 0, len = strlen(in);
	bool detach = false;

	assert_int_equal(detach_keys_parse(keys, &k), 0);
	for (size_t i = 0; i < len && !detach; i += piece)
		n += detach_keys_scan(&k, in + i, len - i < piece ? len - i : piece, out + n,
				      &detach);
	assert_int_equal(detach, detaches);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(out, want, n);
}

static void test_found(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 12; piece++) {
		types("ctrl-p,ctrl-q", "abc\x10\x11", piece, "abc", true);
		types("ctrl-p,ctrl-q", "a\x10\x10\x11", piece, "a\x10", true);
		types("ctrl-p,ctrl-q",
		      "a\x10"
		      "b\x11",
		      piece,
		      "a\x10"
		      "b\x11",
		      false);
		/* The last one may be the first of the keys: it waits. */
		types("ctrl-p,ctrl-q", "a\x10", piece, "a", false);
		types("a,a,b", "xaaab", piece, "xa", true);
		types("a,b,a,c", "ababac", piece, "ab", true);
		types("a,b,a,c", "abaabc", piece, "abaabc", false);
		types("x", "yyx", piece, "yy", true);
		types("", "a\x10\x11", piece, "a\x10\x11", false);
	}
}

#define LONG "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q" /* one more than DETACH_KEYS_MAX */

static void test_words(void **state)
{
	static const char *const bad[] = { "ctrl-",  "ctrl-1", "ctrl-pq",
					   "ab",     "a,",     ",,",
					   "meta-a", "a,,b",   LONG };
	struct detach_keys k;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (detach_keys_parse(bad[i], &k) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
	}
	assert_int_equal(
		detach_keys_parse("ctrl-@,ctrl-a,ctrl-Z,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", &k),
		0);
	assert_int_equal(k.n, 8);
	assert_memory_equal(k.keys, "\0\1\32\33\34\35\36\37", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
