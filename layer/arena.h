/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given piece by piece and freed at once. All-zero is an empty one. */
#ifndef LAYER_ARENA_H
#define LAYER_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	uint8_t *next; /* free room of the first chunk */
	size_t room;
	uint64_t total; /* bytes had from the system */
};

void arena_done(struct arena *a);
/* Zeroed bytes, aligned for any object; NULL without memory. */
void *arena_new(struct arena *a, size_t len);
/* A copy of @len bytes. */
void *arena_dup(struct arena *a, const void *src, size_t len);

#endif
