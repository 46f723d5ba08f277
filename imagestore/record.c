/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's record, and finding a layer by its diffID. */
#include "imagestore/store.h"

int record_read(int dirfd, const char *path, json_t **ret)
{
	_free_ char *data = NULL;
	size_t len;
	int r = file_read_all(dirfd, path, JSON_MAX, &data, &len);

	if (r == -ENOENT)
		return r;
	if (r < 0)
		return err(r, "%s: %s", path, strerror(-r));
	return json_parse(data, len, path, ret);
}

int record_blob(const json_t *record, struct image_layer *ret)
{
	const char *type = json_get_str(record, "mediaType"), *blob = json_get_str(record, "blob");
	int64_t size = json_get_int(record, "size", -1);

	if (!type || !blob || size < 0 || digest_parse(blob, &ret->blob) < 0 ||
	    str_copy(ret->media_type, sizeof(ret->media_type), type) < 0)
		return err(-EBADMSG,
			   "a layer's record: no blob, size and media type: the file is damaged");
	ret->blob_size = (uint64_t)size;
	return 0;
}

/* ---- finding ---- */

struct finding {
	struct store *s;
	const struct digest *diff_id;
	struct image_layer *ret;
};

static int find_in_image(void *ctx, struct image *i)
{
	struct finding *f = ctx;

	for (size_t l = 0; l < i->nlayers; l++) {
		if (digest_eq(&i->layers[l].diff_id, f->diff_id) &&
		    store_has(f->s, blob_file(&i->layers[l].blob).s)) {
			*f->ret = i->layers[l];
			return 1;
		}
	}
	return 0;
}

int layer_find(struct store *s, const struct digest *diff_id, struct image_layer *ret)
{
	struct image_layer own = { .diff_id = *diff_id };
	struct finding f = { .s = s, .diff_id = diff_id, .ret = ret };
	_json_ json_t *record = NULL;
	int r = record_read(s->dirfd, layer_file(diff_id, "record").s, &record);

	if (r >= 0)
		r = record_blob(record, &own);
	if (r == -ENOENT)
		return err(r, "layer sha256:%s is not in the store", digest_hex(diff_id).s);
	if (r < 0)
		return r;
	/* An image may name another blob of the same layer, and the record's may be gone. */
	if (!store_has(s, blob_file(&own.blob).s)) {
		r = image_each(s, find_in_image, &f);
		err_clear();
		if (r == 1)
			return 0;
	}
	*ret = own;
	return 0;
}
