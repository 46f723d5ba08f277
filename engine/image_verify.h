/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing a merged index as a whole with its digests, for who lets the kernel read it. */
#ifndef ENGINE_IMAGE_VERIFY_H
#define ENGINE_IMAGE_VERIFY_H

#include "imagestore/imagestore.h"

/*
 * Hashes the index of @k, which has its sums: 0, or -EBADMSG with a text. The verdict is kept in
 * RUNROOT/images (@dir; negative: nowhere) as <name>.sound, for this very file and this boot.
 */
int image_verify(int dir, const char *name, const struct stack *k);

#endif
