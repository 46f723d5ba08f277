/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/arena.h"

#include "base/mem.h"
#include <stdalign.h>

#define CHUNK (256u << 10) /* bytes asked of the system at once */

struct arena_chunk {
	struct arena_chunk *next;
	max_align_t data[];
};

void arena_done(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	*a = (struct arena){ 0 };
}

static struct arena_chunk *chunk_new(struct arena *a, size_t len)
{
	struct arena_chunk *c = calloc(1, sizeof(*c) + len);

	if (c)
		a->total += sizeof(*c) + len;
	return c;
}

/* What is large gets a chunk of its own, behind the one that is being filled. */
static void *arena_new_large(struct arena *a, size_t len)
{
	struct arena_chunk *c = chunk_new(a, len);

	if (!c)
		return NULL;
	if (a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		a->chunks = c;
	}
	return c->data;
}

void *arena_new(struct arena *a, size_t len)
{
	struct arena_chunk *c;
	void *p;

	len = ROUND_UP(len, alignof(max_align_t));
	if (len > CHUNK / 8)
		return arena_new_large(a, len);
	if (len > a->room) {
		c = chunk_new(a, CHUNK);
		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
		a->next = (uint8_t *)c->data;
		a->room = CHUNK;
	}
	p = a->next;
	a->next += len;
	a->room -= len;
	return p;
}

void *arena_dup(struct arena *a, const void *src, size_t len)
{
	void *p = arena_new(a, len);

	if (p && len)
		memcpy(p, src, len);
	return p;
}
