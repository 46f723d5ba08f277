/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a content goes: the smallest into the index, small ones into the pack, large ones become
 * objects.
 */
#include "imagestore/unpack.h"

#include <assert.h>

#define EXPANDED_FREE \
	(64ull << 20) /* zeros that any layer may claim: as the ratio's bound has it */

/* Zeros are claimed by a few bytes: against the bytes that the archive had so far. */
static int check_claim(struct unpack *u, const struct tar_entry *e)
{
	u->expanded += e->size - e->stored;
	if (u->expanded > u->bounds.max_layer_bytes ||
	    (u->expanded > EXPANDED_FREE && u->expanded / u->bounds.max_ratio > u->bytes))
		return err(-EFBIG, "sparse files that claim %llu bytes of zeros",
			   (unsigned long long)u->expanded);
	return 0;
}

static int begin_sparse(struct unpack *u, const struct tar_entry *e)
{
	int r = check_claim(u, e);

	if (r < 0)
		return r;
	/* The node of a file that is all hole has no content. */
	if (!e->nsegments)
		return 0;
	u->segments = mem_dup(e->segments, e->nsegments * sizeof(*e->segments));
	u->nsegments = e->nsegments;
	if (!u->sparse)
		u->sparse = malloc(LAYER_PACK_MAX);
	if (!u->segments || !u->sparse)
		return -ENOMEM;
	memset(u->sparse, 0, LAYER_PACK_MAX);
	return 0;
}

int unpack_content(struct unpack *u, struct layer_node *node, const struct tar_entry *e)
{
	int r = 0;

	if (u->outline)
		return node && e->size ? u->outline(u, node, e) : 0;
	if (node && e->segments)
		r = begin_sparse(u, e);
	if (r < 0)
		return r;
	u->node = node;
	u->size = e->size;
	u->have = 0;
	u->at = u->segment = 0;
	if (!node || e->stored == 0) {
		u->place = PLACE_RAW;
		return 0;
	}
	if (e->size <= LAYER_PACK_MAX) {
		u->place = PLACE_SMALL;
		return 0;
	}
	if (!u->segments && e->size <= UNPACK_WHOLE_MAX) {
		u->place = PLACE_WHOLE;
		sha256_init(&u->hash);
		return 0;
	}
	u->place = PLACE_OBJECT;
	sha256_init(&u->hash);
	return out_file_open(u->t, u->segments != NULL, &u->object);
}

/* At most the rest of a segment, at its place. */
static int put_piece(struct unpack *u, const void *data, size_t len)
{
	const struct tar_segment *g = &u->segments[u->segment];
	int r = 0;

	if (u->place == PLACE_SMALL) {
		memcpy(u->sparse + MAX(u->at, g->off), data, len);
		r = frame_raw(u->frame, data, len);
	} else {
		if (u->at < g->off)
			r = out_file_hole(&u->object, g->off - u->at);
		if (r >= 0)
			r = out_file_write(&u->object, data, len);
	}
	u->at = MAX(u->at, g->off) + len;
	u->segment += u->at == g->off + g->len;
	return r;
}

/* The reader has checked the map: segments follow each other, inside of the size. */
static int put_sparse(struct unpack *u, const void *data, size_t len)
{
	const char *p = data;

	while (len && u->segment < u->nsegments) {
		const struct tar_segment *g = &u->segments[u->segment];
		uint64_t from = MAX(u->at, g->off), left = g->off + g->len - from;
		size_t n = (size_t)MIN((uint64_t)len, left);
		int r = put_piece(u, p, n);

		if (r < 0)
			return r;
		p += n;
		len -= n;
	}
	return 0;
}

/* ---- contents that are whole in memory before they go anywhere ---- */

/* To the front of the window, where there is room for the rest of it. */
static void to_front(struct unpack *u)
{
	if (u->content != u->window)
		memmove(u->window, u->content, u->have);
	u->content = u->window;
}

/*
 * Behind what there is of a content. Little of one is moved to the front: what is written over and
 * over stays in a cache.
 */
void *unpack_room(struct unpack *u, size_t *ret_len)
{
	bool under_way = (u->place == PLACE_SMALL || u->place == PLACE_WHOLE) && !u->segments;
	size_t have = under_way ? u->have : 0;

	*ret_len = UNPACK_PIECE;
	if (!have)
		return u->window;
	if (have <= UNPACK_PIECE / 4 ||
	    (size_t)(u->content - u->window) + have + UNPACK_PIECE > UNPACK_WINDOW)
		to_front(u);
	return u->content + have;
}

