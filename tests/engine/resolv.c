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

static void changed(const char *text, char *const *servers, char *const *search,
		    char *const *options, const char *want)
{
	_buf_done_ struct buf b = { 0 };

	assert_ok(resolv_change(text, servers, search, options, &b));
	assert_string_equal(b.data, want);
}

static void what_is_said_wins(_unused_ void **state)
{
	static const char text[] = "# mine\nnameserver 192.0.2.7\n\tdomain old\nsearch a b\n"
				   "options ndots:2\nnameservers x\n";
	char one[] = "10.0.0.1", two[] = "::5", x[] = "x.y", dot[] = ".", o[] = "use-vc";
	char *servers[] = { one, two, NULL }, *search[] = { x, NULL }, *none[] = { dot, NULL };
	char *options[] = { o, NULL };

	changed(text, NULL, NULL, NULL, text);
	changed(text, servers, NULL, NULL,
		"# mine\n\tdomain old\nsearch a b\noptions ndots:2\nnameservers x\n"
		"nameserver 10.0.0.1\nnameserver ::5\n");
	changed(text, NULL, search, options,
		"# mine\nnameserver 192.0.2.7\nnameservers x\nsearch x.y\noptions use-vc\n");
	changed(text, NULL, none, NULL,
		"# mine\nnameserver 192.0.2.7\noptions ndots:2\nnameservers x\n");
	changed("", servers, none, NULL, "nameserver 10.0.0.1\nnameserver ::5\n");
	changed("", NULL, none, NULL, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_stays),
					    cmocka_unit_test(what_goes),
					    cmocka_unit_test(without_an_end),
					    cmocka_unit_test(what_is_said_wins) };

	return cmocka_run_group_tests_name("engine/resolv", tests, NULL, NULL);
}
