/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/net_usage.h"

#include "tests/base/unit.h"
#include <errno.h>

#define HEAD                                                                                 \
	"Inter-|   Receive                                                |  Transmit\n"     \
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets" \
	" errs drop fifo colls carrier compressed\n"
#define LO                                                                           \
	"    lo:     100       1    0    0    0     0          0         0      100" \
	"       1    0    0    0     0       0          0\n"

static void found(_unused_ void **state)
{
	struct net_usage u;

	assert_int_equal(net_usage_parse(HEAD LO
					 "  eth0: 123456789012 3 4 5 6 7 8 9 42 1 2 3 4 5 6 7\n",
					 &u),
			 0);
	assert_true(u.in == UINT64_C(123456789012));
	assert_int_equal(u.out, 42);
	/* A long number leaves no blank; another's name may end as its does. */
	assert_int_equal(
		net_usage_parse("veth0:1 1 1 1 1 1 1 1 1 1\neth0:5 1 1 1 1 1 1 1 6 1\n", &u), 0);
	assert_int_equal(u.in, 5);
	assert_int_equal(u.out, 6);
}

static void absent(_unused_ void **state)
{
	static const char *const texts[] = { "", HEAD LO, "  veth0: 1 2 3 4 5 6 7 8 9 1\n",
					     "eth0: 1 2 3\n", "eth0:\n" };
	struct net_usage u = { 7, 8 };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(net_usage_parse(texts[i], &u), -ENOENT);
	assert_int_equal(u.in, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(found), cmocka_unit_test(absent) };

	return cmocka_run_group_tests_name("engine/net_usage", tests, NULL, NULL);
}
