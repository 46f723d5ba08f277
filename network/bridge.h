/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge itself. With the leases' lock held. */
#ifndef NETWORK_BRIDGE_H
#define NETWORK_BRIDGE_H

#include "network/lease.h"

struct mnl_socket;

struct bridge {
	struct in_addr address, net;
	unsigned prefix;
	char text[32]; /* the net as A.B.C.D/N */
};

/* ADDRESS/PREFIX, the bridge's own: -EINVAL with a text. */
int bridge_parse(const char *word, struct bridge *ret);
/*
 * The bridge's index: it is there, with that address, or made. -EEXIST, -EADDRINUSE with a text:
 * somebody else has the name or the net.
 */
int bridge_up(struct mnl_socket *nl, const struct bridge *b, const char *runroot,
	      const struct leases *l);
/* Removes it, if it is this run directory's. */
void bridge_down(struct mnl_socket *nl, const char *runroot);

#endif
