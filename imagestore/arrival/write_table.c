/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack merged, and the table by a walk over two merges of the same trees: the first has the
 * numbers that count, the second says where each content lies.
 */
#include "base/str.h"
#include "imagestore/arrival/prepare.h"
#include "imagestore/arrival/table.h"

#include <dirent.h>
#include <sys/stat.h>

struct writing {
	const struct arrival_plan *plan;
	struct layer_index *index, *places;
	struct table_content *contents;
	struct table_chunk *chunks;
	size_t ncontents, nchunks, contents_cap, chunks_cap;
};

static int merge(const struct arrival_plan *plan, bool places, int fd, struct layer_index **ret)
{
	size_t n = plan->image->nlayers;
	_free_ struct layer_index **stack = mem_new(n, sizeof(*stack));
	int r;

	if (!stack)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		stack[i] = places && plan->arrives[i] ? plan->outlines[i].places :
							plan->outlines[i].index;
	r = layer_merge(stack, n, fd);
	return r < 0 ? r : layer_index_open(fd, ret);
}

/* ---- contents ---- */

static int add_chunk(struct writing *w, uint64_t *at, uint32_t blob, const struct toc_chunk *c)
{
	if (mem_grow(&w->chunks, &w->chunks_cap, w->nchunks + 1, sizeof(*w->chunks)) < 0)
		return -ENOMEM;
	w->chunks[w->nchunks++] = (struct table_chunk){
		.at = *at,
		.len = c->len,
		.offset = c->offset,
		.packed = c->packed,
		.blob = blob,
		.zero = c->zeros,
		.digest = c->digest,
	};
	*at += c->len;
	return 0;
}

/* The layer whose device that is, when it arrives; -1. */
static ssize_t layer_of(const struct writing *w, uint16_t device)
{
	const struct digest *d = &layer_index_device(w->places, device - 1u)->diff_id;

	for (size_t i = 0; i < w->plan->image->nlayers; i++) {
		if (w->plan->arrives[i] && digest_eq(d, &w->plan->image->layers[i].diff_id))
			return (ssize_t)i;
	}
	return -1;
}

static int add_content(struct writing *w, uint64_t nid, size_t layer, uint64_t at)
{
	const struct outline *o = &w->plan->outlines[layer];
	const struct outline_content *c = outline_find(o, at);
	const struct toc_entry *e = c ? &o->toc.entries[c->entry] : NULL;
	int r = 0;

	if (!e)
		return err(-EBADMSG, "table of contents: a content that it has not");
	if (w->ncontents >= UINT32_MAX || w->nchunks > UINT32_MAX - e->nchunks)
		return err(-EFBIG, "over 4 G chunks");
	if (mem_grow(&w->contents, &w->contents_cap, w->ncontents + 1, sizeof(*w->contents)) < 0)
		return -ENOMEM;
	w->contents[w->ncontents++] = (struct table_content){
		.nid = nid,
		.at = at,
		.size = e->e.size,
		.first = (uint32_t)w->nchunks,
		.n = (uint32_t)e->nchunks,
	};
	for (size_t i = 0; r >= 0 && i < e->nchunks; i++)
		r = add_chunk(w, &at, (uint32_t)layer, &o->toc.chunks[e->chunk + i]);
	return r;
}

/* ---- the walk ---- */

/* Inodes stand in the order of the walk: the further names of a file come behind its first. */
static bool is_new(const struct writing *w, uint64_t nid)
{
	return !w->ncontents || nid > w->contents[w->ncontents - 1].nid;
}

static int visit_file(struct writing *w, uint64_t nid, uint64_t place)
{
	struct layer_content c;
	int r = layer_content(w->places, place, &c);
	ssize_t layer;

	if (r < 0 || c.kind != LAYER_PACK)
		return r;
	layer = layer_of(w, c.device);
	if (layer < 0 || !is_new(w, nid))
		return 0;
	return add_content(w, nid, (size_t)layer, (uint64_t)c.block * LAYER_BLOCK);
}

static int walk(struct writing *w, uint64_t dir, uint64_t place)
{
	struct layer_dirent a, b = { 0 };
	uint64_t cookie = 0, other = 0;
	int r;

	while ((r = layer_readdir(w->index, dir, cookie, &a)) > 0) {
		r = layer_readdir(w->places, place, other, &b);
		if (r <= 0 || a.namelen != b.namelen || memcmp(a.name, b.name, a.namelen) != 0 ||
		    a.type != b.type)
			return r < 0 ? r : err(-EBADMSG, "two merges of one stack differ");
		cookie = a.next;
		other = b.next;
		if (str_is_dots(a.name, a.namelen))
			continue;
		r = a.type == DT_DIR ? walk(w, a.nid, b.nid) :
		    a.type == DT_REG ? visit_file(w, a.nid, b.nid) :
				       0;
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- the file ---- */

static int by_nid(const void *a, const void *b)
{
	const struct table_content *x = a, *y = b;

	return (x->nid > y->nid) - (x->nid < y->nid);
}

static int write_all(const struct writing *w, int fd)
{
	size_t nblobs = w->plan->image->nlayers;
	struct table_head head = { .ncontents = (uint32_t)w->ncontents,
				   .nchunks = (uint32_t)w->nchunks,
				   .nblobs = (uint32_t)nblobs };
	int r;

	memcpy(head.magic, TABLE_MAGIC, sizeof(head.magic));
	r = fd_write_full(fd, &head, sizeof(head));
	if (r >= 0)
		r = fd_write_full(fd, w->contents, w->ncontents * sizeof(*w->contents));
	if (r >= 0)
		r = fd_write_full(fd, w->chunks, w->nchunks * sizeof(*w->chunks));
	for (size_t i = 0; r >= 0 && i < nblobs; i++) {
		const struct image_layer *l = &w->plan->image->layers[i];
		struct table_blob b = { .digest = l->blob, .size = l->blob_size };

		r = fd_write_full(fd, &b, sizeof(b));
	}
	return r;
}

static int write_table(struct writing *w, int fd)
{
	int r = walk(w, LAYER_ROOT_NID, LAYER_ROOT_NID);

	if (r < 0)
		return r;
	if (w->ncontents)
		qsort(w->contents, w->ncontents, sizeof(*w->contents), by_nid);
	return write_all(w, fd);
}

int arrival_write(const struct arrival_plan *plan, int index_fd, int table_fd)
{
	struct writing w = { .plan = plan };
	_close_ int places_fd = fd_memfd("places", NULL, 0);
	int r = places_fd < 0 ? places_fd : merge(plan, false, index_fd, &w.index);

	if (r >= 0)
		r = merge(plan, true, places_fd, &w.places);
	if (r >= 0)
		r = write_table(&w, table_fd);
	layer_index_close(w.index);
	layer_index_close(w.places);
	free(w.contents);
	free(w.chunks);
	return r;
}
