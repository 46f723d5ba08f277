/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of bytes: what can be read from a source goes to a tap (the log) and to a sink. A
 * slow sink holds the source back; nothing ever blocks the loop; neither descriptor is made
 * non-blocking here, since it may be shared with somebody's shell. For regular files, pipes,
 * sockets and terminals alike.
 */
#ifndef RUNTIME_RELAY_H
#define RUNTIME_RELAY_H

#include "base/loop.h"
#include <stdbool.h>
#include <stddef.h>

/* PIPE_BUF: a pipe that polls as writable takes so much without blocking */
#define RELAY_CHUNK 4096
#define RELAY_ROOM  16 /* for what a filter held back before */

enum relay_wait { RELAY_NOTHING, RELAY_SOURCE, RELAY_SINK };

struct relay {
	/* Set by the user, then relay_start(). */
	struct loop *loop;
	int source, sink; /* the relay's own; sink -1 = none */
	bool drain;	  /* goes on reading when there is no sink (any more) */
	/* but a sink that nobody reads (EPIPE) ends it: so does the source then */
	bool breaks;
	bool held; /* reads nothing for now: relay_hold() */
	bool last; /* set by a filter: what it gives is the last, and its end the source's */
	/* What goes on of what was read, in place: RELAY_ROOM bytes more at most. NULL = all. */
	size_t (*filter)(void *ctx, struct relay *r, char *data, size_t len);
	void (*tap)(void *ctx, struct relay *r, const char *data, size_t len); /* NULL = none */
	/* At the source's end; gives what the loop's callback gives. */
	int (*ended)(void *ctx, struct relay *r);
	void *ctx;

	enum relay_wait waits;
	bool closing; /* who writes into the source has gone: nothing to read now = its end */
	bool over;
	size_t off, len; /* what the sink has not taken yet */
	char buf[RELAY_CHUNK];
};

int relay_start(struct relay *r);
/*
 * Whoever writes into the source is no more: what is there is still carried over, then ended() is
 * called.
 */
int relay_closing(struct relay *r);
/*
 * Somebody else cannot take more of the source, or can again; gives what the loop's callback gives.
 */
int relay_hold(struct relay *r, bool held);
/* The sink takes too long: does without it from now on. */
int relay_drop_sink(struct relay *r);
void relay_done(struct relay *r);

#endif
