/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DAX window: memory that the client sees and the server maps files into, so that clients of
 * one host share its page cache. It is cut into slots of 2 MiB (what Linux asks for at a time),
 * each with at most one mapping: a table that cannot grow, whatever a client asks for.
 *
 * Which files: stored objects that nobody has changed (the client learns it by a flag of the
 * attributes), and, since a client keeps what it knows of an inode, what such a file has become
 * when it is copied up. Objects are compared with their digest as a whole before they are mapped. A
 * mapping of the lower is replaced by one of the upper when the bytes move there, before anything
 * changes them.
 */
#ifndef UNIONFS_DAX_H
#define UNIONFS_DAX_H

#include "unionfs/unionfs.h"

#include <pthread.h>
#include <stdatomic.h>

#define DAX_SLOT_BITS 21
#define DAX_SLOT      (1ull << DAX_SLOT_BITS)

struct dax_slot {
	uint64_t nodeid; /* 0: nothing is mapped */
	uint64_t off;	 /* of the file */
	uint64_t len;
	bool write;
};

struct dax {
	pthread_mutex_t lock;
	struct ufs_carrier carrier;
	void *ctx;
	struct dax_slot *slots;
	size_t n;
	atomic_uint_fast64_t turns; /* how often files moved: who found one before looks again */
};

void dax_init(struct dax *d);
void dax_done(struct dax *d);
/* Takes the window of @carrier, if it has one: 0 or -errno. */
int dax_open(struct dax *d, const struct ufs_carrier *carrier, void *ctx);
static inline bool dax_has(const struct dax *d)
{
	return d->n != 0;
}
/* Unmaps all: the client starts anew. */
void dax_reset(struct dax *d);
/* The bytes of @nodeid are those of @fd from now on. */
void dax_switch(struct dax *d, uint64_t nodeid, int fd);
/* Whether @nodeid's bytes are a stored object's. */
bool dax_takes(struct ufs *u, uint64_t nodeid);

/*
 * Maps [@s->off, @s->off + @s->len) of @fd for @s->nodeid in slot @i, unless something has moved
 * since @turn (-EAGAIN) / unmaps slot @i.
 */
int dax_map(struct dax *d, size_t i, const struct dax_slot *s, int fd, uint64_t turn);
void dax_unmap(struct dax *d, size_t i);

#endif
