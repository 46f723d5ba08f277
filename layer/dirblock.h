/* SPDX-License-Identifier: Apache-2.0 */
/* A directory's entries, sorted and cut into blocks: for the writer. */
#ifndef LAYER_DIRBLOCK_H
#define LAYER_DIRBLOCK_H

#include "layer/erofs.h"
#include "layer/tree.h"

/*
 * Sorts the children of @dir, "." and ".." among them, into dir->sorted (memory of @scratch), and
 * counts dir->nsubdirs and dir->size: the bytes of all blocks, the last as long as it is.
 */
int dirblock_sort(struct layer_node *dir, struct arena *scratch);

/* How many entries there are in dir->sorted. */
static inline size_t dirblock_count(const struct layer_node *dir)
{
	return dir->nchildren + 2;
}

/*
 * Fills @block with the entries from *@at on, as many as go in, and moves *@at behind them; gives
 * the bytes used, the rest is zero. Nodes have their pos.
 */
size_t dirblock_fill(const struct layer_node *dir, size_t *at, uint8_t block[LAYER_BLOCK]);

#endif
