/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/err.h"
#include "base/str.h"
#include "tests/base/unit.h"

static json_t *parse(const char *text)
{
	json_t *j = NULL;

	assert_ok(json_parse(text, strlen(text), "test", &j));
	return j;
}

static void refuses(_unused_ void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{\"a\":1,\"a\":2}",
		"{\"x\":{\"a\":1,\"a\":1}}",
		"{} {}",
		"\"text\"",
		"{\"a\":1,}",
		"{'a':1}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\xff\"}",
		"1",
		"nul",
	};
	json_t *j = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), "manifest", &j), -EBADMSG);
		assert_non_null(str_after(err_take(-EBADMSG), "manifest: "));
	}
	assert_null(j);
}

static void depth_is_bounded(_unused_ void **state)
{
	_free_ char *deep = malloc(1u << 20);
	json_t *j = NULL;

	memset(deep, '[', 1u << 20);
	assert_int_equal(json_parse(deep, 1u << 20, "deep", &j), -EBADMSG);
	err_clear();
}

static void size_is_bounded(_unused_ void **state)
{
	_free_ char *big = malloc(JSON_MAX + 1);
	char path[64];
	int dir = temp_open(path);
	json_t *j = NULL;

	memset(big, ' ', JSON_MAX + 1);
	memcpy(big, "{}", 2);
	assert_int_equal(json_parse(big, JSON_MAX + 1, "big", &j), -EFBIG);
	assert_non_null(str_after(err_take(-EFBIG), "big: "));
	assert_ok(file_replace(dir, "big", big, JSON_MAX + 1, 0644, false));
	assert_int_equal(json_parse_file(dir, "big", "big file", &j), -EFBIG);
	assert_non_null(str_after(err_take(-EFBIG), "big file: "));
	assert_null(j);

	assert_ok(json_parse(big, JSON_MAX, "big", &j));
	json_decref(j);
	j = NULL;
	assert_ok(file_replace(dir, "big", big, JSON_MAX, 0644, false));
	assert_ok(json_parse_file(dir, "big", "big file", &j));
	json_decref(j);
	j = NULL;
	assert_int_equal(json_parse_file(dir, "absent", "config", &j), -ENOENT);
	assert_string_equal(err_take(-ENOENT), "config: No such file or directory");
	temp_close(path, dir);
}

static void members(_unused_ void **state)
{
	_json_ json_t *j = parse(
		"{\"s\":\"x\",\"i\":-5,\"t\":true,\"f\":false,"
		"\"a\":[],\"o\":{},\"n\":null,\"r\":1.5}");

	assert_string_equal(json_get_str(j, "s"), "x");
	assert_null(json_get_str(j, "i"));
	assert_null(json_get_str(j, "n"));
	assert_null(json_get_str(NULL, "s"));
	assert_int_equal(json_get_int(j, "i", 9), -5);
	assert_int_equal(json_get_int(j, "s", 9), 9);
	assert_int_equal(json_get_int(j, "r", 9), 9);
	assert_int_equal(json_get_int(json_get_array(j, "a"), "i", 9), 9);
	assert_int_equal(json_get_bool(j, "t", -1), 1);
	assert_int_equal(json_get_bool(j, "f", -1), 0);
	assert_int_equal(json_get_bool(j, "i", -1), -1);
	assert_non_null(json_get_array(j, "a"));
	assert_null(json_get_array(j, "o"));
	assert_non_null(json_get_object(j, "o"));
	assert_null(json_get_object(j, "a"));
}

static void string_vectors(_unused_ void **state)
{
	_json_ json_t *j = parse(
		"{\"v\":[\"a\",\"\",\"c\"],\"bad\":[\"a\",1],"
		"\"empty\":[],\"null\":null,\"text\":\"x\"}");
	_json_ json_t *back = NULL;
	_json_ json_t *none = NULL;
	_strv_free_ char **v = NULL;
	char **unset = NULL;

	assert_int_equal(json_to_strv(json_object_get(j, "bad"), &v), -EBADMSG);
	assert_int_equal(json_to_strv(json_object_get(j, "text"), &v), -EBADMSG);
	assert_int_equal(json_to_strv(j, &v), -EBADMSG);
	assert_null(v);
	assert_ok(json_to_strv(json_object_get(j, "v"), &v));
	assert_int_equal(strv_len(v), 3);
	assert_string_equal(v[2], "c");
	assert_ok(json_to_strv(NULL, &unset));
	assert_ok(json_to_strv(json_object_get(j, "null"), &unset));
	assert_ok(json_to_strv(json_object_get(j, "empty"), &unset));
	assert_null(unset);

	back = json_from_strv(v);
	assert_true(json_equal(back, json_object_get(j, "v")));
	none = json_from_strv(NULL);
	assert_int_equal(json_array_size(none), 0);
}

static void text_is_canonical(_unused_ void **state)
{
	_json_ json_t *a = parse("{ \"b\": [1, 2], \"a\": {\"z\": \"/\", \"y\": null} }");
	_free_ char *text = NULL;
	size_t len;

	text = json_text(a, &len);
	assert_string_equal(text, "{\"a\":{\"y\":null,\"z\":\"/\"},\"b\":[1,2]}");
	assert_int_equal(len, strlen(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),	   cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(size_is_bounded), cmocka_unit_test(members),
		cmocka_unit_test(string_vectors),  cmocka_unit_test(text_is_canonical),
	};

	return run_units(tests);
}
