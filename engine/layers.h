/* SPDX-License-Identifier: Apache-2.0 */
/* An image's layers as the union takes them: the stack's descriptors, and the store's objects. */
#ifndef ENGINE_LAYERS_H
#define ENGINE_LAYERS_H

#include "engine/rootfs.h"
#include "unionfs/unionfs.h"

/* The folder objects/ of @s, for layers_object_openat(); the caller's. -errno with a text. */
int layers_open_objects(struct store *s);

/* A read-only descriptor of objects/ab/<sha256> of @d below that folder, or -errno. */
int layers_object_openat(int objects_fd, const struct digest *d);

/* The same as ufs_lower's object_open: @objects_fd points at the folder's descriptor. */
int layers_object_open(void *objects_fd, uint64_t nid, const struct digest *d);

/* @k as a lower; it borrows @k's descriptors and *@objects_fd, which outlive it. */
struct ufs_lower layers_lower(const struct stack *k, int *objects_fd);

/* Whether the image whose merged index is @x has a thing at @path, from its root, without links. */
bool layers_have(const struct layer_index *x, const char *path);

/*
 * Tells @fn what the top @r of @spec, which nobody serves, changed in its layers, as ufs_changes()
 * does: 0, what @fn gave, or -errno. The places of /etc/hosts and /etc/resolv.conf that a start has
 * made are no change.
 */
int layers_changes(struct store *s, const struct rootfs *r, const struct run_spec *spec,
		   int (*fn)(void *ctx, const struct ufs_change *c), void *ctx);

#endif
