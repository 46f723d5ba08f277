/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a blob is what an image says of it: so long, and unpacked the layer of the config's
 * diffID. What is made of a blob here is compared on the way; a blob and a layer that were there
 * already, each with its digest, need not belong together.
 */
#include "imagestore/decompress.h"
#include "imagestore/txn.h"

#include <sys/stat.h>

static int hash_raw(void *ctx, const void *data, size_t len)
{
	sha256_update(ctx, data, len);
	return 0;
}

static int diff_id_of(int fd, const struct store_bounds *b, struct digest *ret)
{
	struct decompress_bounds bounds = { .max_bytes = b->max_layer_bytes,
					    .max_ratio = b->max_ratio };
	struct decompress *d;
	struct sha256 h;
	int r;

	sha256_init(&h);
	r = decompress_new(&bounds, hash_raw, &h, &d);
	if (r < 0)
		return r;
	r = decompress_fd(d, fd);
	decompress_free(d);
	*ret = sha256_final(&h);
	return r;
}

/* ---- what is known already ---- */

/* 1: the layer was made of this blob. */
static int made_of(struct txn *t, const struct image_layer *layer)
{
	struct image_layer own = { 0 };
	_json_ json_t *record = NULL;
	int r = record_read(t->dirfd, layer_file(&layer->diff_id, "record").s, &record);

	if (r >= 0)
		r = record_blob(record, &own);
	return r < 0 ? r : digest_eq(&own.blob, &layer->blob);
}

static int names_both(void *ctx, struct image *i)
{
	const struct image_layer *layer = ctx;

	for (size_t l = 0; l < i->nlayers; l++) {
		if (digest_eq(&i->layers[l].blob, &layer->blob) &&
		    digest_eq(&i->layers[l].diff_id, &layer->diff_id))
			return 1;
	}
	return 0;
}

/* 1: an image that was taken in says the same. Of one that is damaged nothing is known. */
static int was_taken(struct txn *t, const struct image_layer *layer)
{
	int r = image_each(t->s, names_both, (void *)(uintptr_t)layer);

	err_clear();
	return r == 1;
}

/* ---- */

static int check_size(int fd, const struct image_layer *layer)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("blob sha256:%s", digest_hex(&layer->blob).s);
	if ((uint64_t)st.st_size == layer->blob_size)
		return 0;
	return err(-EBADMSG, "the blob has %llu bytes, its descriptor says %llu",
		   (unsigned long long)st.st_size, (unsigned long long)layer->blob_size);
}

int txn_check_layer(struct txn *t, const struct store_bounds *b, const struct image_layer *layer)
{
	_close_ int fd = txn_blob_open(t, &layer->blob);
	struct digest got;
	int r = fd < 0 ? fd : check_size(fd, layer);

	if (r >= 0)
		r = made_of(t, layer) ?: was_taken(t, layer);
	if (r)
		return MIN(r, 0);
	r = diff_id_of(fd, b, &got);
	if (r < 0 || digest_eq(&got, &layer->diff_id))
		return r;
	return err(-EBADMSG,
		   "digest mismatch: the layer unpacks to sha256:%s, its image says sha256:%s",
		   digest_hex(&got).s, digest_hex(&layer->diff_id).s);
}
