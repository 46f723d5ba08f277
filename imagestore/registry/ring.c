/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/registry/ring.h"

#include "base/mem.h"

static uint64_t piece_end(uint64_t at)
{
	return (at / RING_PIECE + 1) * RING_PIECE;
}

/* The first byte that is still there when all is claimed up to @claimed. */
static uint64_t oldest(const struct ring *r, uint64_t claimed)
{
	return claimed > r->size ? MAX(r->begin, claimed - r->size) : r->begin;
}

struct ring *ring_new(uint64_t at, uint64_t total)
{
	uint64_t size = ROUND_UP(total - MIN(at, total), (uint64_t)RING_PIECE) + RING_PIECE;
	struct ring *r;

	size = MIN(size, (uint64_t)RING_SIZE);
	r = malloc(sizeof(*r) + (size_t)size);
	if (r)
		*r = (struct ring){ .begin = at, .claimed = at, .size = (size_t)size };
	return r;
}

bool ring_is_full(const struct ring *r, uint64_t at, uint64_t reader)
{
	uint64_t stays = oldest(r, piece_end(at));

	return stays > r->begin && stays > reader;
}

uint8_t *ring_claim(struct ring *r, uint64_t at)
{
	r->claimed = piece_end(at);
	return r->data + at % r->size;
}

void ring_close(struct ring *r, uint64_t have)
{
	if (!r->closed || have < r->end)
		r->end = have;
	r->closed = true;
}

size_t ring_look(const struct ring *r, uint64_t at, uint64_t have, const void **ret)
{
	uint64_t end = r->closed ? r->end : have;

	if (at < oldest(r, r->claimed) || at >= end)
		return 0;
	*ret = r->data + at % r->size;
	return (size_t)MIN(end - at, (uint64_t)(r->size - at % r->size));
}
