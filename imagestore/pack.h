/* SPDX-License-Identifier: Apache-2.0 */
/* A pack being written: contents from block boundaries, and the SHA-256 of each block. */
#ifndef IMAGESTORE_PACK_H
#define IMAGESTORE_PACK_H

#include "imagestore/out_file.h"

struct pack {
	struct out_file data, sums;
	uint32_t blocks;
	struct digest sums_digest; /* after pack_close() */
};

#define PACK_NONE ((struct pack){ .data = OUT_FILE_NONE, .sums = OUT_FILE_NONE })

/*
 * Adds a content of 1 to LAYER_PACK_MAX bytes; *@ret_block is its first block. The files come with
 * the first content. @tar gets the content too, or is NULL.
 */
int pack_add(struct txn *t, struct pack *p, const void *data, size_t len, struct sha256 *tar,
	     uint32_t *ret_block);
/* Nothing to do for a pack without blocks. */
int pack_close(struct pack *p);
void pack_drop(struct pack *p);

#endif
