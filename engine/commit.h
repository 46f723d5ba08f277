/* SPDX-License-Identifier: Apache-2.0 */
/* What a writable top changed, as a layer of the store. */
#ifndef ENGINE_COMMIT_H
#define ENGINE_COMMIT_H

#include "engine/rootfs.h"

/*
 * Writes the changes in the top of @r (not mounted; rootfs_unmount() it first) as a layer of @s
 * into @t. What a metacopy file or a moved directory has in the image is told in full. *@ret_empty:
 * it changed nothing, and there is no layer.
 */
int commit_layer(struct store *s, struct txn *t, const struct rootfs *r,
		 const struct run_spec *spec, struct image_layer *ret, bool *ret_empty);

#endif
