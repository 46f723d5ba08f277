/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces, addresses and routes by rtnetlink(7), of the namespace in which it is opened. */
#ifndef NETWORK_LINK_H
#define NETWORK_LINK_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct mnl_socket;

/* The host's end of an instance: this and the first digits of the id. */
#define LINK_PREFIX "stra-"
struct link_name {
	char s[IFNAMSIZ];
};
struct link_name link_name(const char *id);

/* NULL with a text. */
struct mnl_socket *link_open(void);
void link_close(struct mnl_socket *nl);

struct link_info {
	int index;
	char alias[256];
};
/* -ENODEV without a text: there is none of that name. */
int link_get(struct mnl_socket *nl, const char *name, struct link_info *ret);
int link_add_bridge(struct mnl_socket *nl, const char *name, const uint8_t mac[6]);
/* A pair: @name here, "eth0" with the address @mac in the namespace @netns. */
int link_add_veth(struct mnl_socket *nl, const char *name, int netns, const uint8_t mac[6]);
int link_set_alias(struct mnl_socket *nl, const char *name, const char *alias);
/* Into the bridge of index @master unless that is 0, and up. */
int link_set_up(struct mnl_socket *nl, const char *name, int master);
/* What comes from this port of a bridge may go back: an instance at its own published port. */
int link_set_hairpin(struct mnl_socket *nl, const char *name);
int link_remove(struct mnl_socket *nl, const char *name);
int link_add_address(struct mnl_socket *nl, const char *name, struct in_addr a, unsigned prefix);
int link_add_gateway(struct mnl_socket *nl, struct in_addr gateway);

#endif
