/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the threads that serve one /dev/fuse reads the next request. Linux wakes the one that
 * has waited longest: of several that wait, each takes its turn with a cold cache, often on another
 * CPU, and a message costs up to twice as much as with one (docs/BENCH.md). So while one client
 * asks and waits, one thread reads and serves, and the others stand by. Another one reads
 * meanwhile when a request may take long, and all do while several clients ask at once.
 *
 * A thread's life: readers_wait(), read(2), readers_took(), serve, reply, again.
 */
#ifndef UNIONFS_READERS_H
#define UNIONFS_READERS_H

#include "unionfs/wire.h"

#include <pthread.h>
#include <stdbool.h>

struct readers {
	pthread_mutex_t lock;
	pthread_cond_t called;
	unsigned int reading, standing_by, calls;
	uint32_t pid;	  /* of the client that asked last */
	uint32_t history; /* a bit per request: another client's than before, or a long one */
	bool ended;
};

int readers_init(struct readers *r);
void readers_done(struct readers *r);

/* Stands by until this thread shall read. False: it shall end, since another has. */
bool readers_wait(struct readers *r);
/* Whether several clients ask at once. */
bool readers_crowded(struct readers *r);
/* It has read a request, or nothing when @h is NULL: calls another one if need be. */
void readers_took(struct readers *r, const struct wire_in_header *h);
/* The descriptor is at its end. */
void readers_end(struct readers *r);

/*
 * What this thread is about to do may take long: another one reads meanwhile. Does nothing in a
 * thread that serves no /dev/fuse.
 */
void readers_let_others(void);

#endif
