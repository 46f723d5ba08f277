/* SPDX-License-Identifier: Apache-2.0 */
/* A new writable top: a snapshot whose root looks as the image's root does. */
#ifndef ENGINE_TOP_H
#define ENGINE_TOP_H

#include "imagestore/imagestore.h"

/*
 * Makes snapshot @id over the stack @k of @n layers. Where a top has a root, a union shows the
 * top's owner, mode and attributes for "/": so they are the image's. @mapped: the file server sets
 * them.
 */
int top_create(struct store *s, const char *id, const struct digest *diff_ids, size_t n,
	       const struct stack *k, bool mapped);

#endif
