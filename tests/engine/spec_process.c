/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_process.h"

#include "base/err.h"
#include "base/json.h"
#include "tests/base/unit.h"
#include <linux/capability.h>
#include <sys/resource.h>

#define BIT(n) (UINT64_C(1) << (n))

static void limit(const struct run_spec *s, size_t i, unsigned resource, uint64_t soft,
		  uint64_t hard)
{
	assert_int_equal(s->rlimits[i].resource, resource);
	assert_true(s->rlimits[i].soft == soft);
	assert_true(s->rlimits[i].hard == hard);
}

static void limits(_unused_ void **state)
{
	struct run_spec s = { 0 };

	assert_ok(spec_add_rlimit(&s, "nofile=1024:4096"));
	assert_ok(spec_add_rlimit(&s, "core=0"));
	assert_ok(spec_add_rlimit(&s, "STACK=8388608:-1"));
	assert_ok(spec_add_rlimit(&s, "memlock=unlimited"));
	assert_ok(spec_add_rlimit(&s, "nofile=7")); /* the later word holds */
	assert_int_equal(s.nrlimits, 4);
	limit(&s, 0, RLIMIT_NOFILE, 7, 7);
	limit(&s, 1, RLIMIT_CORE, 0, 0);
	limit(&s, 2, RLIMIT_STACK, 8388608, RLIM_INFINITY);
	limit(&s, 3, RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
}

static void bad_limits(_unused_ void **state)
{
	static const char *const words[] = {
		"",	     "=5",	"nofile",    "nofile=",	    "nofile=x",	    "nofile=5:4",
		"nofile=5:", "files=5", "nofile=-2", "nofile=-1:5", "nofile=1:2:3", "nofile=1.5"
	};
	struct run_spec s = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		assert_int_equal(spec_add_rlimit(&s, words[i]), -EINVAL);
		assert_non_null(strstr(err_text(), words[i]));
		err_clear();
	}
	assert_int_equal(s.nrlimits, 0);
}

static uint64_t caps_of(char *add, char *drop, uint64_t base)
{
	char *added[] = { add, NULL }, *dropped[] = { drop, NULL };
	struct run_spec s = { 0 };

	assert_ok(spec_join_caps(&s, added, dropped));
	return spec_caps(&s, base);
}

static void capabilities(_unused_ void **state)
{
	const uint64_t base = BIT(CAP_CHOWN) | BIT(CAP_KILL);
	char net[] = "NET_ADMIN", kill[] = "cap_kill", all[] = "all", last[] = "CHECKPOINT_RESTORE";

	assert_true(caps_of(NULL, NULL, base) == base);
	assert_true(caps_of(net, kill, base) == (BIT(CAP_CHOWN) | BIT(CAP_NET_ADMIN)));
	assert_true(caps_of(net, all, base) == BIT(CAP_NET_ADMIN));
	assert_true(caps_of(all, kill, base) == ~BIT(CAP_KILL));
	assert_true(caps_of(NULL, all, base) == 0);
	assert_true(caps_of(last, NULL, 0) == BIT(CAP_LAST_CAP));
	assert_true(caps_of(NULL, net, UINT64_MAX) == ~BIT(CAP_NET_ADMIN));
}

static void bad_capabilities(_unused_ void **state)
{
	char nosuch[] = "CAP_NOSUCH", empty[] = "", kill[] = "KILL", all[] = "ALL";
	char *const cases[][2] = {
		{ nosuch, NULL }, { NULL, empty }, { kill, kill }, { all, all }
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *add[] = { cases[i][0], NULL }, *drop[] = { cases[i][1], NULL };
		struct run_spec s = { 0 };

		assert_int_equal(spec_join_caps(&s, add, drop), -EINVAL);
		assert_non_null(err_text());
		err_clear();
	}
}

static void as_json(_unused_ void **state)
{
	struct run_spec s = { .caps_add = BIT(CAP_SYS_TIME), .caps_drop = UINT64_MAX },
			back = { 0 };
	_json_ json_t *j = json_object();

	assert_ok(spec_add_rlimit(&s, "nofile=1024:-1"));
	spec_process_to_json(&s, j);
	assert_ok(spec_process_from_json(j, &back));
	assert_int_equal(back.nrlimits, 1);
	limit(&back, 0, RLIMIT_NOFILE, 1024, RLIM_INFINITY);
	assert_true(back.caps_add == s.caps_add && back.caps_drop == UINT64_MAX);
	assert_string_equal(json_string_value(json_array_get(json_get_array(j, "capAdd"), 0)),
			    "SYS_TIME");
	json_object_set_new(j, "capDrop", json_pack("[s]", "NOSUCH"));
	assert_int_equal(spec_process_from_json(j, &back), -EBADMSG);
	json_object_set_new(j, "capDrop", json_array());
	json_object_set_new(j, "ulimits", json_pack("[{s:s}]", "name", "nosuch"));
	assert_int_equal(spec_process_from_json(j, &back), -EBADMSG);
	err_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits),	cmocka_unit_test(bad_limits),
		cmocka_unit_test(capabilities), cmocka_unit_test(bad_capabilities),
		cmocka_unit_test(as_json),
	};

	return cmocka_run_group_tests_name("engine/spec_process", tests, NULL, NULL);
}
