/* SPDX-License-Identifier: Apache-2.0 */
/* Where a layout is written to: a folder, or a tar. */
#ifndef IMAGESTORE_SAVE_H
#define IMAGESTORE_SAVE_H

#include "imagestore/digest_set.h"
#include "imagestore/txn.h"

struct save_target;
/*
 * @path: a folder that is missing or empty; or a file that is replaced at the end, "-" for standard
 * output.
 */
int save_target_open(const char *path, bool as_tar, struct save_target **ret);
int save_target_folder(struct save_target *t, const char *name);
/* A file of @size bytes, whose bytes follow by save_target_write(). */
int save_target_file(struct save_target *t, const char *name, uint64_t size);
int save_target_write(struct save_target *t, const void *data, size_t len);
int save_target_file_end(struct save_target *t);
/* @keep false: takes away what was written. Frees. */
int save_target_close(struct save_target *t, bool keep);

/* save_docker.c: all of the images; @t may be NULL. */
int save_docker(struct store *s, struct txn *t, char *const *refs, struct save_target *to);

#endif
