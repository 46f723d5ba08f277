/* SPDX-License-Identifier: Apache-2.0 */
/* An image: its manifest and config, read and checked. */
#include "imagestore/store.h"

#define SIZE_MAX_BLOB (1ll << 50) /* a descriptor that claims more is nonsense */

int descriptor_parse(const json_t *desc, const char *what, struct digest *ret, uint64_t *ret_size)
{
	const char *text = json_get_str(desc, "digest");
	int64_t size = json_get_int(desc, "size", -1);
	char shown[96];

	if (!text || digest_parse(text, ret) < 0) {
		str_printable(shown, sizeof(shown), text ? text : "");
		return err(-EBADMSG, "%s: \"%s\" is no digest of the form sha256:<64 digits>", what,
			   shown);
	}
	if (size < 0 || size > SIZE_MAX_BLOB)
		return err(-EBADMSG, "%s %s: no size, or one that cannot be", what, text);
	*ret_size = (uint64_t)size;
	return 0;
}

static int parse_layer(const json_t *desc, struct image_layer *l)
{
	const char *type = json_get_str(desc, "mediaType");
	int r = descriptor_parse(desc, "layer", &l->blob, &l->blob_size);

	if (r < 0)
		return r;
	if (!type || str_copy(l->media_type, sizeof(l->media_type), type) < 0)
		return err(-EBADMSG, "layer sha256:%s: no media type, or one too long",
			   digest_hex(&l->blob).s);
	return 0;
}

int manifest_parse(const json_t *manifest, struct image *i)
{
	const json_t *layers = json_get_array(manifest, "layers");
	const char *type = json_get_str(manifest, "mediaType");
	size_t n = json_array_size(layers);
	uint64_t size = 0;
	int r;

	if (json_get_int(manifest, "schemaVersion", 0) != 2 || !layers)
		return err(-EBADMSG, "manifest sha256:%s: not an image manifest of schema 2",
			   digest_hex(&i->manifest).s);
	/* Who reads such a one by its "layers" and who by its "manifests" see two images. */
	if (json_object_get(manifest, "manifests") || json_object_get(manifest, "fsLayers"))
		return err(-EBADMSG, "manifest sha256:%s: an image manifest and another in one",
			   digest_hex(&i->manifest).s);
	if (type && !streq(type, MEDIA_MANIFEST) && !streq(type, MEDIA_DOCKER_MANIFEST))
		return err(-EBADMSG, "manifest sha256:%s: by its own word no image manifest",
			   digest_hex(&i->manifest).s);
	if (n > LAYERS_MAX)
		return err(-E2BIG, "manifest sha256:%s: %zu layers; at most %u are taken",
			   digest_hex(&i->manifest).s, n, LAYERS_MAX);
	r = descriptor_parse(json_get_object(manifest, "config"), "config", &i->config_digest,
			     &size);
	if (r < 0)
		return r;
	i->size += size;
	i->layers = mem_new(n, sizeof(*i->layers));
	if (!i->layers)
		return -ENOMEM;
	i->nlayers = n;
	for (size_t l = 0; l < n; l++) {
		r = parse_layer(json_array_get(layers, l), &i->layers[l]);
		if (r < 0)
			return r;
		i->size += i->layers[l].blob_size;
	}
	return 0;
}

int config_parse(struct image *i)
{
	const json_t *ids = json_get_array(json_get_object(i->config, "rootfs"), "diff_ids");

	if (json_array_size(ids) != i->nlayers)
		return err(-EBADMSG, "config sha256:%s: %zu diff_ids for %zu layers",
			   digest_hex(&i->config_digest).s, json_array_size(ids), i->nlayers);
	for (size_t l = 0; l < i->nlayers; l++) {
		const char *text = json_string_value(json_array_get(ids, l));

		if (!text || digest_parse(text, &i->layers[l].diff_id) < 0)
			return err(-EBADMSG, "config sha256:%s: diff_id %zu is no sha256 digest",
				   digest_hex(&i->config_digest).s, l);
	}
	return 0;
}

static int read_documents(struct store *s, struct image *i)
{
	_json_ json_t *manifest = NULL;
	int r = blob_json(s, &i->manifest, "manifest", &manifest, &i->size);

	if (r >= 0)
		r = manifest_parse(manifest, i);
	if (r >= 0)
		r = blob_json(s, &i->config_digest, "config", &i->config, NULL);
	return r < 0 ? r : config_parse(i);
}

int image_read(struct store *s, const char *name, const struct digest *manifest, struct image **ret)
{
	struct image *i = new0(struct image);
	int r = -ENOMEM;

	if (!i)
		return r;
	i->manifest = *manifest;
	if (!name || (i->name = strdup(name)))
		r = read_documents(s, i);
	if (r < 0) {
		image_close(i);
		return r;
	}
	*ret = i;
	return 0;
}

void image_close(struct image *i)
{
	if (!i)
		return;
	free(i->name);
	json_decref(i->config);
	free(i->layers);
	free(i);
}

/*
 * OCI image-spec, config.md: ChainID(L0) = L0, ChainID(L0|...|Ln) = Digest(ChainID(L0|...|Ln-1) + "
 * " + Ln).
 */
struct digest image_chain_id(const struct digest *diff_ids, size_t n)
{
	struct digest chain = n ? diff_ids[0] : sha256_of("", 0);

	for (size_t i = 1; i < n; i++) {
		char text[160];
		int len = snprintf(text, sizeof(text), "sha256:%s sha256:%s", digest_hex(&chain).s,
				   digest_hex(&diff_ids[i]).s);

		chain = sha256_of(text, (size_t)len);
	}
	return chain;
}
