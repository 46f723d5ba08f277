/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image as it is given away by save and push: manifest, config and blobs linked into a
 * transaction, so that nobody takes them meanwhile, and what was dropped made again there. Nothing
 * of it is published: the store stays as it is.
 */
#include "imagestore/import.h"

#include <sys/stat.h>

/* ---- a manifest that names other blobs ---- */

static int set_descriptor(json_t *manifest, size_t at, const struct image_layer *l)
{
	json_t *d = json_array_get(json_get_array(manifest, "layers"), at);

	if (json_object_set_new(d, "digest", json_sprintf("sha256:%s", digest_hex(&l->blob).s)) <
		    0 ||
	    json_object_set_new(d, "size", json_integer((json_int_t)l->blob_size)) < 0 ||
	    json_object_set_new(d, "mediaType", json_string(l->media_type)) < 0)
		return -ENOMEM;
	return 0;
}

/* docker's word for gzip in a manifest of docker's. */
static void keep_type(const json_t *manifest, struct image_layer *l)
{
	const char *type = json_get_str(manifest, "mediaType");

	if (type && streq(type, MEDIA_DOCKER_MANIFEST))
		str_copy(l->media_type, sizeof(l->media_type),
			 "application/vnd.docker.image.rootfs.diff.tar.gzip");
}

static int put_manifest(struct txn *t, const json_t *manifest, struct image *i)
{
	size_t len;
	_free_ char *text = json_text(manifest, &len);

	return text ? txn_put_blob(t, text, len, &i->manifest) : -ENOMEM;
}

/* ---- the blobs ---- */

static int missing(struct txn *t, const struct digest *d)
{
	return err(-ENOENT, "%s: blob sha256:%s: not in the store: `strata fsck` says more",
		   t->s->path, digest_hex(d).s);
}

static int hold(struct txn *t, const struct digest *d)
{
	int r = txn_pin_blob(t, d);

	return r == -ENOENT ? missing(t, d) : r;
}

/* 1: it is another blob now. */
static int hold_layer(struct txn *t, struct image_layer *l)
{
	struct digest want = l->blob;
	int r = txn_pin_blob(t, &want);

	if (r != -ENOENT)
		return r;
	if (!blob_is_dropped(t->s, &want))
		return missing(t, &want);
	r = txn_pin_layer(t, &l->diff_id);
	if (r >= 0)
		r = import_rebuild_blob(t, l);
	return r < 0 ? r : !digest_eq(&want, &l->blob);
}

static int hold_layers(struct txn *t, struct image *i)
{
	_json_ json_t *manifest = NULL;
	bool changed = false;
	int r = blob_json(t->s, &i->manifest, "manifest", &manifest, NULL);

	for (size_t l = 0; r >= 0 && l < i->nlayers; l++) {
		r = hold_layer(t, &i->layers[l]);
		if (r <= 0)
			continue;
		changed = true;
		keep_type(manifest, &i->layers[l]);
		r = set_descriptor(manifest, l, &i->layers[l]);
	}
	return r < 0 || !changed ? r : put_manifest(t, manifest, i);
}

int txn_give(struct txn *t, const char *ref, struct image **ret)
{
	struct image *i;
	int r = image_open(t->s, ref, &i);

	if (r < 0)
		return r;
	r = hold(t, &i->manifest);
	if (r >= 0)
		r = hold(t, &i->config_digest);
	if (r >= 0)
		r = hold_layers(t, i);
	if (r < 0) {
		image_close(i);
		return r;
	}
	*ret = i;
	return 0;
}

int txn_blob_open(struct txn *t, const struct digest *d)
{
	int fd = openat(t->dirfd, txn_blob(d).s, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? missing(t, d) : fd;
}
