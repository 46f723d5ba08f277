/* SPDX-License-Identifier: Apache-2.0 */
#include "network/lease.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "network/network.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/stat.h>

#define LEASE_MAX (1u << 20) /* bytes of a file of ours */
#define LOCK	  "lock"

bool address_take(const char **s, struct in_addr *ret)
{
	size_t len = strcspn(*s, "/");
	char text[INET_ADDRSTRLEN];

	if (len >= sizeof(text) || (*s)[len] != '/')
		return false;
	memcpy(text, *s, len);
	text[len] = '\0';
	*s += len + 1;
	return inet_pton(AF_INET, text, ret) == 1;
}

int lease_port_parse(const char *word, struct lease_port *ret)
{
	const char *udp = str_after(word, "udp/"), *s = udp ? udp : str_after(word, "tcp/");
	struct lease_port p = { .udp = udp != NULL };
	uint64_t host, guest;

	if (!s || !address_take(&s, &p.address) || str_number(&s, 10, UINT16_MAX, &host) < 0 ||
	    *s++ != '/' || str_u64(s, 1, UINT16_MAX, &guest) < 0 || !host)
		return err(-EINVAL, "'%s' is no port to publish", word);
	p.host = (uint16_t)host;
	p.guest = (uint16_t)guest;
	*ret = p;
	return 0;
}

void lease_done(struct lease *l)
{
	free(l->ports);
	*l = (struct lease){ 0 };
}

/* ---- reading ---- */

static int parse_line(struct lease *l, char *line)
{
	const char *address = str_after(line, "address "), *port = str_after(line, "port ");
	size_t cap = l->nports;

	if (address)
		return inet_pton(AF_INET, address, &l->address) == 1 ? 0 : -EBADMSG;
	if (!port || mem_grow(&l->ports, &cap, l->nports + 1, sizeof(*l->ports)) < 0)
		return -EBADMSG;
	return lease_port_parse(port, &l->ports[l->nports++]);
}

static int parse(const char *id, char *text, struct lease *ret)
{
	struct lease l = { 0 };
	char *save, *line = strtok_r(text, "\n", &save);
	int r = str_copy(l.id, sizeof(l.id), id);

	for (; r >= 0 && line; line = strtok_r(NULL, "\n", &save))
		r = parse_line(&l, line);
	if (r >= 0 && !l.address.s_addr)
		r = -EBADMSG;
	if (r < 0)
		lease_done(&l);
	else
		*ret = l;
	return r;
}

static int append(struct leases *l, const struct lease *lease)
{
	if (mem_grow(&l->v, &l->cap, l->n + 1, sizeof(*l->v)) < 0)
		return -ENOMEM;
	l->v[l->n++] = *lease;
	return 0;
}

/* One that nobody holds, or that is none, goes. */
static int read_one(struct leases *l, const char *id)
{
	_close_ int fd = openat(l->dir, id, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_free_ char *text = NULL;
	struct lease lease;
	size_t len;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(NETWORK_FOLDER "/%s", id);
	r = fd_lock(fd, true, false) < 0 ? fd_read_all(fd, LEASE_MAX, &text, &len) : -ENOLCK;
	if (r >= 0)
		r = parse(id, text, &lease);
	if (r >= 0)
		return append(l, &lease);
	err_clear();
	unlinkat(l->dir, id, 0);
	return 0;
}

static int read_all(struct leases *l)
{
	_closedir_ DIR *d = dir_open(l->dir, ".");
	struct dirent *e;
	int r = 0;

	if (!d)
		return err_sys(NETWORK_FOLDER);
	while (r >= 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && !streq(e->d_name, LOCK))
			r = read_one(l, e->d_name);
	return r;
}

int leases_open(const char *runroot, struct leases *ret)
{
	struct leases l = { .dir = -1, .lock = -1 };
	_close_ int root = open(runroot, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (root < 0 || (mkdirat(root, NETWORK_FOLDER, 0700) < 0 && errno != EEXIST))
		return err_sys("%s/" NETWORK_FOLDER, runroot);
	l.dir = openat(root, NETWORK_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l.dir >= 0)
		l.lock = openat(l.dir, LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (l.lock < 0)
		r = err_sys("%s/" NETWORK_FOLDER, runroot);
	if (r >= 0)
		r = fd_lock(l.lock, true, true);
	if (r >= 0)
		r = read_all(&l);
	if (r < 0)
		leases_close(&l);
	else
		*ret = l;
	return r;
}

void leases_close(struct leases *l)
{
	for (size_t i = 0; i < l->n; i++)
		lease_done(&l->v[i]);
	free(l->v);
	fd_close(l->lock);
	fd_close(l->dir);
	*l = (struct leases){ .dir = -1, .lock = -1 };
}

/* ---- giving ---- */

static bool taken(const struct leases *l, struct in_addr a)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].address.s_addr == a.s_addr)
			return true;
	return false;
}

