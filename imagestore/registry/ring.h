/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest bytes of a download, in memory: who unpacks behind it takes them from here while he
 * keeps up, and from the file what is here no more. All calls under the pipeline's lock; the bytes
 * themselves are written and read without it, never the same ones at once.
 */
#ifndef IMAGESTORE_REGISTRY_RING_H
#define IMAGESTORE_REGISTRY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_PIECE (128u << 10) /* downloads are written in pieces that end at multiples of it */
#define RING_SIZE  (4 * RING_PIECE)

struct ring {
	uint64_t begin;	  /* nothing before it was put in here */
	uint64_t claimed; /* where the piece ends that is being put in */
	uint64_t end;	  /* when closed: what was put in */
	size_t size;
	bool closed;
	uint8_t data[];
};

/* For a download that goes on at @at and ends at @total; NULL without memory. */
struct ring *ring_new(uint64_t at, uint64_t total);
/* Whether the piece that @at is in would take the place of what a reader at @reader still needs. */
bool ring_is_full(const struct ring *r, uint64_t at, uint64_t reader);
/* Where the bytes go from @at to the end of its piece. */
uint8_t *ring_claim(struct ring *r, uint64_t at);
/*
 * Nothing more is put in than the @have bytes that the file has by now; of a ring that is closed
 * already less may count: 0 when other bytes come.
 */
void ring_close(struct ring *r, uint64_t have);
/* What it holds from @at on of the @have bytes that came, at *@ret: so many; 0: none. */
size_t ring_look(const struct ring *r, uint64_t at, uint64_t have, const void **ret);

#endif
