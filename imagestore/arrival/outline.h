/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's index out of its table of contents, before any content is here: byte for byte the one
 * that its tar will make, but that contents inside of it are zeros. And a second one of the same
 * tree, in which each content lies in the layer's device at its place in the arrival's data.
 */
#ifndef IMAGESTORE_ARRIVAL_OUTLINE_H
#define IMAGESTORE_ARRIVAL_OUTLINE_H

#include "imagestore/arrival/toc.h"
#include "imagestore/making.h"
#include "layer/layer.h"

/* A content of the layer: entry @entry of its table. */
struct outline_content {
	uint64_t at; /* in the arrival's data */
	size_t entry;
};

struct outline {
	struct toc toc;
	struct layer_index *index;	  /* as its tar makes it */
	struct layer_index *places;	  /* as above */
	struct outline_content *contents; /* by @at */
	size_t n, cap;
};

/*
 * *@at is where the arrival's data ends so far, and then with this layer's. Takes @toc over, also
 * on failure. -EBADMSG and -EFBIG as unpacking the layer would give.
 */
int outline_make(struct toc *toc, const struct digest *diff_id, const struct store_bounds *b,
		 uint64_t *at, struct outline *ret);
void outline_done(struct outline *o);
/* The content at @at, or NULL. */
const struct outline_content *outline_find(const struct outline *o, uint64_t at);

#endif
