/* SPDX-License-Identifier: Apache-2.0 */
#include "network/link.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "network/network.h"
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <time.h>

#define MESSAGE_MAX 8192u

struct link_name link_name(const char *id)
{
	struct link_name n;

	snprintf(n.s, sizeof(n.s), LINK_PREFIX "%.10s", id);
	return n;
}

struct mnl_socket *link_open(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		nl = NULL;
	}
	if (!nl)
		err_sys("rtnetlink");
	return nl;
}

void link_close(struct mnl_socket *nl)
{
	if (nl)
		mnl_socket_close(nl);
}

/* ---- messages ---- */

struct message {
	union {
		struct nlmsghdr head;
		uint8_t bytes[MESSAGE_MAX];
	};
};

static struct nlmsghdr *begin(struct message *m, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(m->bytes);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	h->nlmsg_seq = 1;
	return h;
}

static struct nlmsghdr *begin_link(struct message *m, uint16_t type, uint16_t flags,
				   const char *name, unsigned ifi_flags)
{
	struct nlmsghdr *h = begin(m, type, flags);
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));

	i->ifi_family = AF_UNSPEC;
	i->ifi_flags = i->ifi_change = ifi_flags;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return h;
}

/* Sends it and hears the answers, up to the acknowledgement: 0 or -errno. */
static int talk(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *ctx)
{
	uint8_t answer[MESSAGE_MAX];
	ssize_t n;
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(answer, (size_t)n, 1, mnl_socket_get_portid(nl), cb, ctx);
	}
	return r < 0 ? -errno : 0;
}

static int change(struct mnl_socket *nl, struct nlmsghdr *h, const char *what, const char *name)
{
	int r = talk(nl, h, NULL, NULL);

	return r < 0 ? err(r, "cannot %s %s: %s", what, name, strerror(-r)) : 0;
}

/* ---- links ---- */

static int take_info(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	struct link_info *info = ctx;
	const struct nlattr *a;

	info->index = i->ifi_index;
	mnl_attr_for_each(a, h, sizeof(*i))
	{
		if (mnl_attr_get_type(a) == IFLA_IFALIAS)
			snprintf(info->alias, sizeof(info->alias), "%s", mnl_attr_get_str(a));
	}
	return MNL_CB_OK;
}

int link_get(struct mnl_socket *nl, const char *name, struct link_info *ret)
{
	struct link_info info = { 0 };
	struct message m;
	int r = talk(nl, begin_link(&m, RTM_GETLINK, 0, name, 0), take_info, &info);

	if (r < 0)
		return r == -ENODEV ? r : err(r, "cannot look at %s: %s", name, strerror(-r));
	*ret = info;
	return 0;
}

int link_add_bridge(struct mnl_socket *nl, const char *name, const uint8_t mac[6])
{
	struct message m;
	struct nlmsghdr *h = begin_link(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name, 0);
	struct nlattr *info;

	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(h, info);
	return change(nl, h, "make the bridge", name);
}

int link_add_veth(struct mnl_socket *nl, const char *name, int netns, const uint8_t mac[6])
{
	struct message m;
	struct nlmsghdr *h = begin_link(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name, 0);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO), *data, *peer;
	struct ifinfomsg *i;

	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	i->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, "eth0");
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	return change(nl, h, "make the interface", name);
}

int link_set_alias(struct mnl_socket *nl, const char *name, const char *alias)
{
	struct message m;
	struct nlmsghdr *h = begin_link(&m, RTM_NEWLINK, 0, name, 0);

	mnl_attr_put_strz(h, IFLA_IFALIAS, alias);
	return change(nl, h, "name", name);
}

int link_set_up(struct mnl_socket *nl, const char *name, int master)
{
	struct message m;
	struct nlmsghdr *h = begin_link(&m, RTM_NEWLINK, 0, name, IFF_UP);

	if (master)
		mnl_attr_put_u32(h, IFLA_MASTER, (uint32_t)master);
	return change(nl, h, "bring up", name);
}

int link_set_hairpin(struct mnl_socket *nl, const char *name)
{
	struct message m;
	struct nlmsghdr *h = begin(&m, RTM_SETLINK, 0);
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	struct nlattr *port;

	i->ifi_family = AF_BRIDGE;
	i->ifi_index = (int)if_nametoindex(name);
	port = mnl_attr_nest_start(h, IFLA_PROTINFO);
	mnl_attr_put_u8(h, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(h, port);
	return change(nl, h, "arrange", name);
}

int link_remove(struct mnl_socket *nl, const char *name)
{
	struct message m;
	struct nlmsghdr *h = begin_link(&m, RTM_DELLINK, 0, name, 0);

	return change(nl, h, "remove", name);
}

/* ---- addresses ---- */

int link_add_address(struct mnl_socket *nl, const char *name, struct in_addr a, unsigned prefix)
{
	struct message m;
	struct nlmsghdr *h = begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	uint32_t host = prefix ? UINT32_MAX >> prefix : UINT32_MAX;

	i->ifa_family = AF_INET;
	i->ifa_prefixlen = (uint8_t)prefix;
	i->ifa_index = if_nametoindex(name);
	mnl_attr_put(h, IFA_LOCAL, sizeof(a), &a);
	mnl_attr_put(h, IFA_ADDRESS, sizeof(a), &a);
	mnl_attr_put_u32(h, IFA_BROADCAST, a.s_addr | htonl(host));
	return change(nl, h, "give an address to", name);
}

int link_add_gateway(struct mnl_socket *nl, struct in_addr gateway)
{
	struct message m;
	struct nlmsghdr *h = begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *t = mnl_nlmsg_put_extra_header(h, sizeof(*t));

	t->rtm_family = AF_INET;
	t->rtm_table = RT_TABLE_MAIN;
	t->rtm_protocol = RTPROT_STATIC;
	t->rtm_scope = RT_SCOPE_UNIVERSE;
	t->rtm_type = RTN_UNICAST;
	mnl_attr_put(h, RTA_GATEWAY, sizeof(gateway), &gateway);
	return change(nl, h, "set", "the default route");
}
