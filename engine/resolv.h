/* SPDX-License-Identifier: Apache-2.0 */
/* The host's resolvers, for an instance to which the host's loopback is another one. */
#ifndef ENGINE_RESOLV_H
#define ENGINE_RESOLV_H

#include <stdint.h>

/*
 * The host's resolv.conf(5) without what only the host reaches: nameservers at 127/8 and ::1. When
 * none is left, the one that systemd-resolved writes for such a case. The caller frees *@ret;
 * @ret_first is its first IPv4 nameserver, or 0.0.0.0.
 */
int resolv_read(char **ret, uint8_t ret_first[4]);

#endif
