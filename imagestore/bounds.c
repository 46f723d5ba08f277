/* SPDX-License-Identifier: Apache-2.0 */
/* How much a layer may be: what a bomb is stopped by. */
#include "imagestore/store.h"

struct store_bounds store_bounds_of(const struct store *s, const struct store_bounds *b)
{
	struct store_bounds r = b ? *b : s->bounds;

	r.max_layer_bytes = r.max_layer_bytes ?: 64ull << 30;
	r.max_entries = r.max_entries ?: 4ull << 20;
	r.max_depth = r.max_depth ?: 256;
	r.max_ratio = r.max_ratio ?: 1000;
	return r;
}

int layer_within(const struct image_layer *layer, const struct store_bounds *b)
{
	if (layer->blob_size <= b->max_layer_bytes)
		return 0;
	return err(-EFBIG, "layer sha256:%.12s: a blob of %llu bytes; the bound is %llu",
		   digest_hex(&layer->blob).s, (unsigned long long)layer->blob_size,
		   (unsigned long long)b->max_layer_bytes);
}

static int bad(const char *word)
{
	char shown[64];

	str_printable(shown, sizeof(shown), word);
	return err(
		-EINVAL,
		"bounds: \"%s\": must be bytes=SIZE, entries=N, depth=N or ratio=N, with commas "
		"between",
		shown);
}

static int set(struct store_bounds *b, const char *word)
{
	const char *value;
	uint64_t n;

	if ((value = str_after(word, "bytes=")))
		return str_size(value, &b->max_layer_bytes) < 0 || !b->max_layer_bytes ? bad(word) :
											 0;
	if ((value = str_after(word, "entries=")))
		return str_u64(value, 1, UINT32_MAX, &b->max_entries) < 0 ? bad(word) : 0;
	if ((value = str_after(word, "depth="))) {
		if (str_u64(value, 1, LAYER_DEPTH_MAX, &n) < 0)
			return bad(word);
		b->max_depth = (uint32_t)n;
		return 0;
	}
	value = str_after(word, "ratio=");
	if (!value || str_u64(value, 1, UINT32_MAX, &n) < 0)
		return bad(word);
	b->max_ratio = (uint32_t)n;
	return 0;
}

int store_set_bounds(struct store *s, const char *text)
{
	_free_ char *copy = strdup(text);
	struct store_bounds b = { 0 };
	char *save = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		int r = set(&b, w);

		if (r < 0)
			return r;
	}
	s->bounds = b;
	return 0;
}
