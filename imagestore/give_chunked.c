/* SPDX-License-Identifier: Apache-2.0 */
/* An image that is given away with zstd:chunked layers: the same config, another manifest. */
#include "imagestore/chunked.h"
#include "imagestore/arrival/toc.h"
#include "imagestore/frame.h"

static int chunk_layer(struct txn *t, struct image_layer *l, json_t **ret_notes)
{
	struct chunked *c;
	int r = txn_pin_layer(t, &l->diff_id);

	if (r == -ENOENT)
		return err(r, "layer sha256:%s is not in the store: `strata fsck` says more",
			   digest_hex(&l->diff_id).s);
	if (r >= 0)
		r = chunked_new(t, &c);
	if (r < 0)
		return r;
	r = frame_play(t->s, &l->diff_id, chunked_write, c);
	if (r >= 0)
		r = chunked_finish(c, l, ret_notes);
	chunked_free(c);
	return r;
}

static json_t *descriptor(const struct image_layer *l, json_t *notes)
{
	return json_pack("{s:s, s:o, s:I, s:O*}", "mediaType", l->media_type, "digest",
			 json_sprintf("sha256:%s", digest_hex(&l->blob).s), "size",
			 (json_int_t)l->blob_size, "annotations", notes);
}

static int give_layer(struct txn *t, json_t *layers, size_t at, struct image_layer *l)
{
	_json_ json_t *notes = NULL;
	struct toc_place known;
	json_t *d;
	int r;

	if (toc_place_of(json_array_get(layers, at), l->blob_size, &known))
		return 0;
	r = chunk_layer(t, l, &notes);
	if (r < 0)
		return r;
	d = descriptor(l, notes);
	return d && json_array_set_new(layers, at, d) == 0 ? 0 : -ENOMEM;
}

/* docker's manifests have no word for zstd. */
static int make_oci(json_t *manifest)
{
	json_t *config = json_get_object(manifest, "config");

	if (json_object_set_new(manifest, "mediaType", json_string(MEDIA_MANIFEST)) < 0 ||
	    json_object_set_new(config, "mediaType", json_string(MEDIA_CONFIG)) < 0)
		return -ENOMEM;
	return 0;
}

int txn_give_chunked(struct txn *t, struct image *i)
{
	_json_ json_t *manifest = NULL;
	_free_ char *text = NULL;
	json_t *layers;
	size_t len;
	int r = json_parse_file(t->dirfd, txn_blob(&i->manifest).s, "manifest", &manifest);

	if (r < 0)
		return r;
	layers = json_get_array(manifest, "layers");
	for (size_t l = 0; r >= 0 && l < i->nlayers; l++)
		r = give_layer(t, layers, l, &i->layers[l]);
	if (r >= 0)
		r = make_oci(manifest);
	if (r < 0)
		return r;
	text = json_text(manifest, &len);
	return text ? txn_put_blob(t, text, len, &i->manifest) : -ENOMEM;
}
