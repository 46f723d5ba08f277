/* SPDX-License-Identifier: Apache-2.0 */
/* Where everything of an image goes: the tree walked in order, each node given its place. */
#ifndef LAYER_LAYOUT_H
#define LAYER_LAYOUT_H

#include "layer/erofs.h"
#include "layer/tree.h"

struct layout {
	const struct layer_device *devices;
	size_t ndevices;
	struct layer_node **nodes; /* in the order of the metadata */
	size_t nnodes, cap;
	uint64_t pos;	  /* bytes of metadata */
	uint64_t nblocks; /* plain blocks behind it */
	bool acls;	  /* some node has one */
	bool merged;	  /* layer_tree.merged */
	struct arena scratch;
};

/* 0, -EINVAL (see layer_tree_write) or -ENOMEM. To be done also after a failure. */
int layout_init(struct layout *l, struct layer_tree *t, const struct layer_device *devices,
		size_t ndevices);
void layout_done(struct layout *l);

/* Bytes of the inode with its xattrs. */
static inline size_t layout_core(const struct layer_node *n)
{
	return sizeof(struct erofs_inode) +
	       (n->xattr_bytes ? sizeof(struct erofs_xattr_head) + n->xattr_bytes : 0);
}

/* Bytes of its content in the image: a directory's blocks, a target, inline bytes. */
uint64_t layout_content(const struct layer_node *n);

/* The block where the plain blocks begin. */
static inline uint64_t layout_plain(const struct layout *l)
{
	return erofs_meta_block(l->ndevices) + erofs_blocks(l->pos);
}

#endif
