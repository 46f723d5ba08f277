/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/publish.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <arpa/inet.h>

static int bad(const char *text)
{
	return err(-EINVAL, "port '%s': must be [ADDRESS:]HOST:GUEST[/tcp|/udp], such as 8080:80",
		   text);
}

static int parse_port(const char *s, uint16_t *ret)
{
	uint64_t n;

	if (str_u64(s, 1, UINT16_MAX, &n) < 0)
		return -EINVAL;
	*ret = (uint16_t)n;
	return 0;
}

/* Cuts @s at its last colon: what is behind it, or NULL. */
static char *cut_last(char *s)
{
	char *colon = strrchr(s, ':');

	if (colon)
		*colon++ = '\0';
	return colon;
}

int publish_parse(const char *text, struct publish *ret)
{
	_free_ char *copy = strdup(text);
	struct publish p = { .udp = false };
	char *protocol, *guest, *host;
	struct in_addr address;

	if (!copy)
		return -ENOMEM;
	protocol = strchr(copy, '/');
	if (protocol)
		*protocol++ = '\0';
	if (protocol && !streq(protocol, "tcp") && !streq(protocol, "udp"))
		return bad(text);
	p.udp = protocol && streq(protocol, "udp");
	guest = cut_last(copy);
	host = guest ? cut_last(copy) : NULL;
	if (!guest || parse_port(guest, &p.guest) < 0 ||
	    parse_port(host ? host : copy, &p.host) < 0)
		return bad(text);
	if (host && (inet_pton(AF_INET, copy, &address) != 1 ||
		     str_copy(p.address, sizeof(p.address), copy) < 0))
		return bad(text);
	*ret = p;
	return 0;
}
