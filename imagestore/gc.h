/* SPDX-License-Identifier: Apache-2.0 */
/* A collection under way: what was listed, what is alive. */
#ifndef IMAGESTORE_GC_H
#define IMAGESTORE_GC_H

#include "imagestore/digest_set.h"
#include "imagestore/store.h"

struct gc_list {
	struct digest *d;
	size_t n, cap;
};

struct gc {
	struct store *s;
	const struct gc_scope *scope;
	struct gc_list layers, blobs, objects; /* there when the collection began */
	struct digest_set live_layers, live_blobs, live_objects, live_chains;
};

/* Fills in what is alive, and drops merged indexes that nobody names or uses. */
int gc_mark(struct gc *gc);
/* After it: marks as alive what gc_scope.keep lets stay of the dead layers. */
int gc_mark_recent(struct gc *gc);
/* A layer with its objects. */
int gc_mark_layer(struct gc *gc, const struct digest *diff_id);

/* Removes downloads that nobody has worked on for a day. */
void partial_expire(struct store *s);

#endif
