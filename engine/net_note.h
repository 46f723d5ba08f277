/* SPDX-License-Identifier: Apache-2.0 */
/* network.json of an instance's folder: what its eth0 has since it started, for `inspect`. */
#ifndef ENGINE_NET_NOTE_H
#define ENGINE_NET_NOTE_H

#include "engine/bridge.h"
#include "engine/passt.h"

struct net_note {
	const char *mode;
	uint8_t address[4], gateway[4];
	unsigned prefix;
};

#define NET_NOTE_USER                                                               \
	{                                                                           \
		.mode = "user", .address = PASST_ADDRESS, .gateway = PASST_GATEWAY, \
		.prefix = PASST_PREFIX                                              \
	}

struct net_note net_note_bridge(const struct bridge_end *e);
int net_note_write(int dir, const char *id, const struct net_note *n);

#endif
