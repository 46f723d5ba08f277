/* SPDX-License-Identifier: Apache-2.0 */
/* objects/ab/<sha256>, opened by whoever holds only that folder's descriptor. */
#ifndef ENGINE_OBJECT_H
#define ENGINE_OBJECT_H

#include "base/sha256.h"

/* A read-only descriptor of the object @d below the folder @objects_fd, or -errno. */
int object_openat(int objects_fd, const struct digest *d);

#endif
