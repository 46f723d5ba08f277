/* SPDX-License-Identifier: Apache-2.0 */
/* An image of layers: its config and manifest. */
#include "imagestore/import.h"

/* Docker's media types in an OCI manifest would be a mixture that half of the field refuses. */
static const char *oci_media_type(const char *type)
{
	static const struct {
		const char *docker, *oci;
	} types[] = {
		{ "application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER_GZIP },
		{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER_GZIP },
		{ "application/vnd.docker.image.rootfs.diff.tar.zstd", MEDIA_LAYER_ZSTD },
		{ "application/vnd.docker.image.rootfs.diff.tar", MEDIA_LAYER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (streq(type, types[i].docker))
			return types[i].oci;
	}
	return type;
}

/* The layer and its blob in the transaction, the blob made again when it is gone. */
static int pin_layer(struct txn *t, struct image_layer *layer)
{
	int r = txn_pin_layer(t, &layer->diff_id);

	if (r == -ENOENT)
		return err(r, "layer sha256:%s is not in the store", digest_hex(&layer->diff_id).s);
	if (r < 0)
		return r;
	r = txn_pin_blob(t, &layer->blob);
	return r == -ENOENT ? import_rebuild_blob(t, layer) : r;
}

static json_t *digest_text(const struct digest *d)
{
	return json_sprintf("sha256:%s", digest_hex(d).s);
}

static int put_json(struct txn *t, const json_t *doc, struct digest *ret, uint64_t *ret_size)
{
	size_t len;
	_free_ char *text = doc ? json_text(doc, &len) : NULL;

	if (!text)
		return -ENOMEM;
	*ret_size = len;
	return txn_put_blob(t, text, len, ret);
}

/* The config with the diff_ids of @layers, whatever it said of them. */
static int put_config(struct txn *t, const json_t *config, const struct image_layer *layers,
		      size_t n, struct digest *ret, uint64_t *ret_size)
{
	_json_ json_t *copy = json_copy((json_t *)(uintptr_t)config);
	_json_ json_t *ids = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(ids, digest_text(&layers[i].diff_id));
	if (!copy || json_array_size(ids) != n ||
	    json_object_set_new(copy, "rootfs",
				json_pack("{s:s, s:O}", "type", "layers", "diff_ids", ids)) < 0)
		return -ENOMEM;
	return put_json(t, copy, ret, ret_size);
}

static json_t *descriptor(const char *type, const struct digest *d, uint64_t size)
{
	return json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest", digest_text(d), "size",
			 (json_int_t)size);
}

int import_manifest(struct txn *t, const struct digest *config, uint64_t config_size,
		    const struct image_layer *layers, size_t n, struct digest *ret,
		    uint64_t *ret_size)
{
	_json_ json_t *list = json_array(), *manifest = NULL;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, descriptor(oci_media_type(layers[i].media_type),
						       &layers[i].blob, layers[i].blob_size));
	if (json_array_size(list) != n)
		return -ENOMEM;
	manifest = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType",
			     MEDIA_MANIFEST, "config",
			     descriptor(MEDIA_CONFIG, config, config_size), "layers", list);
	return put_json(t, manifest, ret, ret_size);
}

static int put_image(struct txn *t, const char *name, const json_t *config,
		     struct image_layer *layers, size_t n, struct digest *ret_manifest)
{
	_free_ struct digest *ids = mem_new(n, sizeof(*ids));
	struct digest digest;
	uint64_t size;
	int r = ids ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = pin_layer(t, &layers[i]);
		ids[i] = layers[i].diff_id;
	}
	if (r >= 0)
		r = txn_merge(t, ids, n);
	if (r >= 0)
		r = put_config(t, config, layers, n, &digest, &size);
	if (r >= 0)
		r = import_manifest(t, &digest, size, layers, n, &digest, &size);
	if (r >= 0)
		r = txn_add_name(t, name, MEDIA_MANIFEST, &digest, size);
	if (r >= 0)
		*ret_manifest = digest;
	return r;
}

int txn_image(struct txn *t, const char *name, const json_t *config,
	      const struct image_layer *layers, size_t n, struct digest *ret_manifest)
{
	_free_ struct image_layer *own = mem_dup(layers, n * sizeof(*layers));
	_free_ char *full = NULL;
	int r = name ? image_name_canonical(name, &full) : 0;

	if (r < 0)
		return r;
	if (n > LAYERS_MAX)
		return err(-E2BIG, "%zu layers; at most %u are taken", n, LAYERS_MAX);
	return own || n == 0 ? put_image(t, full, config, own, n, ret_manifest) : -ENOMEM;
}
