/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of nftables: the tables "ip strata" and "bridge strata", ours alone. */
#ifndef NETWORK_RULES_H
#define NETWORK_RULES_H

#include "network/lease.h"

/* Our tables as these leases want them, in one transaction; @net is the bridge's as A.B.C.D/N. */
int rules_apply(const struct leases *l, const char *net);
/* Without our tables. */
int rules_clear(void);

#endif
