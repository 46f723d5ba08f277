/* SPDX-License-Identifier: Apache-2.0 */
#include "network/lease.h"

#include "base/err.h"
#include "base/fd.h"
#include "network/bridge.h"
#include "tests/base/unit.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/stat.h>

static char root[] = "/tmp/strata-lease.XXXXXX";

static int setup(_unused_ void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(_unused_ void **state)
{
	return fd_remove_tree(AT_FDCWD, root);
}

static void ports(_unused_ void **state)
{
	static const char *const bad[] = { "",
					   "tcp",
					   "tcp/0.0.0.0/0/1",
					   "tcp/0.0.0.0/1/65536",
					   "sctp/0.0.0.0/1/1",
					   "tcp/1.2.3/1/1",
					   "tcp/0.0.0.0/1/1x",
					   "tcp/0.0.0.0/1" };
	struct lease_port p;

	assert_ok(lease_port_parse("udp/127.0.0.1/8080/80", &p));
	assert_true(p.udp && p.host == 8080 && p.guest == 80);
	assert_int_equal(p.address.s_addr, htonl(INADDR_LOOPBACK));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(lease_port_parse(bad[i], &p), -EINVAL);
		err_clear();
	}
}

static void nets(_unused_ void **state)
{
	static const char *const bad[] = {
		"", "10.0.0.1", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.1/30", "10.0.0.1/24 "
	};
	struct bridge b;

	assert_ok(bridge_parse("10.77.0.1/22", &b));
	assert_string_equal(b.text, "10.77.0.0/22");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(bridge_parse(bad[i], &b), -EINVAL);
		err_clear();
	}
}

/* A net of 6 addresses, one of which is the bridge's: five leases, and no sixth. */
static void addresses(_unused_ void **state)
{
	struct in_addr gateway, a;
	struct leases l;
	int held[5];

	inet_pton(AF_INET, "10.0.0.1", &gateway);
	assert_ok(leases_open(root, &l));
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
		struct lease new = { 0 };

		snprintf(new.id, sizeof(new.id), "%08xabcd", i);
		assert_ok(leases_pick(&l, new.id, gateway, 29, &new.address));
		a = new.address;
		held[i] = leases_add(&l, &new);
		assert_true(held[i] >= 0);
	}
	assert_int_equal(leases_pick(&l, "00000001abcd", gateway, 29, &a), -EADDRNOTAVAIL);
	err_clear();
	leases_close(&l);
	/* Who is not held any more is nobody's. */
	close(held[2]);
	assert_ok(leases_open(root, &l));
	assert_int_equal(l.n, 4);
	assert_ok(leases_pick(&l, "00000007abcd", gateway, 29, &a));
	leases_close(&l);
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		if (i != 2)
			close(held[i]);
}

static void published(_unused_ void **state)
{
	struct lease a = { .id = "00000000aaaa", .address = { htonl(0x0a000002) } }, b = a;
	struct lease_port all, one;
	struct leases l;
	int fd;

	assert_ok(lease_port_parse("tcp/0.0.0.0/80/80", &all));
	assert_ok(lease_port_parse("tcp/127.0.0.1/80/81", &one));
	a.ports = mem_dup(&all, sizeof(all));
	a.nports = 1;
	b.ports = &one;
	b.nports = 1;
	assert_ok(leases_open(root, &l));
	fd = leases_add(&l, &a);
	assert_true(fd >= 0);
	leases_close(&l);
	assert_ok(leases_open(root, &l));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].nports, 1);
	assert_int_equal(leases_check_ports(&l, &b), -EADDRINUSE);
	err_clear();
	one.udp = true;
	assert_ok(leases_check_ports(&l, &b));
	leases_remove(&l, "00000000aaaa");
	assert_int_equal(l.n, 0);
	leases_close(&l);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(nets),
		cmocka_unit_test(addresses),
		cmocka_unit_test(published),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
