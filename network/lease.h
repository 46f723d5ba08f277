/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leases of a RUNROOT: one file each, named by the instance, of a line "address A.B.C.D" and
 * a "port PROTOCOL/ADDRESS/HOST/GUEST" for each published port. All with RUNROOT/network/lock
 * held.
 */
#ifndef NETWORK_LEASE_H
#define NETWORK_LEASE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lease_port {
	bool udp;
	struct in_addr address; /* 0.0.0.0: all */
	uint16_t host, guest;
};

struct lease {
	char id[64];
	struct in_addr address;
	struct lease_port *ports;
	size_t nports;
};

struct leases {
	int dir, lock; /* RUNROOT/network */
	struct lease *v;
	size_t n, cap;
};

/* The address that *@s begins with, and a slash; *@s is behind it then. */
bool address_take(const char **s, struct in_addr *ret);
/* Of this word: 0 or -EINVAL with a text. */
int lease_port_parse(const char *word, struct lease_port *ret);
void lease_done(struct lease *l);

/* Takes the lock and reads those that somebody holds; what nobody does is removed. */
int leases_open(const char *runroot, struct leases *ret);
void leases_close(struct leases *l);
/*
 * An address of the net @gateway/@prefix that nobody has, the same for the same id if it can be
 * had. -EADDRNOTAVAIL with a text: there is none.
 */
int leases_pick(const struct leases *l, const char *id, struct in_addr gateway, unsigned prefix,
		struct in_addr *ret);
/* -EADDRINUSE with a text: another one publishes a port of @new's. */
int leases_check_ports(const struct leases *l, const struct lease *new);
/* Writes @new and takes over what it holds: the locked descriptor or -errno. */
int leases_add(struct leases *l, struct lease *new);
/* Whoever holds it. */
void leases_remove(struct leases *l, const char *id);

#endif
