/* SPDX-License-Identifier: Apache-2.0 */
#include "network/network.h"

#include <stdlib.h>
#include <string.h>

/* An address of our own choosing (IEEE 802: bit 1 of 02). */
void network_mac(const char *id, uint8_t ret[NETWORK_MAC_LEN])
{
	char digits[3] = "";

	memset(ret, 0, NETWORK_MAC_LEN);
	ret[0] = 2;
	for (size_t i = 0; i < NETWORK_MAC_LEN - 1 && strlen(id) >= 10; i++) {
		memcpy(digits, id + 2 * i, 2);
		ret[1 + i] = (uint8_t)strtoul(digits, NULL, 16);
	}
}
