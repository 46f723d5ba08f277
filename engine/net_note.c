/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/net_note.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "network/network.h"

struct net_note net_note_bridge(const struct bridge_end *e)
{
	struct net_note n = { .mode = "bridge", .prefix = e->prefix };

	memcpy(n.address, e->address, sizeof(n.address));
	memcpy(n.gateway, e->gateway, sizeof(n.gateway));
	return n;
}

int net_note_write(int dir, const char *id, const struct net_note *n)
{
	const uint8_t *a = n->address, *g = n->gateway;
	_free_ char *text = NULL;
	_json_ json_t *j = NULL;
	uint8_t m[NETWORK_MAC_LEN];
	size_t len;
	int r;

	network_mac(id, m);
	j = json_pack("{s:s, s:o, s:i, s:o, s:o}", "mode", n->mode, "address",
		      json_sprintf("%u.%u.%u.%u", a[0], a[1], a[2], a[3]), "prefix", (int)n->prefix,
		      "gateway", json_sprintf("%u.%u.%u.%u", g[0], g[1], g[2], g[3]), "mac",
		      json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
				   m[5]));
	text = j ? json_text(j, &len) : NULL;
	if (!text)
		return -ENOMEM;
	r = file_replace(dir, "network.json", text, len, 0600, false);
	return r < 0 ? err(r, "network.json: %s", strerror(-r)) : 0;
}
