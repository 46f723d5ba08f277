/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_env.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/pairs.h"
#include "tests/base/unit.h"
#include <unistd.h>

/* A file of that text, by its name. */
struct file {
	int fd;
	char path[32];
};

static struct file file_of(const char *text, size_t len)
{
	struct file f = { .fd = fd_memfd("pairs", text, len) };

	assert_true(f.fd >= 0);
	snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	return f;
}

static int gather(void *ctx, const char *pair)
{
	return strv_add(ctx, pair);
}

static void lines(_unused_ void **state)
{
	static const char text[] = "# a comment\n\n  A=1\n\tB= two # words \nC=\r\n"
				   "D\n  \n#\nE=x=y\nF=z";
	static const char *const want[] = { "A=1", "B= two # words ", "C=", "D", "E=x=y", "F=z" };
	_strv_free_ char **got = NULL;
	struct file f = file_of(text, strlen(text));

	assert_ok(pairs_read(f.path, gather, &got));
	assert_int_equal(strv_len(got), ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(got[i], want[i]);
	fd_close(f.fd);
}

static void bad_lines(_unused_ void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *where;
		int error;
	} cases[] = {
		{ "A=1\n=2\n", 7, ":2: there is no name", -EINVAL },
		{ "\n\nA B=2", 7, ":3: a blank in the name", -EINVAL },
		{ "A =2", 4, ":1: a blank in the name", -EINVAL },
		{ "A=\0b\n", 5, ":1: it holds a NUL", -EINVAL },
		{ "A=1\nB=\xff\n", 8, ":2: must be UTF-8", -EILSEQ },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_strv_free_ char **got = NULL;
		struct file f = file_of(cases[i].text, cases[i].len);

		assert_int_equal(pairs_read(f.path, gather, &got), cases[i].error);
		assert_non_null(strstr(err_text(), f.path));
		assert_non_null(strstr(err_text(), cases[i].where));
		err_clear();
		fd_close(f.fd);
	}
	assert_int_equal(pairs_read("/nonexistent/file", gather, NULL), -ENOENT);
	assert_non_null(strstr(err_text(), "/nonexistent/file"));
	err_clear();
}

static void done(struct run_spec *s)
{
	strv_free(s->env);
	json_decref(s->labels);
}

static void environment(_unused_ void **state)
{
	static const char text[] = "B=file\nC=file\nOURS\nNOBODYS\nSTRATA_TEST_*\n";
	struct file f = file_of(text, strlen(text));
	char c[] = "C=option", *env[] = { c, NULL }, *files[] = { f.path, NULL };
	_json_ json_t *config = json_pack("{s:[s, s]}", "Env", "A=image", "B=image");
	struct run_spec s = { 0 };

	setenv("OURS", "of ours", 1);
	unsetenv("NOBODYS");
	setenv("STRATA_TEST_", "none", 1);
	setenv("STRATA_TEST_A", "=a", 1);
	setenv("STRATA_TES", "shorter", 1);
	assert_ok(
		spec_join_env(&s, &(struct run_options){ .env = env, .env_files = files }, config));
	assert_string_equal(strv_getenv(s.env, "A"), "image");
	assert_string_equal(strv_getenv(s.env, "B"), "file");
	assert_string_equal(strv_getenv(s.env, "C"), "option");
	assert_string_equal(strv_getenv(s.env, "OURS"), "of ours");
	assert_null(strv_getenv(s.env, "NOBODYS"));
	assert_string_equal(strv_getenv(s.env, "STRATA_TEST_"), "none");
	assert_string_equal(strv_getenv(s.env, "STRATA_TEST_A"), "=a");
	assert_null(strv_getenv(s.env, "STRATA_TES"));
	assert_non_null(strv_getenv(s.env, "PATH"));
	done(&s);
	fd_close(f.fd);
}

static void labels(_unused_ void **state)
{
	static const char text[] = "b=file\nc=file\nempty\n";
	struct file f = file_of(text, strlen(text));
	char c[] = "c=a=b\nc", bare[] = "bare", *given[] = { c, bare, NULL };
	char *files[] = { f.path, NULL };
	_json_ json_t *config = json_pack("{s:{s:s, s:s}}", "Labels", "a=x", "image", "b", "image");
	struct run_spec s = { 0 };

	assert_ok(spec_join_labels(
		&s, &(struct run_options){ .labels = given, .label_files = files }, config));
	assert_int_equal(json_object_size(s.labels), 5);
	assert_string_equal(json_get_str(s.labels, "a=x"), "image");
	assert_string_equal(json_get_str(s.labels, "b"), "file");
	assert_string_equal(json_get_str(s.labels, "c"), "a=b\nc");
	assert_string_equal(json_get_str(s.labels, "empty"), "");
	assert_string_equal(json_get_str(s.labels, "bare"), "");
	done(&s);
	fd_close(f.fd);
}

static int join(char *label, json_t *image_labels)
{
	char *given[] = { label, NULL };
	_json_ json_t *config = json_pack("{s:o}", "Labels", image_labels);
	struct run_spec s = { 0 };
	int r = spec_join_labels(&s, &(struct run_options){ .labels = given }, config);

	done(&s);
	err_clear();
	return r;
}

static void bad_labels(_unused_ void **state)
{
	char nameless[] = "=x", latin1[] = "a=\xe4", name[] = "\xe4=a", good[] = "a=b";

	assert_int_equal(join(nameless, json_null()), -EINVAL);
	assert_int_equal(join(latin1, json_null()), -EILSEQ);
	assert_int_equal(join(name, json_null()), -EILSEQ);
	assert_int_equal(join(good, json_array()), -EBADMSG);
	assert_int_equal(join(good, json_pack("{s:i}", "a", 1)), -EBADMSG);
	assert_ok(join(good, json_null()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),       cmocka_unit_test(bad_lines),
		cmocka_unit_test(environment), cmocka_unit_test(labels),
		cmocka_unit_test(bad_labels),
	};

	return cmocka_run_group_tests_name("engine/spec_env", tests, NULL, NULL);
}
