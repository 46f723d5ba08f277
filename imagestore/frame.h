/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a layer: the recipe by which its tar is given back bit for bit
 * (docs/formats/store.md, "frame").
 */
#ifndef IMAGESTORE_FRAME_H
#define IMAGESTORE_FRAME_H

#include "imagestore/out_file.h"

#define FRAME_MAGIC   "STRAFRM1"
#define FRAME_RAW_MAX (64u << 10) /* bytes of one R record */

enum frame_record {
	FRAME_RAW = 'R',
	FRAME_PACKED = 'P',
	FRAME_OBJECT = 'O',
	FRAME_SEGMENT = 'S',
	FRAME_END = 'E',
};

struct frame_writer;
int frame_writer_new(struct txn *t, struct frame_writer **ret);
void frame_writer_free(struct frame_writer *f);
int frame_raw(struct frame_writer *f, const void *data, size_t len);
int frame_packed(struct frame_writer *f, uint32_t block, uint64_t len);
int frame_object(struct frame_writer *f, uint64_t len, const struct digest *d);
/* A piece of an object: what an archive holds of a sparse file. */
int frame_segment(struct frame_writer *f, uint64_t off, uint64_t len, const struct digest *d);
/* Ends and closes the file; frame_name() then gives it its name. */
int frame_end(struct frame_writer *f, uint64_t len, const struct digest *diff_id,
	      struct digest *ret_digest);
int frame_name(struct frame_writer *f, const char *path);

/* Plays the frame of layer @diff_id to @sink and checks that what came is that layer: -EBADMSG. */
int frame_play(struct store *s, const struct digest *diff_id,
	       int (*sink)(void *ctx, const void *data, size_t len), void *ctx);

#endif