int leases_pick(const struct leases *l, const char *id, struct in_addr gateway, unsigned prefix,
		struct in_addr *ret)
{
	const uint32_t size = UINT32_C(1) << (32 - prefix), ours = ntohl(gateway.s_addr);
	const uint32_t net = ours & ~(size - 1);
	char digits[9];
	uint32_t first;

	snprintf(digits, sizeof(digits), "%.8s", id);
	first = (uint32_t)strtoul(digits, NULL, 16);
	for (uint32_t i = 0; i < size; i++) {
		uint32_t host = (first + i) % size;
		struct in_addr a = { htonl(net + host) };

		/* The net itself and its broadcast are nobody's. */
		if (!host || host == size - 1 || net + host == ours || taken(l, a))
			continue;
		*ret = a;
		return 0;
	}
	return err(-EADDRNOTAVAIL, "network 'bridge': no address is free");
}

static bool collide(const struct lease_port *a, const struct lease_port *b)
{
	return a->udp == b->udp && a->host == b->host &&
	       (!a->address.s_addr || !b->address.s_addr || a->address.s_addr == b->address.s_addr);
}

int leases_check_ports(const struct leases *l, const struct lease *new)
{
	for (size_t i = 0; i < new->nports; i++)
		for (size_t k = 0; k < l->n; k++)
			for (size_t p = 0; p < l->v[k].nports; p++)
				if (collide(&new->ports[i], &l->v[k].ports[p]))
					return err(-EADDRINUSE, "port %u is published by %s",
						   new->ports[i].host, l->v[k].id);
	return 0;
}

static int write_lease(int fd, const struct lease *l)
{
	char a[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &l->address, a, sizeof(a));
	if (dprintf(fd, "address %s\n", a) < 0)
		return -errno;
	for (size_t i = 0; i < l->nports; i++) {
		const struct lease_port *p = &l->ports[i];

		inet_ntop(AF_INET, &p->address, a, sizeof(a));
		if (dprintf(fd, "port " NETWORK_PORT_FMT "\n", p->udp ? "udp" : "tcp", a, p->host,
			    p->guest) < 0)
			return -errno;
	}
	return 0;
}

int leases_add(struct leases *l, struct lease *new)
{
	_close_ int fd = openat(l->dir, new->id, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : fd_lock(fd, true, false);

	if (r >= 0)
		r = write_lease(fd, new);
	if (r >= 0)
		r = append(l, new);
	if (r < 0) {
		if (fd >= 0)
			unlinkat(l->dir, new->id, 0);
		return err(r, NETWORK_FOLDER "/%s: %s", new->id, strerror(-r));
	}
	*new = (struct lease){ 0 };
	return take_fd(fd);
}

void leases_remove(struct leases *l, const char *id)
{
	unlinkat(l->dir, id, 0);
	for (size_t i = 0; i < l->n; i++) {
		if (!streq(l->v[i].id, id))
			continue;
		lease_done(&l->v[i]);
		l->v[i] = l->v[--l->n];
		return;
	}
}
