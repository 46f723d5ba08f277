/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zstd:chunked blob being made of a tar (containers/storage, pkg/chunked): each chunk of a
 * content is a zstd frame of its own, and behind the archive stands a table that says where (read
 * by imagestore/arrival/toc.h). Whoever does not know it unpacks it as any zstd.
 */
#ifndef IMAGESTORE_CHUNKED_H
#define IMAGESTORE_CHUNKED_H

#include "imagestore/out_file.h"

struct chunked;
int chunked_new(struct txn *t, struct chunked **ret);
void chunked_free(struct chunked *c);
/* The signature of a sink: bytes of the tar. */
int chunked_write(void *chunked, const void *data, size_t len);
/*
 * Ends it and puts the blob into the transaction: fills in blob, size and media type; *@ret_notes
 * are its descriptor's annotations, NULL when it has no table: a sparse file or a name that is no
 * UTF-8 has no place in one.
 */
int chunked_finish(struct chunked *c, struct image_layer *ret, json_t **ret_notes);

/* Makes the blobs of an image that is given away such ones, and a manifest that names them. */
int txn_give_chunked(struct txn *t, struct image *i);

#endif
