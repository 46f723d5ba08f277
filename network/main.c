/* SPDX-License-Identifier: Apache-2.0 */
/* strata-net: see network/network.h. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "network/bridge.h"
#include "network/link.h"
#include "network/network.h"
#include "network/rules.h"
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define ANSWER_FD 3

/* ---- devices ---- */

/* In the namespace @netns, for ever: for a process that ends soon. */
static int arrange_eth0(int netns, const struct bridge *b, struct in_addr address)
{
	struct mnl_socket *nl;
	int r;

	if (setns(netns, CLONE_NEWNET) < 0)
		return err_sys("network namespace");
	nl = link_open();
	r = nl ? link_add_address(nl, "eth0", address, b->prefix) : -EIO;
	if (r >= 0)
		r = link_set_up(nl, "eth0", 0);
	if (r >= 0)
		r = link_add_gateway(nl, b->address);
	link_close(nl);
	return r;
}

/* A namespace with an eth0, whose other end is at the bridge: its descriptor. */
static int new_namespace(struct mnl_socket *nl, const struct bridge *b, int master, const char *id,
			 struct in_addr address)
{
	const struct link_name name = link_name(id);
	_close_ int host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), netns = -1;
	uint8_t mac[NETWORK_MAC_LEN];
	int r;

	if (host < 0 || unshare(CLONE_NEWNET) < 0)
		return err_sys("cannot make a network namespace");
	netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (setns(host, CLONE_NEWNET) < 0 || netns < 0)
		return err_sys("network namespace");
	network_mac(id, mac);
	r = link_add_veth(nl, name.s, netns, mac);
	if (r >= 0)
		r = link_set_up(nl, name.s, master);
	if (r >= 0)
		r = link_set_hairpin(nl, name.s);
	if (r >= 0)
		r = arrange_eth0(netns, b, address);
	if (setns(host, CLONE_NEWNET) < 0 && r >= 0)
		r = err_sys("network namespace");
	return r < 0 ? r : take_fd(netns);
}

/* A device that ends with its last descriptor; frames without a head. */
static int new_tap(struct mnl_socket *nl, int master, const char *id)
{
	_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int r;

	memcpy(ifr.ifr_name, link_name(id).s, IFNAMSIZ);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return err_sys("/dev/net/tun");
	r = link_set_up(nl, ifr.ifr_name, master);
	if (r >= 0)
		r = link_set_hairpin(nl, ifr.ifr_name);
	return r < 0 ? r : take_fd(fd);
}

/* ---- up ---- */

struct up {
	const char *runroot, *id;
	bool vm;
	char *const *ports;
	struct bridge bridge;
	struct mnl_socket *nl;
	struct leases leases;
	struct in_addr address;
	int lease, device;
};

static int fill_lease(const struct up *u, struct lease *l)
{
	size_t cap = 0;
	int r = str_copy(l->id, sizeof(l->id), u->id);

	for (size_t i = 0; r >= 0 && u->ports[i]; i++) {
		r = mem_grow(&l->ports, &cap, i + 1, sizeof(*l->ports));
		if (r >= 0)
			r = lease_port_parse(u->ports[i], &l->ports[i]);
		l->nports = i + 1;
	}
	if (r >= 0)
		r = leases_check_ports(&u->leases, l);
	if (r >= 0)
		r = leases_pick(&u->leases, u->id, u->bridge.address, u->bridge.prefix,
				&l->address);
	return r;
}

static int add_lease(struct up *u)
{
	struct lease l = { 0 };
	int r = fill_lease(u, &l);

	u->address = l.address;
	if (r >= 0)
		r = u->lease = leases_add(&u->leases, &l);
	lease_done(&l);
	return r;
}

/* Without the instance: the rules of the others, or nothing when there are none. */
static void take_away(struct mnl_socket *nl, struct leases *l, const char *runroot, const char *id,
		      const char *net)
{
	struct link_info i;

	leases_remove(l, id);
	if (link_get(nl, link_name(id).s, &i) >= 0)
		link_remove(nl, link_name(id).s);
	if (l->n && net) {
		rules_apply(l, net);
	} else if (!l->n) {
		rules_clear();
		bridge_down(nl, runroot);
	}
}

