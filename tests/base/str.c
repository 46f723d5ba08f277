/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "tests/base/unit.h"

static void prefixes(_unused_ void **state)
{
	assert_string_equal(str_after("sha256:ab", "sha256:"), "ab");
	assert_string_equal(str_after("x", ""), "x");
	assert_null(str_after("sha", "sha256:"));
	assert_true(str_ends("a.tar", ".tar"));
	assert_true(str_ends("a", ""));
	assert_false(str_ends("tar", ".tar"));
}

static void formats(_unused_ void **state)
{
	_free_ char *s = str_fmt("%s/%d", "a", 1);

	assert_string_equal(s, "a/1");
}

static void numbers(_unused_ void **state)
{
	static const char *const bad[] = { "",	 " 1",	"1 ",  "+1",
					   "-1", "0x1", "1.0", "99999999999999999999x" };
	uint64_t n = 77;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(str_u64(bad[i], 0, UINT64_MAX, &n), -EINVAL);
	assert_int_equal(str_u64("18446744073709551616", 0, UINT64_MAX, &n), -ERANGE);
	assert_int_equal(str_u64("4", 5, 10, &n), -ERANGE);
	assert_int_equal(str_u64("11", 5, 10, &n), -ERANGE);
	assert_int_equal(n, 77);
	assert_ok(str_u64("18446744073709551615", 0, UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	assert_ok(str_u64("007", 0, 7, &n));
	assert_int_equal(n, 7);
}

static void numbers_begun(_unused_ void **state)
{
	static const struct {
		const char *text;
		unsigned base;
		uint64_t max;
		int r;
		uint64_t n;
		const char *rest;
	} of[] = {
		{ "10.1", 10, 10, 0, 10, ".1" },
		{ "11", 10, 10, -ERANGE, 77, "11" },
		{ "18446744073709551616", 10, UINT64_MAX, -ERANGE, 77, "18446744073709551616" },
		{ "17:8", 8, 07777, 0, 017, ":8" },
		{ "78", 8, 07777, 0, 7, "8" },
		{ "00FfGg", 16, UINT32_MAX, 0, 255, "Gg" },
		{ "10000000000000000", 16, UINT64_MAX, -ERANGE, 77, "10000000000000000" },
		{ "a", 10, 10, -EINVAL, 77, "a" },
		{ "-1", 10, 10, -EINVAL, 77, "-1" },
		{ " 1", 10, 10, -EINVAL, 77, " 1" },
		{ "", 16, 10, -EINVAL, 77, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		const char *s = of[i].text;
		uint64_t n = 77;

		assert_int_equal(str_number(&s, of[i].base, of[i].max, &n), of[i].r);
		assert_int_equal(n, of[i].n);
		assert_string_equal(s, of[i].rest);
	}
}

static void words(_unused_ void **state)
{
	const char *line = " eth0\t1  22 \nother 4 5 6 7";

	assert_true(str_word(line, 0) == line + 1);
	assert_true(str_word(line, 1) == line + 6);
	assert_true(str_word(line, 2) == line + 9);
	/* None is taken from the next line, however many are asked for. */
	for (unsigned n = 3; n < 6; n++)
		assert_int_equal(*str_word(line, n), '\n');
	assert_string_equal(str_word("a", 1), "");
	assert_string_equal(str_word("", 9), "");
}

static void sizes(_unused_ void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "512b", 512 },
		{ "1k", 1024 },
		{ "1K", 1024 },
		{ "64m", 64u << 20 },
		{ "64MiB", 64u << 20 },
		{ "2gb", 2ull << 30 },
		{ "1t", 1ull << 40 },
		{ "1.5g", 3ull << 29 },
		{ "0.5k", 512 },
		{ "1.0000000001k", 1024 },
		{ "16777215t", 16777215ull << 40 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = { "",	 "k",  "1x",  "1kk", "1ib", "1 k",
					   "-1", "1.", ".5k", "1.k", "1bk", "1e3" };
	uint64_t n = 77;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_ok(str_size(good[i].text, &n));
		assert_true(n == good[i].bytes);
	}
	n = 77;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(str_size(bad[i], &n), -EINVAL);
	assert_int_equal(str_size("16777216t", &n), -ERANGE);
	assert_int_equal(str_size("99999999999999999999", &n), -ERANGE);
	assert_int_equal(n, 77);
}

static void human_sizes(_unused_ void **state)
{
	assert_string_equal(str_human(0).s, "0 B");
	assert_string_equal(str_human(999).s, "999 B");
	assert_string_equal(str_human(1000).s, "1 kB");
	assert_string_equal(str_human(1500000).s, "1.5 MB");
	assert_string_equal(str_human(7654321).s, "7.65 MB");
	assert_string_equal(str_human(999600).s, "1 MB");
	assert_string_equal(str_human(UINT64_MAX).s, "18.4 EB");
}

static void copies(_unused_ void **state)
{
	char dst[4] = "old";

	assert_int_equal(str_copy(dst, sizeof(dst), "four"), -ENAMETOOLONG);
	assert_string_equal(dst, "old");
	assert_ok(str_copy(dst, sizeof(dst), "new"));
	assert_string_equal(dst, "new");
	assert_int_equal(str_copy(dst, 0, ""), -ENAMETOOLONG);
}

static void unescape_octal(_unused_ void **state)
{
	char s[] = "/a\\040b\\011\\134\\012", none[] = "/a\\9\\04", empty[] = "";

	str_unescape_octal(s);
	assert_string_equal(s, "/a b\t\\\n");
	str_unescape_octal(none);
	assert_string_equal(none, "/a\\9\\04");
	str_unescape_octal(empty);
	assert_string_equal(empty, "");
}

static void printable(_unused_ void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "a\nb\t\x1b[31m\x7f", "a\\x0ab\\x09\\x1b[31m\\x7f" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xc2\x9b", "\\xc2\\x9b" }, /* CSI as one character */
		{ "\x9b", "\\x9b" },
		{ "\xc0\xaf", "\\xc0\\xaf" },	       /* not the shortest form */
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" }, /* right-to-left override */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* a surrogate */
		{ "\xe2\x82", "\\xe2\\x82" },	       /* cut short */
		{ "\xff", "\\xff" },
	};
	char out[64], tiny[5];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		str_printable(out, sizeof(out), cases[i].in);
		assert_string_equal(out, cases[i].out);
	}
	str_printable(tiny, sizeof(tiny), "ab\n");
	assert_string_equal(tiny, "ab"); /* never a part of an escape */
	str_printable(tiny, sizeof(tiny), "\nabc");
	assert_string_equal(tiny, "\\x0a");
	str_printable(tiny, 1, "abc");
	assert_string_equal(tiny, "");
	str_printable(NULL, 0, "abc");
}

