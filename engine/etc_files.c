/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/etc_files.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/resolv.h"
#include "engine/spec_names.h"

#define HOSTS_MAX (1u << 20) /* bytes of the host's */

static int add(struct etc_files *f, const char *path, struct buf *b)
{
	char *text = buf_take(b);

	if (!text)
		return -ENOMEM;
	f->files[f->n++] = (struct etc_file){ path, text };
	return 0;
}

/* ---- resolv.conf(5) ---- */

static int add_resolv(const struct run_spec *s, const char *base, struct etc_files *f)
{
	const bool asked = s->dns_servers || s->dns_search || s->dns_options;
	_buf_done_ struct buf b = { 0 };
	_free_ char *host = NULL;
	int r = 0;

	if (s->host_network && asked) {
		r = file_read_all(AT_FDCWD, "/etc/resolv.conf", HOSTS_MAX, &host, NULL);
		base = r < 0 ? "" : host;
	}
	if (!base && !asked)
		return 0;
	r = resolv_change(base ? base : "", s->dns_servers, s->dns_search, s->dns_options, &b);
	return r < 0 ? r : add(f, "/etc/resolv.conf", &b);
}

/* ---- hosts(5) ---- */

static void add_address(struct buf *b, const uint8_t a[4])
{
	buf_addf(b, "%u.%u.%u.%u\t", a[0], a[1], a[2], a[3]);
}

/* What the user says comes first: the first line that fits is taken. */
static void add_asked(struct buf *b, const struct run_spec *s, const uint8_t *gateway)
{
	for (size_t i = 0; i < strv_len(s->hosts); i++) {
		size_t name = strcspn(s->hosts[i], ":");
		const char *address = s->hosts[i][name] ? s->hosts[i] + name + 1 : "";

		if (!streq(address, HOST_GATEWAY))
			buf_addf(b, "%s\t", address);
		else if (gateway)
			add_address(b, gateway);
		else
			continue;
		buf_addf(b, "%.*s\n", (int)name, s->hosts[i]);
	}
}

static void add_own(struct buf *b, const struct run_spec *s, const uint8_t *address,
		    const uint8_t *gateway)
{
	static const uint8_t loopback[] = { 127, 0, 0, 1 };
	char room[SPEC_HOSTNAME_ROOM];

	buf_adds(b, "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
	add_address(b, address ? address : loopback);
	buf_addf(b, "%s%s%s\n", spec_hostname(s, room), *s->name ? " " : "", s->name);
	if (!s->bridge_network || !gateway)
		return;
	add_address(b, gateway);
	buf_adds(b, "host.containers.internal\n");
}

static int add_hosts(const struct run_spec *s, const uint8_t *address, const uint8_t *gateway,
		     struct etc_files *f)
{
	_buf_done_ struct buf b = { 0 };
	_free_ char *host = NULL;

	if (s->host_network && !s->hosts)
		return 0;
	add_asked(&b, s, gateway);
	if (!s->host_network)
		add_own(&b, s, address, gateway);
	else if (file_read_all(AT_FDCWD, "/etc/hosts", HOSTS_MAX, &host, NULL) == 0)
		buf_adds(&b, host);
	return add(f, "/etc/hosts", &b);
}

int etc_files_make(const struct run_spec *s, const char *resolv, const uint8_t *address,
		   const uint8_t *gateway, struct etc_files *ret)
{
	int r;

	*ret = (struct etc_files){ 0 };
	r = add_resolv(s, resolv, ret);
	if (r >= 0)
		r = add_hosts(s, address, gateway, ret);
	return r;
}

void etc_files_done(struct etc_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->files[i].text);
	*f = (struct etc_files){ 0 };
}
