/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/publish.h"

#include "base/err.h"
#include "tests/base/unit.h"

static void good(_unused_ void **state)
{
	struct publish p;

	assert_ok(publish_parse("8080:80", &p));
	assert_string_equal(p.address, "");
	assert_int_equal(p.host, 8080);
	assert_int_equal(p.guest, 80);
	assert_false(p.udp);
	assert_ok(publish_parse("127.0.0.1:1:65535/udp", &p));
	assert_string_equal(p.address, "127.0.0.1");
	assert_int_equal(p.host, 1);
	assert_int_equal(p.guest, 65535);
	assert_true(p.udp);
	assert_ok(publish_parse("53:53/tcp", &p));
	assert_false(p.udp);
}

static void bad(_unused_ void **state)
{
	static const char *const texts[] = { "",
					     ":",
					     "80",
					     "80:",
					     ":80",
					     "0:80",
					     "80:65536",
					     "-1:80",
					     "80:80/",
					     "80:80/x",
					     "80:80/udp/tcp",
					     "host:80:80",
					     "1.2.3:1:2",
					     "::1:1:2",
					     "1.2.3.4:1:2:3",
					     " 80:80" };
	struct publish p;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(publish_parse(texts[i], &p), -EINVAL);
		err_clear();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad) };

	return cmocka_run_group_tests_name("engine/publish", tests, NULL, NULL);
}
