/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of a mapped image: each is compared with its digest before it is read for the first
 * time, and one that the disk loses under the map (SIGBUS: the file was cut off, the device fails)
 * becomes zeros and a failure, not the process' end.
 */
#ifndef LAYER_GUARD_H
#define LAYER_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard {
	const uint8_t *map;
	size_t size;
	int sums_fd; /* of each page 32 bytes of SHA-256; -1: pages are taken as they are */
	_Atomic(uint8_t) *pages;
	atomic_uint lost; /* pages that SIGBUS took */
	size_t slot;	  /* in the table of the signal's handler */
};

/* @sums_fd is duplicated. */
int guard_init(struct guard *g, const void *map, size_t size, int sums_fd);
void guard_done(struct guard *g);
/*
 * -EBADMSG with a text: the bytes [@off, @off + @len), all inside the map, are not what they were.
 */
int guard_check(struct guard *g, size_t off, size_t len);

#define GUARD_PAGE_BITS 12
enum guard_page { GUARD_UNKNOWN, GUARD_GOOD, GUARD_LOST };

/* The same, quick for what was checked before. */
static inline int guard_read(struct guard *g, size_t off, size_t len)
{
	size_t first = off >> GUARD_PAGE_BITS, last = (off + len - 1) >> GUARD_PAGE_BITS;

	for (size_t p = first; len && p <= last; p++) {
		if (atomic_load_explicit(&g->pages[p], memory_order_relaxed) != GUARD_GOOD)
			return guard_check(g, off, len);
	}
	return 0;
}

#endif
