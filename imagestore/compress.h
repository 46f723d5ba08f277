/* SPDX-License-Identifier: Apache-2.0 */
/* A gzip blob being made: by ISA-L, the same bytes for the same input. */
#ifndef IMAGESTORE_COMPRESS_H
#define IMAGESTORE_COMPRESS_H

#include "imagestore/out_file.h"

struct compress;
int compress_new(struct txn *t, struct compress **ret);
void compress_free(struct compress *c);
/* The signature of a sink. */
int compress_write(void *compress, const void *data, size_t len);
/* Ends it and puts the blob into the transaction: fills in blob, size and media type. */
int compress_finish(struct compress *c, struct image_layer *ret);

#endif
