/* SPDX-License-Identifier: Apache-2.0 */
#include "network/rules.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "network/link.h"
#include "network/network.h"
#include <arpa/inet.h>
#include <nftables/libnftables.h>
#include <stdio.h>

/* Adding comes first, since deleting what is not there is an error. */
#define FRESH                                       \
	"table ip strata\ndelete table ip strata\n" \
	"table bridge strata\ndelete table bridge strata\n"

/*
 * On the bridge: an instance sends as itself, IPv4 and ARP alone. In the table ip: 127/8 is reached
 * by no instance, though published ports have the host route it there; from outside comes what was
 * asked for or published; what leaves has the host's address, and so has what the host, or an
 * instance through it, sends to a published port.
 */
static const char *const bridge_rules =
	"	chain prerouting {\n"
	"		type filter hook prerouting priority -300; policy accept;\n"
	"		iifname != \"" LINK_PREFIX "*\" accept\n"
	"		ether type ip iifname . ether saddr . ip saddr @members accept\n"
	"		ether type arp iifname . ether saddr . arp saddr ip @members"
	" iifname . arp saddr ether . arp saddr ip @members accept\n"
	"		drop\n"
	"	}\n"
	"}\n";

static const char *const ip_rules =
	"table ip strata {\n"
	"	chain guard {\n"
	"		type filter hook prerouting priority raw; policy accept;\n"
	"		iifname \"" NETWORK_BRIDGE "\" ip daddr 127.0.0.0/8 drop\n"
	"	}\n"
	"	chain forward {\n"
	"		type filter hook forward priority filter; policy accept;\n"
	"		iifname \"" NETWORK_BRIDGE "\" accept\n"
	"		oifname \"" NETWORK_BRIDGE "\" ct state established,related accept\n"
	"		oifname \"" NETWORK_BRIDGE "\" ct status dnat accept\n"
	"		oifname \"" NETWORK_BRIDGE "\" drop\n"
	"	}\n";

static const char *const port_rules =
	"	chain publish {\n"
	"		dnat ip to ip daddr . meta l4proto . th dport map @at\n"
	"		dnat ip to meta l4proto . th dport map @any\n"
	"	}\n"
	"	chain prerouting {\n"
	"		type nat hook prerouting priority dstnat; policy accept;\n"
	"		fib daddr type local jump publish\n"
	"	}\n"
	"	chain output {\n"
	"		type nat hook output priority -100; policy accept;\n"
	"		fib daddr type local jump publish\n"
	"	}\n";

static void put_members(FILE *f, const struct leases *l)
{
	char address[INET_ADDRSTRLEN];
	uint8_t m[NETWORK_MAC_LEN];

	fputs("table bridge strata {\n"
	      "	set members {\n		type ifname . ether_addr . ipv4_addr\n",
	      f);
	fputs(l->n ? "		elements = {" : "", f);
	for (size_t i = 0; i < l->n; i++) {
		network_mac(l->v[i].id, m);
		inet_ntop(AF_INET, &l->v[i].address, address, sizeof(address));
		fprintf(f, "%s \"%s\" . %02x:%02x:%02x:%02x:%02x:%02x . %s", i ? "," : "",
			link_name(l->v[i].id).s, m[0], m[1], m[2], m[3], m[4], m[5], address);
	}
	fputs(l->n ? " }\n	}\n" : "	}\n", f);
	fputs(bridge_rules, f);
}

/* Those of every address, or those of one. */
static size_t put_ports(FILE *f, const struct leases *l, bool any)
{
	char at[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
	size_t n = 0;

	fprintf(f,
		"	map %s {\n		type %sinet_proto . inet_service : ipv4_addr . "
		"inet_service\n",
		any ? "any" : "at", any ? "" : "ipv4_addr . ");
	for (size_t i = 0; i < l->n; i++) {
		inet_ntop(AF_INET, &l->v[i].address, to, sizeof(to));
		for (size_t k = 0; k < l->v[i].nports; k++) {
			const struct lease_port *p = &l->v[i].ports[k];

			if (any != !p->address.s_addr)
				continue;
			inet_ntop(AF_INET, &p->address, at, sizeof(at));
			fprintf(f, "%s %s%s%s . %u : %s . %u",
				n++ ? "," : "		elements = {", any ? "" : at,
				any ? "" : " . ", p->udp ? "udp" : "tcp", p->host, to, p->guest);
		}
	}
	fputs(n ? " }\n	}\n" : "	}\n", f);
	return n;
}

static void put_all(FILE *f, const struct leases *l, const char *net)
{
	fputs(FRESH, f);
	put_members(f, l);
	fputs(ip_rules, f);
	fprintf(f,
		"	chain postrouting {\n"
		"		type nat hook postrouting priority srcnat; policy accept;\n"
		"		ip saddr %s oifname != \"" NETWORK_BRIDGE "\" masquerade\n"
		"		ip saddr 127.0.0.0/8 oifname \"" NETWORK_BRIDGE "\" masquerade\n"
		"		ip saddr %s oifname \"" NETWORK_BRIDGE
		"\" ct status dnat masquerade\n"
		"	}\n",
		net, net);
	/* Two maps, of which one may be empty. */
	put_ports(f, l, true);
	put_ports(f, l, false);
	fputs(port_rules, f);
	fputs("}\n", f);
}

static int run(const char *rules)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *why;
	int r;

	if (!nft)
		return err(-EIO, "nftables cannot be used");
	nft_ctx_buffer_error(nft);
	nft_ctx_buffer_output(nft);
	r = nft_run_cmd_from_buffer(nft, rules);
	why = nft_ctx_get_error_buffer(nft);
	if (r)
		r = err(-EIO, "nftables: %.*s", (int)strcspn(why, "\n"), why);
	nft_ctx_free(nft);
	return r;
}

int rules_apply(const struct leases *l, const char *net)
{
	_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -ENOMEM;
	put_all(f, l, net);
	if (fclose(f) != 0)
		return -ENOMEM;
	return run(text);
}

int rules_clear(void)
{
	return run(FRESH);
}
