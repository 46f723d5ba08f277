/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where who serves a mount asks who fetches: a memory file of slots, held by their keeper over the
 * death of either. A question stands until it is answered, whoever comes to answer it.
 */
#ifndef IMAGESTORE_ARRIVAL_DESK_H
#define IMAGESTORE_ARRIVAL_DESK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DESK_SLOTS 64u /* as many threads as a server may have */

enum desk_phase { DESK_FREE, DESK_TAKEN, DESK_ASKED, DESK_DONE, DESK_FAILED };

struct desk_slot {
	_Atomic(uint32_t) word; /* a futex: enum desk_phase, and a turn's number << 3 */
	uint32_t zero;
	uint64_t nid, off, len;
};

struct desk {
	_Atomic(uint32_t) shut;
	uint32_t zero;
	struct desk_slot slots[DESK_SLOTS];
};

int desk_map(int fd, struct desk **ret);
void desk_unmap(struct desk *d);
/* Nobody waits any more: what is asked from now on, or was, is not done. */
void desk_shut(struct desk *d);

/* ---- who asks ---- */

/* A server that takes over: what its predecessor asked is nobody's question any more. */
void desk_clear(struct desk *d);
/* Asks, rings at @door, and waits for the answer: whether it is done. */
bool desk_ask(struct desk *d, int door, uint64_t nid, uint64_t off, uint64_t len);

/* ---- who answers ---- */

struct desk_question {
	unsigned slot;
	uint32_t word;
	uint64_t nid, off, len;
};
/* The next that is asked and not in @taken (a bit a slot); false: none. */
bool desk_next(const struct desk *d, uint64_t taken, struct desk_question *ret);
void desk_answer(struct desk *d, const struct desk_question *q, bool done);

#endif
