/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of contents of a zstd:chunked layer: the input is its JSON. What is taken makes two
 * indexes of the same tree, whose contents lie where the table has chunks for them.
 */
#include "base/err.h"
#include "base/mem.h"
#include "imagestore/arrival/outline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLOB (1u << 20)

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_chunks(const struct toc *t)
{
	uint64_t end = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct toc_entry *e = &t->entries[i];
		uint64_t have = 0;

		must(e->chunk + e->nchunks <= t->nchunks && (e->e.size == 0) == (e->nchunks == 0));
		for (size_t k = e->chunk; k < e->chunk + e->nchunks; k++) {
			const struct toc_chunk *c = &t->chunks[k];

			must(c->len && c->packed && c->offset >= end &&
			     c->packed <= BLOB - c->offset);
			end = c->offset + c->packed;
			have += c->len;
		}
		must(have == e->e.size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_bounds bounds = {
		.max_layer_bytes = 1 << 20, .max_entries = 100, .max_depth = 20, .max_ratio = 1000
	};
	struct digest id = sha256_of("x", 1);
	struct toc t;
	struct outline o;
	uint64_t at = 0;

	if (toc_parse((const char *)data, size, BLOB, &t) == 0) {
		check_chunks(&t);
		if (outline_make(&t, &id, &bounds, &at, &o) == 0) {
			must(layer_index_check(o.index) == 0);
			must(layer_index_ninodes(o.index) == layer_index_ninodes(o.places));
			outline_done(&o);
		}
	}
	err_clear();
	return 0;
}
