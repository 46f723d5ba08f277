/* SPDX-License-Identifier: Apache-2.0 */
/* From the first byte of a tar to the layer's folder in the transaction. */
#include "imagestore/unpack.h"

#include <sys/stat.h>

int unpack_raw(void *unpack, const void *data, size_t len)
{
	struct unpack *u = unpack;

	sha256_update(&u->tar_hash, data, len);
	return frame_raw(u->frame, data, len);
}

/* Its window is not zeroed: most of it is never touched. */
static struct unpack *new_unpack(void)
{
	struct unpack *u = malloc(sizeof(*u));

	if (!u)
		return NULL;
	memset(u, 0, offsetof(struct unpack, window));
	u->pack = PACK_NONE;
	u->object = OUT_FILE_NONE;
	return u;
}

int unpack_new(struct txn *t, const struct store_bounds *b, struct unpack **ret)
{
	static const struct tar_ops ops = {
		.raw = unpack_raw,
		.entry = unpack_entry,
		.data = unpack_data,
		.entry_end = unpack_entry_end,
	};
	struct unpack *u = new_unpack();
	int r;

	if (!u)
		return -ENOMEM;
	u->t = t;
	u->bounds = store_bounds_of(t->s, b);
	sha256_init(&u->tar_hash);
	r = tar_reader_new(&ops, u, &u->tar);
	if (r >= 0)
		r = layer_tree_new(&u->tree);
	if (r >= 0)
		r = frame_writer_new(t, &u->frame);
	if (r < 0) {
		unpack_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

int unpack_outline_new(const struct store_bounds *b,
		       int (*outline)(struct unpack *, struct layer_node *,
				      const struct tar_entry *),
		       void *ctx, struct unpack **ret)
{
	struct unpack *u = new_unpack();
	int r;

	if (!u)
		return -ENOMEM;
	u->bounds = *b;
	u->outline = outline;
	u->outline_ctx = ctx;
	r = layer_tree_new(&u->tree);
	if (r < 0)
		unpack_free(u);
	else
		*ret = u;
	return r;
}

void unpack_free(struct unpack *u)
{
	if (!u)
		return;
	tar_reader_free(u->tar);
	layer_tree_free(u->tree);
	frame_writer_free(u->frame);
	pack_drop(&u->pack);
	out_file_drop(&u->object);
	free(u->segments);
	free(u->sparse);
	digest_set_done(&u->objects);
	free(u);
}

int unpack_feed(void *unpack, const void *data, size_t len)
{
	struct unpack *u = unpack;

	u->bytes += len;
	if (u->bytes > u->bounds.max_layer_bytes)
		return err(-EFBIG, "a layer of over %llu bytes",
			   (unsigned long long)u->bounds.max_layer_bytes);
	return tar_reader_feed(u->tar, data, len);
}

/* ---- the layer's files ---- */

/* The digests of the layer's files, for its record. */
struct sums {
	struct digest index, packsum, objects, frame;
	bool has_pack, has_objects;
};

static int write_bytes(struct unpack *u, const char *path, const void *data, size_t len,
		       struct digest *ret)
{
	_cleanup_(out_file_drop) struct out_file o = OUT_FILE_NONE;
	int r = out_file_open(u->t, true, &o);

	if (r >= 0)
		r = out_file_write(&o, data, len);
	if (r >= 0)
		r = out_file_close(&o, ret);
	return r < 0 ? r : out_file_name(&o, path);
}

static int write_objects(struct unpack *u, const char *path, struct sums *sums)
{
	struct digest *list;
	int r;

	sums->has_objects = u->objects.count > 0;
	if (!sums->has_objects)
		return 0;
	r = digest_set_sorted(&u->objects, &list);
	if (r < 0)
		return r;
	r = write_bytes(u, path, list, u->objects.count * sizeof(*list), &sums->objects);
	free(list);
	return r;
}

static int write_index(struct unpack *u, const struct digest *diff_id, const char *path,
		       struct sums *sums)
{
	struct layer_device device = { .diff_id = *diff_id, .blocks = u->pack.blocks };
	struct txn_file name = { 0 };
	_close_ int fd = txn_create(u->t, &name);
	int r;

	if (fd < 0)
		return fd;
	r = layer_tree_write(u->tree, &device, device.blocks ? 1 : 0, fd);
	if (r < 0)
		return r == -EBADMSG || r == -EINVAL || r == -ENOMEM ? r : txn_write_err(u->t, r);
	r = sha256_of_fd(fd, 0, &sums->index, NULL);
	if (r < 0 || renameat(u->t->dirfd, name.s, u->t->dirfd, path) < 0)
		return txn_write_err(u->t, r < 0 ? r : -errno);
	return 0;
}

static json_t *digest_json(const struct digest *d)
{
	return json_sprintf("sha256:%s", digest_hex(d).s);
}

static json_t *record_json(const struct sums *s, const struct image_layer *layer)
{
	json_t *files = json_object();

	json_object_set_new(files, "index", digest_json(&s->index));
	json_object_set_new(files, "frame", digest_json(&s->frame));
	if (s->has_pack)
		json_object_set_new(files, "packsum", digest_json(&s->packsum));
	if (s->has_objects)
		json_object_set_new(files, "objects", digest_json(&s->objects));
	return json_pack("{s:o, s:o, s:I, s:s}", "files", files, "blob", digest_json(&layer->blob),
			 "size", (json_int_t)layer->blob_size, "mediaType", layer->media_type);
}

static int write_record(struct unpack *u, const struct image_layer *layer, const struct sums *sums)
{
	_json_ json_t *record = record_json(sums, layer);
	size_t len = 0;
	_free_ char *text = record ? json_text(record, &len) : NULL;
	struct digest own;

	if (!text)
		return -ENOMEM;
	return write_bytes(u, layer_file(&layer->diff_id, "record").s, text, len, &own);
}

static int write_pack(struct unpack *u, const struct digest *diff_id, struct sums *sums)
{
	int r;

	sums->has_pack = u->pack.blocks > 0;
	if (!sums->has_pack)
		return 0;
	sums->packsum = u->pack.sums_digest;
	r = out_file_name(&u->pack.data, layer_file(diff_id, "pack").s);
	return r < 0 ? r : out_file_name(&u->pack.sums, layer_file(diff_id, "packsum").s);
}

static int write_folder(struct unpack *u, const struct image_layer *layer,
			const struct digest *frame)
{
	const struct digest *diff_id = &layer->diff_id;
	struct sums sums = { .frame = *frame };
	int r;

	if (mkdirat(u->t->dirfd, layer_file(diff_id, NULL).s, 0755) < 0)
		return txn_write_err(u->t, -errno);
	r = write_index(u, diff_id, layer_file(diff_id, "index").s, &sums);
	if (r >= 0)
		r = write_pack(u, diff_id, &sums);
	if (r >= 0)
		r = write_objects(u, layer_file(diff_id, "objects").s, &sums);
	if (r >= 0)
		r = frame_name(u->frame, layer_file(diff_id, "frame").s);
	return r < 0 ? r : write_record(u, layer, &sums);
}

int unpack_finish(struct unpack *u, const struct digest *expect, struct image_layer *layer)
{
	struct digest diff_id, frame;
	int r = tar_reader_finish(u->tar);

	if (r < 0)
		return r;
	diff_id = sha256_final(&u->tar_hash);
	if (expect && !digest_eq(expect, &diff_id))
		return err(
			-EBADMSG,
			"digest mismatch: the layer unpacks to sha256:%s, its image says sha256:%s",
			digest_hex(&diff_id).s, digest_hex(expect).s);
	layer->diff_id = diff_id;
	r = frame_end(u->frame, u->bytes, &diff_id, &frame);
	if (r >= 0)
		r = pack_close(&u->pack);
	if (r >= 0)
		r = txn_pin_layer(u->t, &diff_id);
	return r == -ENOENT ? write_folder(u, layer, &frame) : r;
}
