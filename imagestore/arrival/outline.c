/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/arrival/outline.h"

#include "imagestore/unpack.h"

#define DATA_MAX (1ull << 43) /* bytes: 2^31 blocks */

struct outlining {
	struct outline *o;
	uint64_t *at;
	uint64_t bytes; /* of all contents */
};

static const struct toc_entry *entry_of(const struct tar_entry *e)
{
	return container_of(e, struct toc_entry, e);
}

/* ---- as the tar makes it ---- */

static int as_unpacked(struct unpack *u, struct layer_node *node, const struct tar_entry *e)
{
	static const uint8_t zeros[LAYER_INLINE_MAX];
	struct outlining *x = u->outline_ctx;
	struct layer_content c = { .kind = LAYER_OBJECT, .digest = entry_of(e)->digest };

	x->bytes += e->size;
	if (x->bytes > u->bounds.max_layer_bytes)
		return err(-EFBIG, "a layer of over %llu bytes",
			   (unsigned long long)u->bounds.max_layer_bytes);
	if (e->size > LAYER_PACK_MAX)
		return layer_node_set_content(node, &c);
	if (unpack_inlines(u, e->size)) {
		c = (struct layer_content){ .kind = LAYER_INLINE, .data = zeros };
	} else {
		c = (struct layer_content){ .kind = LAYER_PACK,
					    .device = 1,
					    .block = u->pack.blocks };
		u->pack.blocks += (uint32_t)((e->size + LAYER_BLOCK - 1) / LAYER_BLOCK);
	}
	return layer_node_set_content(node, &c);
}

/* ---- as it arrives ---- */

static int at_its_place(struct unpack *u, struct layer_node *node, const struct tar_entry *e)
{
	struct outlining *x = u->outline_ctx;
	struct outline *o = x->o;
	struct layer_content c = { .kind = LAYER_PACK,
				   .device = 1,
				   .block = (uint32_t)(*x->at / LAYER_BLOCK) };

	if (e->size > DATA_MAX - *x->at)
		return err(-EFBIG, "over 8 TiB of contents");
	if (mem_grow(&o->contents, &o->cap, o->n + 1, sizeof(*o->contents)) < 0)
		return -ENOMEM;
	o->contents[o->n++] = (struct outline_content){
		.at = *x->at,
		.entry = (size_t)(entry_of(e) - o->toc.entries),
	};
	*x->at += ROUND_UP(e->size, (uint64_t)LAYER_BLOCK);
	u->pack.blocks = (uint32_t)(*x->at / LAYER_BLOCK);
	return layer_node_set_content(node, &c);
}

/* ---- both ---- */

static int write_index(struct unpack *u, const struct digest *diff_id, struct layer_index **ret)
{
	struct layer_device device = { .diff_id = *diff_id, .blocks = u->pack.blocks };
	_close_ int fd = fd_memfd("outline", NULL, 0);
	int r = fd < 0 ? fd : layer_tree_write(u->tree, &device, device.blocks ? 1 : 0, fd);

	return r < 0 ? r : layer_index_open(fd, ret);
}

static int make(struct outlining *x, const struct digest *diff_id, const struct store_bounds *b,
		int (*content)(struct unpack *, struct layer_node *, const struct tar_entry *),
		struct layer_index **ret)
{
	struct unpack *u;
	int r = unpack_outline_new(b, content, x, &u);

	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < x->o->toc.n; i++)
		r = toc_refuse(i, unpack_entry(u, &x->o->toc.entries[i].e));
	if (r >= 0)
		r = write_index(u, diff_id, ret);
	unpack_free(u);
	return r < 0 ? r : 0;
}

int outline_make(struct toc *toc, const struct digest *diff_id, const struct store_bounds *b,
		 uint64_t *at, struct outline *ret)
{
	struct outline o = { .toc = *toc };
	struct outlining x = { .o = &o, .at = at };
	int r;

	*toc = (struct toc){ 0 };
	r = make(&x, diff_id, b, as_unpacked, &o.index);
	if (r >= 0)
		r = make(&x, diff_id, b, at_its_place, &o.places);
	if (r < 0) {
		outline_done(&o);
		return r;
	}
	*ret = o;
	return 0;
}

void outline_done(struct outline *o)
{
	if (o->index)
		layer_index_close(o->index);
	if (o->places)
		layer_index_close(o->places);
	free(o->contents);
	toc_done(&o->toc);
	*o = (struct outline){ 0 };
}

static int by_place(const void *key, const void *element)
{
	const uint64_t *at = key;
	const struct outline_content *c = element;

	return (*at > c->at) - (*at < c->at);
}

const struct outline_content *outline_find(const struct outline *o, uint64_t at)
{
	return o->n ? bsearch(&at, o->contents, o->n, sizeof(*o->contents), by_place) : NULL;
}