static void vectors(_unused_ void **state)
{
	_strv_free_ char **v = NULL;
	_strv_free_ char **copy = NULL;
	char **none = NULL;

	assert_int_equal(strv_len(NULL), 0);
	assert_ok(strv_dup(NULL, &none));
	assert_null(none);
	assert_ok(strv_add(&v, "a"));
	assert_ok(strv_addf(&v, "b%d", 1));
	assert_int_equal(strv_len(v), 2);
	assert_ok(strv_dup(v, &copy));
	assert_ptr_not_equal(copy[1], v[1]);
	assert_string_equal(copy[1], "b1");
	assert_null(copy[2]);
	strv_free(NULL);
}

static void environments(_unused_ void **state)
{
	_strv_free_ char **env = NULL;

	assert_null(strv_getenv(NULL, "A"));
	assert_ok(strv_setenv(&env, "A=1"));
	assert_ok(strv_setenv(&env, "AB=2"));
	assert_ok(strv_setenv(&env, "A=3=4"));
	assert_int_equal(strv_len(env), 2);
	assert_string_equal(strv_getenv(env, "A"), "3=4");
	assert_string_equal(strv_getenv(env, "AB"), "2");
	assert_null(strv_getenv(env, "B"));
	assert_null(strv_getenv(env, ""));
	assert_int_equal(strv_setenv(&env, "A"), -EINVAL);
	assert_int_equal(strv_setenv(&env, "=x"), -EINVAL);
	assert_ok(strv_setenv(&env, "AB="));
	assert_string_equal(strv_getenv(env, "AB"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),	cmocka_unit_test(formats),
		cmocka_unit_test(numbers),	cmocka_unit_test(numbers_begun),
		cmocka_unit_test(words),	cmocka_unit_test(sizes),
		cmocka_unit_test(human_sizes),	cmocka_unit_test(copies),
		cmocka_unit_test(printable),	cmocka_unit_test(vectors),
		cmocka_unit_test(unescape_octal),
		cmocka_unit_test(environments),
	};

	return run_units(tests);
}
