/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/layout.h"

#include "base/err.h"
#include "layer/dirblock.h"
#include "layer/xattr.h"
#include <sys/stat.h>

uint64_t layout_content(const struct layer_node *n)
{
	if (S_ISDIR(n->attr.mode))
		return n->size;
	return n->content.kind == LAYER_INLINE ? n->attr.size : 0;
}

/* Whether inode, xattrs and the @tail go into one block. The root cannot move: its nid is 1. */
static bool fits_inline(const struct layout *l, const struct layer_node *n, uint64_t tail)
{
	uint64_t room = l->nnodes ? LAYER_BLOCK :
				    LAYER_BLOCK - LAYER_ROOT_NID * (1u << EROFS_SLOT_BITS);

	return layout_core(n) + tail <= room;
}

static uint64_t place_content(struct layout *l, struct layer_node *n)
{
	uint64_t size = layout_content(n), full = size / LAYER_BLOCK, tail = size % LAYER_BLOCK;

	n->block = l->nblocks;
	if (tail && fits_inline(l, n, tail)) {
		n->layout = EROFS_FLAT_INLINE;
		l->nblocks += full;
		return layout_core(n) + tail;
	}
	n->layout = EROFS_FLAT_PLAIN;
	l->nblocks += erofs_blocks(size);
	return layout_core(n);
}

/* Gives @n its place in the metadata, and its plain blocks. */
static void place(struct layout *l, struct layer_node *n)
{
	uint64_t len;

	if (S_ISREG(n->attr.mode) && n->attr.size && n->content.kind != LAYER_INLINE) {
		n->layout = EROFS_CHUNK_BASED;
		len = ROUND_UP(layout_core(n), sizeof(struct erofs_chunk)) +
		      sizeof(struct erofs_chunk);
	} else {
		len = place_content(l, n);
		if (n->layout == EROFS_FLAT_INLINE && l->pos % LAYER_BLOCK + len > LAYER_BLOCK)
			l->pos = ROUND_UP(l->pos, LAYER_BLOCK);
	}
	n->pos = l->pos;
	l->pos = ROUND_UP(l->pos + len, 1u << EROFS_SLOT_BITS);
}

static int check_node(const struct layout *l, const struct layer_node *n)
{
	const struct layer_content *c = &n->content;
	const struct layer_device *d;

	if (S_ISLNK(n->attr.mode) && c->kind != LAYER_INLINE)
		return err(-EINVAL, "a symbolic link without a target");
	if (c->kind != LAYER_PACK)
		return 0;
	if (c->device > l->ndevices)
		return err(-EINVAL, "content in device %u of %zu", c->device, l->ndevices);
	d = &l->devices[c->device - 1];
	if (c->block > d->blocks || erofs_blocks(n->attr.size) > d->blocks - c->block)
		return err(-EINVAL, "content at block %u of a pack of %u", c->block, d->blocks);
	return 0;
}

static int visit(struct layout *l, struct layer_node *n, struct layer_node *parent)
{
	int r = check_node(l, n);

	if (r < 0)
		return r;
	n->parent = parent;
	if (mem_grow(&l->nodes, &l->cap, l->nnodes + 1, sizeof(*l->nodes)) < 0)
		return -ENOMEM;
	if (S_ISDIR(n->attr.mode) && dirblock_sort(n, &l->scratch) < 0)
		return -ENOMEM;
	place(l, n);
	l->nodes[l->nnodes++] = n;
	for (const struct tree_xattr *x = n->xattrs; x; x = x->next)
		l->acls = l->acls || xattr_is_acl(x->prefix);
	if (!S_ISDIR(n->attr.mode))
		return 0;
	for (size_t i = 0; i < dirblock_count(n) && r == 0; i++) {
		struct layer_node *child = n->sorted[i]->node;

		if (child && !child->pos)
			r = visit(l, child, n);
	}
	return r;
}

int layout_init(struct layout *l, struct layer_tree *t, const struct layer_device *devices,
		size_t ndevices)
{
	int r;

	*l = (struct layout){ .devices = devices,
			      .ndevices = ndevices,
			      .merged = t->merged,
			      .pos = LAYER_ROOT_NID * (1u << EROFS_SLOT_BITS) };
	r = visit(l, t->root, t->root);
	if (r == 0 && layout_plain(l) + l->nblocks > UINT32_MAX)
		return err(-EFBIG, "an index of more than 16 TiB");
	return r;
}

void layout_done(struct layout *l)
{
	for (size_t i = 0; i < l->nnodes; i++) {
		l->nodes[i]->pos = 0;
		l->nodes[i]->sorted = NULL;
	}
	free(l->nodes);
	arena_done(&l->scratch);
}
