/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a content goes: the smallest into the index, small ones into the pack, large ones become
 * objects.
 */
#include "imagestore/unpack.h"

int unpack_content(struct unpack *u, struct layer_node *node, uint64_t size)
{
	u->node = node;
	u->size = size;
	u->have = 0;
	if (!node || size == 0) {
		u->place = PLACE_RAW;
		return 0;
	}
	if (size <= LAYER_PACK_MAX) {
		u->place = PLACE_SMALL;
		return 0;
	}
	u->place = PLACE_OBJECT;
	return out_file_open(u->t, true, &u->object);
}

int unpack_data(void *unpack, const void *data, size_t len)
{
	struct unpack *u = unpack;

	switch (u->place) {
	case PLACE_SMALL:
		memcpy(u->small + u->have, data,
		       len); /* the reader gives no more than the size it announced */
		u->have += len;
		return 0;
	case PLACE_OBJECT:
		return out_file_write(&u->object, data, len);
	default:
		return frame_raw(u->frame, data, len);
	}
}

static int end_small(struct unpack *u)
{
	struct layer_content c = { .kind = LAYER_PACK, .device = 1 };
	int r;

	if (u->size <= LAYER_INLINE_MAX && u->inlined + u->size <= INLINE_BUDGET) {
		u->inlined += u->size;
		c = (struct layer_content){ .kind = LAYER_INLINE, .data = u->small };
		r = frame_raw(u->frame, u->small, u->have);
	} else {
		r = pack_add(u->t, &u->pack, u->small, u->have, &c.block);
		if (r >= 0)
			r = frame_packed(u->frame, c.block, u->size);
	}
	return r < 0 ? r : layer_node_set_content(u->node, &c);
}

static int end_object(struct unpack *u)
{
	struct layer_content c = { .kind = LAYER_OBJECT };
	int r = out_file_close(&u->object, &c.digest);

	if (r >= 0)
		r = txn_seal_object(u->t, &u->object.name, &c.digest);
	if (r < 0)
		return r;
	u->object = OUT_FILE_NONE;
	if (digest_set_add(&u->objects, &c.digest) < 0)
		return -ENOMEM;
	r = frame_object(u->frame, u->size, &c.digest);
	return r < 0 ? r : layer_node_set_content(u->node, &c);
}

int unpack_entry_end(void *unpack)
{
	struct unpack *u = unpack;
	enum unpack_place place = u->place;

	u->place = PLACE_NONE;
	if (place == PLACE_SMALL)
		return end_small(u);
	return place == PLACE_OBJECT ? end_object(u) : 0;
}
