/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_NET_USAGE_H
#define ENGINE_NET_USAGE_H

#include "engine/instances.h"

/* Of eth0 in the text of /proc/PID/net/dev. -ENOENT: there is none. */
int net_usage_parse(const char *text, struct net_usage *ret);

#endif