static int connect_all(struct up *u)
{
	int master = bridge_up(u->nl, &u->bridge, u->runroot, &u->leases), r = master;

	if (r >= 0)
		r = add_lease(u);
	if (r >= 0)
		r = rules_apply(&u->leases, u->bridge.text);
	if (r >= 0)
		r = u->device = u->vm ? new_tap(u->nl, master, u->id) :
					new_namespace(u->nl, &u->bridge, master, u->id, u->address);
	return r;
}

static int bring_up(struct up *u)
{
	struct link_info i;
	int r = leases_open(u->runroot, &u->leases);

	if (r < 0)
		return r;
	/* Of a life that was killed, and whose device is still on its way out. */
	if (link_get(u->nl, link_name(u->id).s, &i) >= 0)
		link_remove(u->nl, link_name(u->id).s);
	err_clear();
	r = connect_all(u);
	if (r < 0) {
		_free_ char *why = strdup(err_take(r));

		take_away(u->nl, &u->leases, u->runroot, u->id, u->bridge.text);
		err_clear();
		err(r, "%s", why ? why : strerror(-r));
	}
	return r < 0 ? r : 0;
}

static int answer(const struct up *u, int r)
{
	struct network_answer a = { .error = r, .prefix = u->bridge.prefix };
	const int fds[] = { u->lease, u->device };

	memcpy(a.address, &u->address, sizeof(a.address));
	memcpy(a.gateway, &u->bridge.address, sizeof(a.gateway));
	if (r < 0)
		snprintf(a.text, sizeof(a.text), "%s", err_take(r));
	return fd_send(ANSWER_FD, &a, sizeof(a), fds, r < 0 ? 0 : ARRAY_SIZE(fds)) < 0;
}

static int up(char **argv)
{
	struct up u = { .runroot = argv[2],
			.id = argv[3],
			.vm = streq(argv[4], "vm"),
			.ports = argv + 6,
			.leases = { .dir = -1, .lock = -1 },
			.lease = -1,
			.device = -1 };
	int r = bridge_parse(argv[5], &u.bridge);

	if (r >= 0 && !(u.nl = link_open()))
		r = -EIO;
	if (r >= 0)
		r = bring_up(&u);
	/* Before the lock goes: nobody may find the lease without a holder. */
	r = answer(&u, r);
	leases_close(&u.leases);
	link_close(u.nl);
	fd_close(u.lease);
	fd_close(u.device);
	return r;
}

/* ---- down ---- */

/* What the bridge's alias says of its net. */
static int current_net(struct mnl_socket *nl, struct bridge *ret)
{
	struct link_info i;
	char word[32];
	int r = link_get(nl, NETWORK_BRIDGE, &i);

	if (r < 0)
		return r;
	return sscanf(i.alias, "%*s %31s", word) == 1 ? bridge_parse(word, ret) : -ENOENT;
}

static int down(char **argv)
{
	struct leases l = { .dir = -1, .lock = -1 };
	struct mnl_socket *nl = link_open();
	struct bridge b;
	int r = nl ? leases_open(argv[2], &l) : -EIO;

	if (r >= 0)
		take_away(nl, &l, argv[2], argv[3], current_net(nl, &b) < 0 ? NULL : b.text);
	if (r < 0)
		fprintf(stderr, "strata-net: %s\n", err_take(r));
	leases_close(&l);
	link_close(nl);
	return r < 0;
}

int network_main(int argc, char **argv)
{
	if (argc >= 6 && streq(argv[1], "up"))
		return up(argv);
	if (argc == 4 && streq(argv[1], "down"))
		return down(argv);
	fprintf(stderr, "usage: strata-net up RUNROOT ID container|vm BRIDGE [PORT...]\n"
			"       strata-net down RUNROOT ID (started by strata)\n");
	return 2;
}
