/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "layer/dirblock.h"
#include "layer/layout.h"
#include "layer/out.h"
#include "layer/xattr.h"
#include <sys/stat.h>

static void write_super(struct out *o, const struct layout *l)
{
	struct erofs_super s = {
		.magic = EROFS_MAGIC,
		.feature_compat = l->merged && !l->acls ? EROFS_NO_ACLS : 0,
		.blkszbits = EROFS_BLOCK_BITS,
		.root_nid = LAYER_ROOT_NID,
		.inos = l->nnodes,
		.blocks = (uint32_t)(layout_plain(l) + l->nblocks),
		.meta_blkaddr = erofs_meta_block(l->ndevices),
		.volume_name = EROFS_VOLUME,
		.feature_incompat = EROFS_CHUNKED_FILE | EROFS_DEVICE_TABLE,
		.extra_devices = (uint16_t)l->ndevices,
		.devt_slotoff = EROFS_DEVT_SLOT,
	};

	out_zero_to(o, EROFS_SUPER_OFFSET);
	out_write(o, &s, sizeof(s));
}

static void write_devices(struct out *o, const struct layout *l)
{
	out_zero_to(o, EROFS_DEVT_SLOT * EROFS_SLOT);
	for (size_t i = 0; i < l->ndevices; i++) {
		struct digest_hex hex = digest_hex(&l->devices[i].diff_id);
		struct erofs_device d = { .blocks = l->devices[i].blocks };

		memcpy(d.tag, hex.s, sizeof(d.tag));
		out_write(o, &d, sizeof(d));
	}
}

/* What the inode's last field holds: first block, device number or chunk format. */
static uint32_t inode_u(const struct layout *l, const struct layer_node *n)
{
	uint64_t size = layout_content(n);

	if (n->layout == EROFS_CHUNK_BASED)
		return erofs_chunk_format(n->attr.size);
	if (S_ISDIR(n->attr.mode) || S_ISLNK(n->attr.mode) || S_ISREG(n->attr.mode)) {
		if (n->layout == EROFS_FLAT_INLINE ? size < LAYER_BLOCK : size == 0)
			return EROFS_NULL_ADDR;
		return (uint32_t)(layout_plain(l) + n->block);
	}
	return erofs_encode_dev(n->attr.rdev);
}

static void write_inode(struct out *o, const struct layout *l, const struct layer_node *n, size_t i)
{
	bool dir = S_ISDIR(n->attr.mode);
	struct erofs_inode e = {
		.format = EROFS_FORMAT(n->layout),
		.xattr_icount = (uint16_t)(n->xattr_bytes ? n->xattr_bytes / 4 + 1 : 0),
		.mode = (uint16_t)n->attr.mode,
		.size = dir ? n->size : n->attr.size,
		.u = inode_u(l, n),
		.ino = (uint32_t)(i + 1),
		.uid = n->attr.uid,
		.gid = n->attr.gid,
		.mtime = n->attr.mtime.tv_sec,
		.mtime_nsec = (uint32_t)n->attr.mtime.tv_nsec,
		.nlink = dir ? 2 + n->nsubdirs : n->nnames,
	};

	out_write(o, &e, sizeof(e));
}

static void write_xattrs(struct out *o, const struct layer_node *n)
{
	static const struct erofs_xattr_head head;

	if (n->xattrs)
		out_write(o, &head, sizeof(head));
	for (const struct tree_xattr *x = n->xattrs; x; x = x->next) {
		struct erofs_xattr e = { x->name_len, x->prefix, x->value_len };
		size_t len = sizeof(e) + x->name_len + x->value_len;

		out_write(o, &e, sizeof(e));
		out_write(o, x->name, x->name_len);
		out_write(o, x->value, x->value_len);
		out_write(o, &head, xattr_entry_size(x->name_len, x->value_len) - len);
	}
}

static void write_chunk(struct out *o, const struct layer_node *n)
{
	struct erofs_chunk c = { UINT16_MAX, UINT16_MAX, EROFS_NULL_ADDR };

	if (n->content.kind == LAYER_PACK)
		c = (struct erofs_chunk){ 0, n->content.device, n->content.block };
	out_zero_to(o, ROUND_UP(o->done + o->used, sizeof(c)));
	out_write(o, &c, sizeof(c));
}

/* A directory's blocks, or only the last one when @tail, which is then as long as it is. */
static void write_dir(struct out *o, const struct layer_node *n, bool tail)
{
	uint64_t full = n->layout == EROFS_FLAT_INLINE ? n->size / LAYER_BLOCK :
							 erofs_blocks(n->size);
	uint8_t block[LAYER_BLOCK];
	size_t at = 0, used;

	for (uint64_t i = 0; i < full; i++) {
		dirblock_fill(n, &at, block);
		if (!tail)
			out_write(o, block, sizeof(block));
	}
	if (tail) {
		used = dirblock_fill(n, &at, block);
		out_write(o, block, used);
	}
}

static void write_tail(struct out *o, const struct layer_node *n)
{
	if (S_ISDIR(n->attr.mode))
		write_dir(o, n, true);
	else
		out_write(o, n->content.data, n->attr.size);
}

static void write_metadata(struct out *o, const struct layout *l)
{
	uint64_t start = (uint64_t)erofs_meta_block(l->ndevices) * LAYER_BLOCK;

	for (size_t i = 0; i < l->nnodes; i++) {
		const struct layer_node *n = l->nodes[i];

		out_zero_to(o, start + n->pos);
		write_inode(o, l, n, i);
		write_xattrs(o, n);
		if (n->layout == EROFS_CHUNK_BASED)
			write_chunk(o, n);
		else if (n->layout == EROFS_FLAT_INLINE)
			write_tail(o, n);
	}
	out_zero_to(o, layout_plain(l) * LAYER_BLOCK);
}

static void write_plain(struct out *o, const struct layout *l)
{
	for (size_t i = 0; i < l->nnodes; i++) {
		const struct layer_node *n = l->nodes[i];

		if (S_ISDIR(n->attr.mode)) {
			write_dir(o, n, false);
		} else if (n->content.kind == LAYER_INLINE && n->layout == EROFS_FLAT_PLAIN) {
			out_write(o, n->content.data, n->attr.size);
			out_zero_to(o, ROUND_UP(o->done + o->used, LAYER_BLOCK));
		}
	}
}

static int write_image(const struct layout *l, int fd)
{
	struct out o;
	int r = out_init(&o, fd);

	if (r < 0)
		return r;
	write_super(&o, l);
	write_devices(&o, l);
	write_metadata(&o, l);
	write_plain(&o, l);
	r = out_flush(&o);
	out_done(&o);
	return r;
}

/* Tells the merge by the root whether it has links to lower files to resolve first. */
static int mark_links(struct layer_tree *t)
{
	node_remove_xattr(t->root, XATTR_LINKS);
	return t->lower ? node_set_xattr(t->root, XATTR_LINKS, "", 0) : 0;
}

int layer_tree_write(struct layer_tree *t, const struct layer_device *devices, size_t ndevices,
		     int fd)
{
	struct layout l;
	int r;

	if (ndevices > LAYER_DEVICES_MAX)
		return err(-E2BIG, "%zu packs under one index: at most %u", ndevices,
			   LAYER_DEVICES_MAX);
	r = mark_links(t);
	if (r < 0)
		return r;
	r = layout_init(&l, t, devices, ndevices);
	if (r == 0)
		r = write_image(&l, fd);
	layout_done(&l);
	return r;
}
