/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/words.h"
#include "base/buf.h"
#include "base/err.h"
#include "tests/builder/tree.h"

static const char *lookup(_unused_ void *ctx, const char *name)
{
	return streq(name, "set")    ? "value" :
	       streq(name, "empty")  ? "" :
	       streq(name, "quoted") ? "'a b'" :
				       NULL;
}

static const struct words_scope scope = { lookup, NULL, '\\' };

typedef int expand_fn(const char *s, const struct words_scope *scope, char **ret);

static void assert_expands(expand_fn *fn, const char *text, const char *to)
{
	_free_ char *s = NULL;
	int r = fn(text, &scope, &s);

	if (r < 0)
		fail_msg("%s: %s", text, err_take(r));
	assert_string_equal(s, to);
}

static void assert_refused(const char *text)
{
	char *s = (char *)"untouched";

	assert_int_equal(words_expand(text, &scope, &s), -EINVAL);
	assert_string_equal(s, "untouched");
	assert_non_null(err_text());
	err_clear();
}

/* docs.docker.com/reference/dockerfile, "Environment replacement" */
static void variables(_unused_ void **state)
{
	static const char *const cases[][2] = {
		{ "$set", "value" },
		{ "${set}", "value" },
		{ "a${set}b$set-c", "avaluebvalue-c" },
		{ "$unset|", "|" },
		{ "${unset:-x}", "x" },
		{ "${empty:-x}", "x" },
		{ "${empty-x}", "" },
		{ "${unset-x}", "x" },
		{ "${set:-x}", "value" },
		{ "${set:+x}", "x" },
		{ "${empty:+x}", "" },
		{ "${empty+x}", "x" },
		{ "${unset+x}", "" },
		{ "${unset:-${set}-${unset:-y}}", "value-y" },
		{ "${unset:-a b}", "a b" },
		{ "${set:?why}", "value" },
		{ "\\$set", "$set" },
		{ "\\${set}", "${set}" },
		{ "'$set'", "$set" },
		{ "\"$set\"", "value" },
		{ "\"'$set'\"", "'value'" },
		{ "$quoted", "'a b'" },
		{ "\"a\\\"b\\c\"", "a\"b\\c" },
		{ "a\\ b", "a b" },
		{ "$", "$" },
		{ "a$/b", "a$/b" },
		{ "$1", "$1" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_expands(words_expand, cases[i][0], cases[i][1]);
}

static void refusals(_unused_ void **state)
{
	static const char *const bad[] = { "${",	 "${}",	     "${set",
					   "${set:",	 "${set:x}", "${set/a/b}",
					   "'a",	 "\"a",	     "${unset:?why}",
					   "${unset:-'}" };
	_buf_done_ struct buf deep = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(bad[i]);
	for (int i = 0; i < 40; i++)
		buf_adds(&deep, "${unset:-");
	assert_refused(deep.data);
}

static void an_expansion_has_an_end(_unused_ void **state)
{
	_buf_done_ struct buf b = { 0 };
	char *s = NULL;

	for (unsigned i = 0; i < EXPANSION_MAX / 5 + 1; i++)
		buf_adds(&b, "$set");
	assert_int_equal(words_expand(b.data, &scope, &s), -EFBIG);
	assert_null(s);
	err_clear();
}

static void raw_and_heredoc(_unused_ void **state)
{
	assert_expands(words_expand_raw, "\"$set\" '${set}' \\x", "\"value\" 'value' \\x");
	assert_expands(words_expand_heredoc, "\"$set\" '${set}' \\$set \\\\ \\x\\\n`",
		       "\"value\" 'value' $set \\ \\x`");
}

static void splitting(_unused_ void **state)
{
	_strv_free_ char **v = NULL, **w = NULL, **none = NULL;

	assert_ok(words_split("  a 'b c'\t\"d \\\" e\"f g\\ h ", '\\', &v));
	assert_int_equal(strv_len(v), 4);
	assert_string_equal(v[1], "'b c'");
	assert_string_equal(v[2], "\"d \\\" e\"f");
	assert_string_equal(v[3], "g\\ h");
	assert_ok(words_expand_all("$set \"x $set\" $quoted", &scope, &w));
	assert_int_equal(strv_len(w), 3); /* a value is not split again */
	assert_string_equal(w[1], "x value");
	assert_ok(words_split(" \t", '\\', &none));
	assert_null(none);
}

static void json(_unused_ void **state)
{
	_strv_free_ char **v = NULL, **empty = NULL;

	assert_int_equal(words_json("[\"a b\", \"\\u00e9\"]", &v), 1);
	assert_int_equal(strv_len(v), 2);
	assert_string_equal(v[0], "a b");
	assert_string_equal(v[1], "\xc3\xa9");
	assert_int_equal(words_json("[]", &empty), 1);
	assert_null(empty);
	/* What is no array of strings is for the shell. */
	assert_int_equal(words_json("[ -e x ]", &empty), 0);
	assert_int_equal(words_json("['a']", &empty), 0);
	assert_int_equal(words_json("[\"a\", 1]", &empty), 0);
	assert_int_equal(words_json("[\"a\"] x", &empty), 0);
	assert_int_equal(words_json("ls", &empty), 0);
	assert_null(err_text());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables),
		cmocka_unit_test(refusals),
		cmocka_unit_test(an_expansion_has_an_end),
		cmocka_unit_test(raw_and_heredoc),
		cmocka_unit_test(splitting),
		cmocka_unit_test(json),
	};

	return run_units(tests);
}
