/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/resolv.h"

#include "base/mem.h"
#include "tests/base/unit.h"

/* What @text becomes, with so many nameservers, of which the first is @first. */
static void becomes(const char *text, const char *want, int servers, const char *first)
{
	_free_ char *got = strdup("before");
	uint8_t a[4] = { 0 };
	char dotted[16];

	assert_int_equal(resolv_filter(text, &got, a), servers);
	assert_string_equal(got, want);
	snprintf(dotted, sizeof(dotted), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
	assert_string_equal(dotted, first);
}

static void what_stays(_unused_ void **state)
{
	becomes("", "", 0, "0.0.0.0");
	becomes("search a b\noptions ndots:2\n", "search a b\noptions ndots:2\n", 0, "0.0.0.0");
	becomes("nameserver 10.0.0.1\nnameserver 10.0.0.2\n",
		"nameserver 10.0.0.1\nnameserver 10.0.0.2\n", 2, "10.0.0.1");
	becomes("# nameserver 127.0.0.1\n\n; x\n", "# nameserver 127.0.0.1\n\n; x\n", 0, "0.0.0.0");
}

static void what_goes(_unused_ void **state)
{
	becomes("nameserver 127.0.0.53\n", "", 0, "0.0.0.0");
	becomes("nameserver 127.0.0.53\nsearch a\n  nameserver\t192.0.2.7 # mine\n",
		"search a\n  nameserver\t192.0.2.7 # mine\n", 1, "192.0.2.7");
	becomes("nameserver ::1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n"
		"nameserver 192.0.2.7\n",
		"nameserver 192.0.2.7\n", 1, "192.0.2.7");
	becomes("nameserver localhost\nnameserver 1.2.3\n", "", 0, "0.0.0.0");
}

/* The last line may have no end; it has one then. */
static void without_an_end(_unused_ void **state)
{
	becomes("nameserver 192.0.2.7", "nameserver 192.0.2.7\n", 1, "192.0.2.7");
	becomes("search a\nnameserver 127.0.0.1", "search a\n", 0, "0.0.0.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_stays),
					    cmocka_unit_test(what_goes),
					    cmocka_unit_test(without_an_end) };

	return cmocka_run_group_tests_name("engine/resolv", tests, NULL, NULL);
}
