/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_names.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <ctype.h>

static bool is_address(const char *text)
{
	struct in6_addr a;

	return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

/* What stands in one line of resolv.conf(5) or hosts(5), between blanks. */
static bool is_word(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (isspace((unsigned char)text[i]) || iscntrl((unsigned char)text[i]) ||
		    text[i] == '#' || text[i] == ';')
			return false;
	return len;
}

static int check_server(const char *text)
{
	return is_address(text) ? 0 : err(-EINVAL, "DNS server '%s': must be an address", text);
}

static int check_search(const char *text)
{
	return is_word(text, strlen(text)) ?
		       0 :
		       err(-EINVAL, "DNS search '%s': must be a domain, or . for none", text);
}

static int check_option(const char *text)
{
	return is_word(text, strlen(text)) ?
		       0 :
		       err(-EINVAL, "DNS option '%s': must be one of resolv.conf(5)", text);
}

static int join(char *const *words, int (*check)(const char *text), char ***dst)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < strv_len(words); i++) {
		r = check(words[i]);
		if (r == 0)
			r = strv_add(dst, words[i]);
	}
	return r;
}

/* NAME:ADDRESS, of IPv6 with brackets around it or without; they are dropped. */
static int add_host(struct run_spec *s, const char *text)
{
	size_t name = strcspn(text, ":"), len;
	const char *address = text[name] ? text + name + 1 : "";
	_free_ char *bare = NULL;

	len = strlen(address);
	bare = *address == '[' && address[len - 1] == ']' ? strndup(address + 1, len - 2) :
							    strdup(address);
	if (!bare)
		return -ENOMEM;
	if (!is_word(text, name) || (!is_address(bare) && !streq(bare, HOST_GATEWAY)))
		return err(-EINVAL, "host '%s': must be NAME:ADDRESS", text);
	if (streq(bare, HOST_GATEWAY) && !s->bridge_network)
		return err(-EINVAL,
			   "host '%s': only by --network bridge the host has an address there",
			   text);
	return strv_addf(&s->hosts, "%.*s:%s", (int)name, text, bare);
}

int spec_join_names(struct run_spec *s, const struct run_options *o)
{
	int r = join(o->dns, check_server, &s->dns_servers);

	if (r == 0)
		r = join(o->dns_search, check_search, &s->dns_search);
	if (r == 0)
		r = join(o->dns_options, check_option, &s->dns_options);
	for (size_t i = 0; r == 0 && i < strv_len(o->hosts); i++)
		r = add_host(s, o->hosts[i]);
	if (r == 0 && (s->dns_servers || s->dns_search || s->dns_options) && !s->host_network &&
	    !spec_has_eth0(s))
		return err(-EINVAL,
			   "--dns, --dns-search and --dns-option need a network: --network user, "
			   "bridge or host");
	/* It stands in hosts(5) too. */
	if (r == 0 && s->hostname && !is_word(s->hostname, strlen(s->hostname)))
		return err(-EINVAL, "host name '%s': must be a word", s->hostname);
	return r;
}
