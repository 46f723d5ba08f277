/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/dockerignore.h"
#include "base/buf.h"
#include "base/err.h"
#include "tests/builder/tree.h"

static void matches(_unused_ void **state)
{
	static const char *const yes[][2] = {
		{ "a", "a" },
		{ "*", "a" },
		{ "*", ".a" },
		{ "a*", "a" },
		{ "a*c", "abbc" },
		{ "a*b*c", "aXbYbZc" },
		{ "?", "a" },
		{ "[a-c]x", "bx" },
		{ "[^a-c]x", "dx" },
		{ "[\\]]", "]" },
		{ "\\*", "*" },
		{ "*/b", "a/b" },
		{ "**", "a/b/c" },
		{ "**/c", "c" },
		{ "**/c", "a/b/c" },
		{ "a/**", "a/b/c" },
		{ "a/**/c", "a/c" },
		{ "a/**/c", "a/b/d/c" },
		{ "**/*.go", "x/y.go" },
		{ "**/b/**/d", "a/b/b/c/d" },
		{ "*/temp*", "a/temporary" },
		{ "**/a*/c", "ab/x/ac/c" },
		{ "", "" },
		{ "a**", "ab/c" },
	};
	static const char *const no[][2] = {
		{ "a", "b" },
		{ "a", "a/b" },
		{ "*", "a/b" },
		{ "a?b", "a/b" },
		{ "?", "" },
		{ "a*c", "a/c" },
		{ "[a-c]", "d" },
		{ "[a", "b" },
		{ "a/**", "a" },
		{ "**/c", "xc" },
		{ "a/**/c", "ac" },
		{ "*/b", "b" },
		{ "[^a]", "/" },
		{ "\\*", "a" },
		{ "**/c", "c/d" },
		{ "*.go", "a.gox" },
		{ "a/**/c", "a/b/cd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (!pattern_match(yes[i][0], yes[i][1]))
			fail_msg("'%s' does not match '%s'", yes[i][0], yes[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (pattern_match(no[i][0], no[i][1]))
			fail_msg("'%s' matches '%s'", no[i][0], no[i][1]);
}

/* A pattern that other matchers take for ever over. */
static void many_stars(_unused_ void **state)
{
	char path[4001], pattern[] = "**/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";

	memset(path, 'a', 4000);
	path[4000] = '\0';
	assert_false(pattern_match(pattern, path));
}

static bool excludes(const char *text, const char *path)
{
	struct dockerignore d;
	bool yes;

	assert_ok(dockerignore_parse(text, &d));
	yes = dockerignore_excludes(&d, path);
	dockerignore_done(&d);
	return yes;
}

/* docs.docker.com/build/concepts/context, "Syntax" and "Negating matches" */
static void documented(_unused_ void **state)
{
	static const char first[] = "# comment\n*/temp*\n*/*/temp*\ntemp?\n";

	assert_true(excludes(first, "somedir/temporary.txt"));
	assert_true(excludes(first, "somedir/temp"));
	assert_true(excludes(first, "somedir/temp/below"));
	assert_true(excludes(first, "somedir/subdir/temporary.txt"));
	assert_true(excludes(first, "tempa"));
	assert_false(excludes(first, "temp"));
	assert_false(excludes(first, "tempab"));
	assert_true(excludes("**/*.go", "a/b/c.go"));
	assert_true(excludes("**/*.go", "c.go"));
	assert_true(excludes("*.md\n!README.md", "a.md"));
	assert_false(excludes("*.md\n!README.md", "README.md"));
	assert_false(excludes("*.md\n!README*.md\nREADME-secret.md", "README-x.md"));
	assert_true(excludes("*.md\n!README*.md\nREADME-secret.md", "README-secret.md"));
	assert_false(excludes("*.md\nREADME-secret.md\n!README*.md", "README-secret.md"));
}

static void cleaning(_unused_ void **state)
{
	assert_true(excludes("/foo/bar", "foo/bar"));
	assert_true(excludes("foo/bar/", "foo/bar/x"));
	assert_true(excludes("  ./foo  \r\n", "foo"));
	assert_true(excludes("a/../foo", "foo"));
	assert_true(excludes("\xef\xbb\xbf"
			     "foo",
			     "foo"));
	assert_false(excludes("*\n! foo", "foo"));
	assert_false(excludes("\n\n#foo\n", "foo"));
	assert_false(excludes("", "foo"));
}

static void bounds(_unused_ void **state)
{
	_buf_done_ struct buf b = { 0 };
	struct dockerignore d;

	assert_int_equal(dockerignore_parse("a\n!\n", &d), -EINVAL);
	err_clear();
	for (int i = 0; i < 4097; i++)
		buf_adds(&b, "a\n");
	assert_int_equal(dockerignore_parse(b.data, &d), -EFBIG);
	err_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches),    cmocka_unit_test(many_stars),
		cmocka_unit_test(documented), cmocka_unit_test(cleaning),
		cmocka_unit_test(bounds),
	};

	return run_units(tests);
}
