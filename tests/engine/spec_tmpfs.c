/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_tmpfs.h"

#include "base/err.h"
#include "base/json.h"
#include "tests/base/unit.h"

static void is(const struct run_tmpfs *t, const char *target, uint64_t size, unsigned mode)
{
	assert_string_equal(t->target, target);
	assert_true(t->size == size);
	assert_int_equal(t->mode, mode);
}

static void options(_unused_ void **state)
{
	struct run_spec s = { 0 }, back = { 0 };
	_json_ json_t *j = json_object();

	assert_ok(spec_parse_tmpfs(&s, "/a"));
	assert_ok(spec_parse_tmpfs(&s, "/b:size=1m,mode=0700,ro"));
	assert_ok(spec_parse_tmpfs(&s, "/c:exec,suid,nodev"));
	assert_ok(spec_parse_tmpfs(&s, "/d:,exec,suid,ro,rw,noexec,nosuid,size=5,"));
	assert_int_equal(s.ntmpfs, 4);
	spec_tmpfs_to_json(&s, j);
	assert_ok(spec_tmpfs_from_json(j, &back));
	assert_int_equal(back.ntmpfs, 4);
	for (int i = 0; i < 2; i++) {
		const struct run_tmpfs *t = i ? back.tmpfs : s.tmpfs;

		is(&t[0], "/a", 0, 01777);
		assert_false(t[0].rdonly || t[0].exec || t[0].suid);
		is(&t[1], "/b", 1 << 20, 0700);
		assert_true(t[1].rdonly);
		is(&t[2], "/c", 0, 01777);
		assert_true(t[2].exec && t[2].suid);
		is(&t[3], "/d", 5, 01777);
		assert_false(t[3].rdonly || t[3].exec || t[3].suid);
	}
	spec_tmpfs_free(&s);
	spec_tmpfs_free(&back);
}

static void what_is_refused(_unused_ void **state)
{
	static const char *const words[] = {
		"",	    "a",	 "/",	       "/..:ro",    "/a:size=",	     "/a:size=0",
		"/a:mode=", "/a:mode=8", "/a:mode=0",  "/a:dev",    "/a:mode=02000", "/a:huge",
		"/a:ro:rw", "/v",	 "/v:size=1m", "/t:noexec", "/a:size=-1",    "/a:mode=7x"
	};
	struct run_volume v = { NULL, (char[]){ "/v" }, false };
	struct run_spec s = { .volumes = &v, .nvolumes = 1 };
	_json_ json_t *bad = json_pack("{s:[{s:i}]}", "tmpfs", "size", 1);

	assert_ok(spec_parse_tmpfs(&s, "/t"));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		assert_int_equal(spec_parse_tmpfs(&s, words[i]), -EINVAL);
		assert_non_null(strstr(err_text(), words[i]));
		err_clear();
	}
	assert_int_equal(s.ntmpfs, 1);
	assert_int_equal(spec_tmpfs_from_json(bad, &s), -EBADMSG);
	spec_tmpfs_free(&s);
}

static void order(_unused_ void **state)
{
	static const char *const want[] = { "/z", "/a/", "/a/b", "/x//y/", "/a/b/c", "/a/b/d" };
	struct run_volume volumes[] = { { NULL, (char[]){ "/a/b/c" }, false },
					{ NULL, (char[]){ "/z" }, false } };
	struct run_volume disks[] = { { NULL, (char[]){ "" }, false },
				      { NULL, (char[]){ "/a/b" }, false } };
	struct run_spec s = { .volumes = volumes, .nvolumes = 2, .disks = disks, .ndisks = 2 };
	_free_ struct place *p = NULL;

	assert_ok(spec_parse_tmpfs(&s, "/a/b/d"));
	assert_ok(spec_parse_tmpfs(&s, "/a/"));
	assert_ok(spec_parse_tmpfs(&s, "/x//y/"));
	assert_int_equal(spec_places(&s, &p), 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(p[i].target, want[i]);
	assert_int_equal(p[0].kind, PLACE_VOLUME);
	assert_int_equal(p[0].i, 1);
	assert_int_equal(p[2].kind, PLACE_DISK);
	assert_int_equal(p[2].i, 1);
	assert_int_equal(p[5].kind, PLACE_TMPFS);
	assert_int_equal(p[5].i, 0);
	spec_tmpfs_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(options),
					    cmocka_unit_test(what_is_refused),
					    cmocka_unit_test(order) };

	return cmocka_run_group_tests_name("engine/spec_tmpfs", tests, NULL, NULL);
}
