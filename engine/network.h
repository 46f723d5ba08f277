/* SPDX-License-Identifier: Apache-2.0 */
/* What the networks of instances have in common. */
#ifndef ENGINE_NETWORK_H
#define ENGINE_NETWORK_H

#include <stdint.h>

#define NETWORK_MAC_LEN 6u

/* The address of the eth0 of instance @id: the first ten digits of the id. */
void network_mac(const char *id, uint8_t ret[NETWORK_MAC_LEN]);

#endif
