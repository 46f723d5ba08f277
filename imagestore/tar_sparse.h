/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of a sparse file (GNU tar manual, "Storing Sparse Files"): the old GNU type 'S' with its
 * further blocks, and pax 0.0, 0.1 and 1.0. What the archive holds of such a file are its segments
 * alone, one behind another.
 */
#ifndef IMAGESTORE_TAR_SPARSE_H
#define IMAGESTORE_TAR_SPARSE_H

#include "imagestore/tar.h"

#include <stdbool.h>

#define TAR_SEGMENTS_MAX (1u << 18) /* of one file: 4 MiB of map */

struct tar_sparse {
	bool is, in_data; /* in_data: pax 1.0, whose map stands in front of the data */
	bool has_size, has_offset, has_map;
	uint64_t size, offset; /* the real size; pax 0.0's offset that waits for its length */
	char *name;	       /* the real name, inside the pax records */
	struct tar_segment *segments;
	size_t n, cap;
	/* pax 1.0: the map being read */
	uint64_t map_bytes, number, wanted, pair;
	bool counted, digits;
};

void tar_sparse_done(struct tar_sparse *s);
/* One pax record "GNU.sparse.<key>": -EBADMSG with a text. */
int tar_sparse_record(struct tar_sparse *s, const char *key, char *value, size_t len);
/* The header of a type 'S' / a block behind it: 1 = another block follows, 0 = the map is whole. */
int tar_sparse_header(struct tar_sparse *s, const void *block);
int tar_sparse_block(struct tar_sparse *s, const void *block);
/* A block of pax 1.0's map: 1 = another follows. */
int tar_sparse_map(struct tar_sparse *s, const void *block);
/*
 * The map against @stored, the size that the header has; *@ret_data: bytes of data that follow.
 */
int tar_sparse_check(struct tar_sparse *s, uint64_t stored, uint64_t *ret_data);

#endif
