/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of contents of a zstd:chunked layer (containers/storage, pkg/chunked/internal): JSON
 * that says of each entry of the archive what its header says, and of each content where its
 * chunks are in the blob. It comes from a registry: whatever it says is checked here, but for what
 * the entry's own code checks (imagestore/unpack.h).
 */
#ifndef IMAGESTORE_ARRIVAL_TOC_H
#define IMAGESTORE_ARRIVAL_TOC_H

#include "base/json.h"
#include "base/sha256.h"
#include "imagestore/tar.h"
#include <stdbool.h>

#define TOC_MAX (64u << 20) /* bytes of the JSON: about 150,000 files */

/* Where a descriptor says that it is: its annotations. */
struct toc_place {
	uint64_t offset, packed, size; /* in the blob; zstd, and JSON of so many bytes */
	struct digest digest;	       /* of the packed bytes */
};
/* False: the layer has none, or one of another kind or size than we read. */
bool toc_place_of(const json_t *descriptor, uint64_t blob_size, struct toc_place *ret);

/* A piece of a content; they follow one another without a gap, in the content and in the blob. */
struct toc_chunk {
	uint64_t len;		 /* unpacked */
	uint64_t offset, packed; /* in the blob */
	struct digest digest;
	bool zeros;
};

struct toc_entry {
	struct tar_entry e;   /* as the reader of tars would give it */
	struct digest digest; /* of the content; when e.size is not 0 */
	size_t chunk, nchunks;
};

struct toc {
	struct toc_entry *entries; /* their texts are their own */
	struct toc_chunk *chunks;
	size_t n, nchunks, entries_cap, chunks_cap;
};

/* -EBADMSG with a text; the entries are in the order of the archive. */
int toc_parse(const char *text, size_t len, uint64_t blob_size, struct toc *ret);
void toc_done(struct toc *t);
/* Gives @r; the text of -EBADMSG and -EFBIG says from now on which entry it is of. */
int toc_refuse(size_t i, int r);

#endif
