/* SPDX-License-Identifier: Apache-2.0 */
#include "network/bridge.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "network/link.h"
#include "network/network.h"
#include <arpa/inet.h>
#include <stdio.h>

#define SYSCTL "/proc/sys/net/ipv4/"
/* Its alias (ip-link(8)), which says whose it is: this, its address, and the run directory. */
#define ALIAS "strata"

enum { PREFIX_MIN = 8, PREFIX_MAX = 29 };

int bridge_parse(const char *word, struct bridge *ret)
{
	struct bridge b = { 0 };
	const char *s = word;
	char net[INET_ADDRSTRLEN];
	uint32_t host, mask;
	uint64_t prefix;

	if (!address_take(&s, &b.address) || str_u64(s, PREFIX_MIN, PREFIX_MAX, &prefix) < 0)
		return err(-EINVAL,
			   "bridge '%s': must be ADDRESS/PREFIX of IPv4, such as " NETWORK_DEFAULT,
			   word);
	b.prefix = (unsigned)prefix;
	mask = UINT32_MAX << (32 - b.prefix);
	host = ntohl(b.address.s_addr) & ~mask;
	if (!host || host == ~mask)
		return err(-EINVAL, "bridge '%s': the address is the net's, not one in it", word);
	b.net.s_addr = htonl(ntohl(b.address.s_addr) & mask);
	inet_ntop(AF_INET, &b.net, net, sizeof(net));
	snprintf(b.text, sizeof(b.text), "%s/%u", net, b.prefix);
	*ret = b;
	return 0;
}

static void make_alias(const struct bridge *b, const char *runroot, char alias[256])
{
	char address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &b->address, address, sizeof(address));
	snprintf(alias, 256, ALIAS " %s/%u %.200s", address, b->prefix, runroot);
}

/*
 * A line of /proc/net/route (Linux: net/ipv4/fib_trie.c): name, net, five words, mask; numbers of
 * the host's byte order.
 */
static bool overlaps(const struct bridge *b, const char *line)
{
	const uint32_t ours = htonl(UINT32_MAX << (32 - b->prefix));
	const char *to_word = str_word(line, 1), *mask_word = str_word(line, 7);
	uint64_t to, mask;

	if (str_number(&to_word, 16, UINT32_MAX, &to) < 0 ||
	    str_number(&mask_word, 16, UINT32_MAX, &mask) < 0)
		return false;
	/* A default route leads everywhere. */
	return mask && !((to ^ b->net.s_addr) & mask & ours);
}

static int check_routes(const struct bridge *b)
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[256];
	int r = 0;

	if (!f)
		return err_sys("/proc/net/route");
	while (r >= 0 && fgets(line, sizeof(line), f))
		if (overlaps(b, line))
			r = err(-EADDRINUSE,
				"network 'bridge': the host has a route into %s, by %.*s: "
				"STRATA_BRIDGE=ADDRESS/PREFIX chooses another net",
				b->text, (int)strcspn(line, " \t"), line);
	fclose(f);
	return r;
}

static int set(const char *sysctl, const char *value)
{
	int r = file_write(AT_FDCWD, sysctl, value);

	return r < 0 ? err(r, "%s: %s", sysctl, strerror(-r)) : 0;
}

/* Forwarding as podman and docker have it; 127.0.0.1 as a source, for a published port's client. */
static int set_sysctls(void)
{
	int r = set(SYSCTL "ip_forward", "1");

	return r < 0 ? r : set(SYSCTL "conf/" NETWORK_BRIDGE "/route_localnet", "1");
}

static int make(struct mnl_socket *nl, const struct bridge *b, const char *alias)
{
	/* One of its own: without, it changes with the interfaces that come and go. */
	static const uint8_t mac[6] = { 2, 's', 't', 'r', 'a', 0 };
	int r = check_routes(b);

	if (r >= 0)
		r = link_add_bridge(nl, NETWORK_BRIDGE, mac);
	if (r < 0)
		return r;
	r = link_set_alias(nl, NETWORK_BRIDGE, alias);
	if (r >= 0)
		r = link_add_address(nl, NETWORK_BRIDGE, b->address, b->prefix);
	if (r >= 0)
		r = set_sysctls();
	if (r >= 0)
		r = link_set_up(nl, NETWORK_BRIDGE, 0);
	if (r < 0)
		link_remove(nl, NETWORK_BRIDGE);
	return r;
}

/* Whether the alias names this run directory, which is its last word. */
static bool is_ours(const char *alias, const char *runroot)
{
	char address[32];
	int n = 0;

	return sscanf(alias, ALIAS " %31s %n", address, &n) == 1 && n &&
	       !strncmp(alias + n, runroot, 200);
}

static int refuse(const struct link_info *i, const char *runroot)
{
	if (!str_after(i->alias, ALIAS " "))
		return err(-EEXIST, "network 'bridge': there is an interface " NETWORK_BRIDGE
				    ", which is not strata's");
	if (!is_ours(i->alias, runroot))
		return err(-EEXIST,
			   "network 'bridge': " NETWORK_BRIDGE " is another run directory's (%s)",
			   i->alias);
	return err(-EEXIST,
		   "network 'bridge': " NETWORK_BRIDGE " has another address while it is in use "
		   "(%s)",
		   i->alias);
}

int bridge_up(struct mnl_socket *nl, const struct bridge *b, const char *runroot,
	      const struct leases *l)
{
	struct link_info i;
	char alias[256];
	int r = link_get(nl, NETWORK_BRIDGE, &i);

	make_alias(b, runroot, alias);
	if (r >= 0 && streq(i.alias, alias))
		return i.index;
	/* Of ours, with another address, and nobody at it. */
	if (r >= 0 && !l->n && is_ours(i.alias, runroot))
		r = link_remove(nl, NETWORK_BRIDGE) < 0 ? -EIO : -ENODEV;
	else if (r >= 0)
		r = refuse(&i, runroot);
	if (r != -ENODEV)
		return r;
	r = make(nl, b, alias);
	if (r >= 0)
		r = link_get(nl, NETWORK_BRIDGE, &i);
	return r < 0 ? r : i.index;
}

void bridge_down(struct mnl_socket *nl, const char *runroot)
{
	struct link_info i;

	if (link_get(nl, NETWORK_BRIDGE, &i) >= 0 && is_ours(i.alias, runroot))
		link_remove(nl, NETWORK_BRIDGE);
	err_clear();
}
