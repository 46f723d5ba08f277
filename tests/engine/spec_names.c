/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_names.h"

#include "base/err.h"
#include "base/str.h"
#include "engine/etc_files.h"
#include "tests/base/unit.h"

static char id[] = "0123456789abcdef", no_name[] = "", name[] = "web", host[] = "box";
static const uint8_t address[] = { 10, 77, 0, 2 }, gateway[] = { 10, 77, 0, 1 };

static void done(struct run_spec *s)
{
	strv_free(s->dns_servers);
	strv_free(s->dns_search);
	strv_free(s->dns_options);
	strv_free(s->hosts);
}

static void what_is_taken(_unused_ void **state)
{
	char v4[] = "a:10.0.0.1", v6[] = "b:2001:db8::1", brackets[] = "c:[::5]";
	char gw[] = "d:host-gateway", server[] = "::1", dot[] = ".", option[] = "ndots:2";
	char *hosts[] = { v4, v6, brackets, gw, NULL }, *dns[] = { server, NULL };
	char *search[] = { dot, NULL }, *options[] = { option, NULL };
	struct run_spec s = { .bridge_network = true };

	assert_ok(spec_join_names(&s, &(struct run_options){ .dns = dns,
							     .dns_search = search,
							     .dns_options = options,
							     .hosts = hosts }));
	assert_string_equal(s.hosts[0], "a:10.0.0.1");
	assert_string_equal(s.hosts[1], "b:2001:db8::1");
	assert_string_equal(s.hosts[2], "c:::5");
	assert_string_equal(s.hosts[3], "d:host-gateway");
	assert_string_equal(s.dns_servers[0], "::1");
	assert_string_equal(s.dns_search[0], ".");
	assert_string_equal(s.dns_options[0], "ndots:2");
	done(&s);
}

static void refused(const struct run_options *o, bool user_network, const char *text)
{
	struct run_spec s = { .user_network = user_network, .hostname = (char *)o->hostname };

	assert_int_equal(spec_join_names(&s, o), -EINVAL);
	assert_non_null(strstr(err_text(), text));
	err_clear();
	done(&s);
}

static void what_is_not(_unused_ void **state)
{
	static const char *const hosts[] = {
		"",	     "a",	":1.2.3.4",    "a:",
		"a:1.2.3",   "a:b:c:x", "a b:1.2.3.4", "a\n:1.2.3.4",
		"a:[::5",    "#:::1",	"a:1.2.3.4\n", "a:host-gateway",
		"a:::1%eth0"
	};
	static const char *const words[] = { "", "a b", "a\nnameserver 1.2.3.4", "#" };
	static const char *const servers[] = { "", "localhost", "1.2.3", "1.2.3.4\n", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		char *v[] = { (char *)hosts[i], NULL };

		refused(&(struct run_options){ .hosts = v }, true, hosts[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char *v[] = { (char *)words[i], NULL };

		refused(&(struct run_options){ .dns_search = v }, true, "DNS search");
		refused(&(struct run_options){ .dns_options = v }, true, "DNS option");
		refused(&(struct run_options){ .hostname = words[i] }, true, "host name");
	}
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		char *v[] = { (char *)servers[i], NULL };

		refused(&(struct run_options){ .dns = v }, true, "DNS server");
	}
	for (size_t i = 0; i < 3; i++) {
		char good[] = "1.2.3.4", *v[] = { good, NULL };
		struct run_options o = { 0 };

		*(char *const **[]){ &o.dns, &o.dns_search, &o.dns_options }[i] = v;
		refused(&o, false, "need a network");
	}
}

static void makes(const struct run_spec *s, const char *resolv, const uint8_t *own,
		  const char *want_resolv, const char *want_hosts)
{
	struct etc_files f;
	size_t n = 0;

	assert_ok(etc_files_make(s, resolv, own, own ? gateway : NULL, &f));
	assert_int_equal(f.n, !!want_resolv + !!want_hosts);
	if (want_resolv) {
		assert_string_equal(f.files[n].path, "/etc/resolv.conf");
		assert_string_equal(f.files[n++].text, want_resolv);
	}
	if (want_hosts) {
		assert_string_equal(f.files[n].path, "/etc/hosts");
		assert_string_equal(f.files[n].text, want_hosts);
	}
	etc_files_done(&f);
}

static void files(_unused_ void **state)
{
	char first[] = "db:10.0.0.9", gw[] = "up:host-gateway", *hosts[] = { first, gw, NULL };
	char server[] = "192.0.2.7", *dns[] = { server, NULL };
	struct run_spec s = { .id = id, .name = no_name };

	makes(&s, NULL, NULL, NULL,
	      "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t0123456789ab\n");
	s.name = name;
	s.hostname = host;
	s.user_network = true;
	makes(&s, "nameserver 10.0.2.3\n", address, "nameserver 10.0.2.3\n",
	      "127.0.0.1\tlocalhost\n::1\tlocalhost\n10.77.0.2\tbox web\n");
	s.user_network = false;
	s.bridge_network = true;
	s.hosts = hosts;
	s.dns_servers = dns;
	makes(&s, NULL, address, "nameserver 192.0.2.7\n",
	      "10.0.0.9\tdb\n10.77.0.1\tup\n127.0.0.1\tlocalhost\n::1\tlocalhost\n"
	      "10.77.0.2\tbox web\n10.77.0.1\thost.containers.internal\n");
	s = (struct run_spec){ .id = id, .name = name, .host_network = true };
	makes(&s, NULL, NULL, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_taken),
					    cmocka_unit_test(what_is_not),
					    cmocka_unit_test(files) };

	return cmocka_run_group_tests_name("engine/spec_names", tests, NULL, NULL);
}
