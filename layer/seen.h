/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of one index by nid, and the node that each became in a tree: for their further names.
 * All-zero is empty.
 */
#ifndef LAYER_SEEN_H
#define LAYER_SEEN_H

#include "layer/tree.h"

struct seen {
	struct hash_table table;
	struct arena arena;
};

/* The node, or NULL. */
struct layer_node *seen_find(const struct seen *s, uint64_t nid);
/* Holds @node, so that it outlives the loss of its names. */
int seen_add(struct seen *s, uint64_t nid, struct layer_node *node);
/* Lets all nodes go and leaves an empty one. */
void seen_done(struct seen *s, struct layer_tree *t);

#endif