/* What was put where unpack_room() said is there already. */
static void gather(struct unpack *u, const void *data, size_t len)
{
	size_t at = (size_t)((uintptr_t)data - (uintptr_t)u->window);

	if (at < UNPACK_WINDOW) {
		if (!u->have)
			u->content = u->window + at;
		assert(u->content + u->have == u->window + at);
	} else {
		if (u->have)
			to_front(u);
		u->content = u->window;
		memcpy(u->content + u->have, data, len);
	}
	u->have += len;
}

int unpack_data(void *unpack, const void *data, size_t len)
{
	struct unpack *u = unpack;

	if (u->segments) {
		sha256_update(&u->tar_hash, data, len);
		return put_sparse(u, data, len);
	}
	/* The reader gives no more than the size it announced. */
	switch (u->place) {
	case PLACE_SMALL:
		gather(u, data, len);
		return 0;
	case PLACE_WHOLE:
		sha256_update_both(&u->tar_hash, &u->hash, data, len);
		gather(u, data, len);
		return 0;
	case PLACE_OBJECT:
		sha256_update_both(&u->tar_hash, &u->hash, data, len);
		return out_file_write(&u->object, data, len);
	default:
		return unpack_raw(u, data, len);
	}
}

bool unpack_inlines(struct unpack *u, uint64_t size)
{
	if (size > LAYER_INLINE_MAX || u->inlined + size > INLINE_BUDGET)
		return false;
	u->inlined += size;
	return true;
}

static int end_small(struct unpack *u)
{
	struct sha256 *tar = u->segments ? NULL : &u->tar_hash;
	struct layer_content c = { .kind = LAYER_PACK, .device = 1 };
	const uint8_t *data = u->segments ? u->sparse : u->content;
	int r;

	if (unpack_inlines(u, u->size)) {
		c = (struct layer_content){ .kind = LAYER_INLINE, .data = data };
		r = u->segments ? 0 : unpack_raw(u, data, u->have);
	} else {
		r = pack_add(u->t, &u->pack, data, (size_t)u->size, tar, &c.block);
		if (r >= 0 && !u->segments)
			r = frame_packed(u->frame, c.block, u->size);
	}
	return r < 0 ? r : layer_node_set_content(u->node, &c);
}

/* An object that stands in the transaction: as the node's content, and in the frame. */
static int take_object(struct unpack *u, const struct layer_content *c)
{
	int r = digest_set_add(&u->objects, &c->digest) < 0 ? -ENOMEM : 0;

	if (r >= 0 && !u->segments)
		r = frame_object(u->frame, u->size, &c->digest);
	for (size_t i = 0; r >= 0 && u->segments && i < u->nsegments; i++)
		r = frame_segment(u->frame, u->segments[i].off, u->segments[i].len, &c->digest);
	return r < 0 ? r : layer_node_set_content(u->node, c);
}

static int write_whole(struct unpack *u, const struct digest *d)
{
	int r = out_file_open(u->t, false, &u->object);

	if (r >= 0)
		r = out_file_write(&u->object, u->content, (size_t)u->size);
	if (r >= 0)
		r = out_file_close(&u->object, NULL);
	if (r >= 0)
		r = txn_seal_object(u->t, &u->object.name, d);
	if (r >= 0)
		u->object = OUT_FILE_NONE;
	return r;
}

static int end_whole(struct unpack *u)
{
	struct layer_content c = { .kind = LAYER_OBJECT, .digest = sha256_final(&u->hash) };
	int r = txn_pin_object(u->t, &c.digest);

	if (r == -ENOENT)
		r = write_whole(u, &c.digest);
	return r < 0 ? r : take_object(u, &c);
}

static int end_object(struct unpack *u)
{
	struct layer_content c = { .kind = LAYER_OBJECT };
	int r = u->segments && u->at < u->size ? out_file_hole(&u->object, u->size - u->at) : 0;

	if (r >= 0)
		r = out_file_close(&u->object, u->segments ? &c.digest : NULL);
	if (!u->segments)
		c.digest = sha256_final(&u->hash);
	if (r >= 0)
		r = txn_seal_object(u->t, &u->object.name, &c.digest);
	if (r < 0)
		return r;
	u->object = OUT_FILE_NONE;
	return take_object(u, &c);
}

int unpack_entry_end(void *unpack)
{
	struct unpack *u = unpack;
	enum unpack_place place = u->place;
	int r = 0;

	u->place = PLACE_NONE;
	if (place == PLACE_SMALL)
		r = end_small(u);
	else if (place == PLACE_WHOLE)
		r = end_whole(u);
	else if (place == PLACE_OBJECT)
		r = end_object(u);
	free(take_ptr(u->segments));
	return r;
}
