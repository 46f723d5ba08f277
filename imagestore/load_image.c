/* SPDX-License-Identifier: Apache-2.0 */
/* One image of a layout: its documents and layers into the transaction, bit for bit. */
#include "imagestore/load.h"

#include "imagestore/out_file.h"
#include <sys/stat.h>

#define COPY (256u << 10)

static bool known_layer(const char *type)
{
	static const char *const types[] = {
		MEDIA_LAYER,
		MEDIA_LAYER_GZIP,
		MEDIA_LAYER_ZSTD,
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd",
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (streq(type, types[i]))
			return true;
	}
	return false;
}

/* Layers that their makers keep at urls of their own: image-spec 1.1 and docker alike. */
static bool foreign_layer(const char *type)
{
	return str_after(type, "application/vnd.oci.image.layer.nondistributable.") ||
	       str_after(type, "application/vnd.docker.image.rootfs.foreign.");
}

static int check_layer_type(const struct load *l, const struct image_layer *layer)
{
	char shown[96];

	if (known_layer(layer->media_type))
		return 0;
	str_printable(shown, sizeof(shown), layer->media_type);
	if (foreign_layer(layer->media_type))
		return err(
			-EBADMSG,
			"%s: layer sha256:%s: the media type \"%s\" is of a foreign layer: it is "
			"not taken, and no urls are followed",
			l->path, digest_hex(&layer->blob).s, shown);
	return err(-EBADMSG, "%s: layer sha256:%s: the media type \"%s\" is not known", l->path,
		   digest_hex(&layer->blob).s, shown);
}

static int check_config_type(const struct load *l, const json_t *manifest)
{
	const char *type = json_get_str(json_get_object(manifest, "config"), "mediaType");
	char shown[96];

	if (!type || streq(type, MEDIA_CONFIG) ||
	    streq(type, "application/vnd.docker.container.image.v1+json"))
		return 0;
	str_printable(shown, sizeof(shown), type);
	return err(-EBADMSG, "%s: its config is of the media type \"%s\": no image", l->path,
		   shown);
}

int load_check_types(const struct load *l, const json_t *manifest, const struct image *i)
{
	int r = check_config_type(l, manifest);

	for (size_t n = 0; r >= 0 && n < i->nlayers; n++)
		r = check_layer_type(l, &i->layers[n]);
	return r;
}

/* ---- blobs ---- */

static int source_open(struct load *l, const struct digest *d, const char *what, uint64_t size)
{
	struct txn_file own = txn_blob(d);
	struct store_file file = blob_file(d);
	_close_ int fd = l->dirfd < 0 ? openat(l->t->dirfd, own.s, O_RDONLY | O_CLOEXEC) :
					fd_open_beneath(l->dirfd, file.s, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;
	int e = fd >= 0 ? 0 : l->dirfd < 0 ? -errno : fd;

	if (e == -ENOENT)
		return err(
			-EBADMSG,
			"%s: %s sha256:%s is not in the layout (and urls in a manifest are never "
			"fetched)",
			l->path, what, digest_hex(d).s);
	if (e < 0 || fstat(fd, &st) < 0)
		return err(e < 0 ? e : -errno, "%s: %s sha256:%s: %s", l->path, what,
			   digest_hex(d).s, strerror(e < 0 ? -e : errno));
	if (!S_ISREG(st.st_mode))
		return err(-EBADMSG, "%s: %s sha256:%s is no file", l->path, what, digest_hex(d).s);
	if ((uint64_t)st.st_size != size)
		return err(-EBADMSG, "%s: %s sha256:%s has %llu bytes, its descriptor says %llu",
			   l->path, what, digest_hex(d).s, (unsigned long long)st.st_size,
			   (unsigned long long)size);
	return take_fd(fd);
}

static int copy_blob(struct load *l, int fd, const struct digest *d, const char *what)
{
	_cleanup_(out_file_drop) struct out_file o = OUT_FILE_NONE;
	_free_ char *copy = malloc(COPY);
	struct digest got;
	ssize_t n = 0;
	int r = copy ? out_file_open(l->t, true, &o) : -ENOMEM;

	while (r >= 0 && (n = fd_read_full(fd, copy, COPY)) > 0)
		r = out_file_write(&o, copy, (size_t)n);
	if (n < 0)
		r = err((int)n, "%s: %s sha256:%s: %s", l->path, what, digest_hex(d).s,
			strerror((int)-n));
	if (r >= 0)
		r = out_file_close(&o, &got);
	if (r < 0)
		return r;
	if (!digest_eq(&got, d))
		return err(-EBADMSG, "%s: %s sha256:%s: digest mismatch: it is sha256:%s", l->path,
			   what, digest_hex(d).s, digest_hex(&got).s);
	r = txn_seal_blob(l->t, &o.name, d);
	o.name.s[0] = '\0';
	return r;
}

int load_blob(struct load *l, const struct digest *d, uint64_t size, const char *what)
{
	_close_ int fd = source_open(l, d, what, size);

	if (fd < 0)
		return fd;
	if (digest_set_add(&l->wanted, d) < 0)
		return -ENOMEM;
	return l->dirfd < 0 ?
		       0 :
		       copy_blob(l, fd, d, what); /* an archive's was checked on the way in */
}

static int read_json(struct load *l, const struct digest *d, const char *what, json_t **ret)
{
	_close_ int fd = openat(l->t->dirfd, txn_blob(d).s, O_RDONLY | O_CLOEXEC);
	_free_ char *data = NULL;
	size_t len = 0;
	int r = fd < 0 ? -errno : fd_read_all(fd, JSON_MAX, &data, &len);

	if (r < 0)
		return err(r, "%s: %s sha256:%s: %s", l->path, what, digest_hex(d).s, strerror(-r));
	return json_parse(data, len, what, ret);
}

int load_json(struct load *l, const json_t *desc, const char *what, struct digest *ret_digest,
	      json_t **ret)
{
	uint64_t size = 0;
	int r = descriptor_parse(desc, what, ret_digest, &size);

	if (r >= 0 && size > JSON_MAX)
		r = err(-EBADMSG, "%s: %s sha256:%s: a document of %llu bytes; at most %u are read",
			l->path, what, digest_hex(ret_digest).s, (unsigned long long)size,
			JSON_MAX);
	if (r >= 0)
		r = load_blob(l, ret_digest, size, what);
	return r < 0 ? r : read_json(l, ret_digest, what, ret);
}

/* ---- layers ---- */

/* Whether the store has the layer and this blob of it; both are pinned then. */
static int pin_layer(struct load *l, const struct image_layer *layer)
{
	int r = txn_pin_blob(l->t, &layer->blob);

	return r < 0 ? r : txn_pin_layer(l->t, &layer->diff_id);
}

static int import_layer(struct load *l, const struct image_layer *layer)
{
	_close_ int fd = source_open(l, &layer->blob, "layer", layer->blob_size);
	struct image_layer got = *layer;

	if (fd < 0)
		return fd;
	if (l->dirfd < 0)
		return import_blob_of_txn(l->t, &l->bounds, &layer->blob, &layer->diff_id, &got);
	return layer_import(l->t, fd, &l->bounds, &layer->blob, &layer->diff_id, &got);
}

static int have_layer(struct load *l, const struct image_layer *layer)
{
	int r = pin_layer(l, layer);

	if (r == -ENOENT) {
		r = txn_claim_layer(l->t, &layer->diff_id);
		if (r >= 0)
			r = pin_layer(l, layer);
	}
	return r == -ENOENT ? import_layer(l, layer) : r;
}

static int load_layer(struct load *l, const struct image_layer *layer)
{
	char why[ERR_TEXT_MAX];
	int r;

	if (digest_set_add(&l->wanted, &layer->blob) < 0)
		return -ENOMEM;
	r = layer_within(layer, &l->bounds);
	if (r >= 0)
		r = have_layer(l, layer);
	if (r >= 0)
		r = txn_check_layer(l->t, &l->bounds, layer);
	if (r != -EBADMSG)
		return r;
	snprintf(why, sizeof(why), "%s", err_take(r));
	return err(r, "layer sha256:%.12s: %s", digest_hex(&layer->blob).s, why);
}

/* ---- images ---- */

static int check_config(struct load *l, struct image *i)
{
	int r = platform_check_config(&l->platform, i->config, l->path);

	return r < 0 ? r : config_parse(i);
}

static int load_layers(struct load *l, const struct image *i)
{
	_free_ struct digest *ids = mem_new(i->nlayers, sizeof(*ids));
	int r = ids ? 0 : -ENOMEM;

	for (size_t n = 0; r >= 0 && n < i->nlayers; n++) {
		ids[n] = i->layers[n].diff_id;
		r = load_layer(l, &i->layers[n]);
	}
	return r < 0 ? r : txn_merge(l->t, ids, i->nlayers);
}

/* Whatever the layout names it by, it must be a name of an image. */
static int add_name(struct load *l, const json_t *desc, const char *name,
		    const struct digest *manifest)
{
	_free_ char *full = NULL;
	int r = name ? image_name_canonical(name, &full) : 0;

	if (r < 0)
		return r;
	return txn_add_name(l->t, full, json_get_str(desc, "mediaType"), manifest,
			    (uint64_t)json_get_int(desc, "size", 0));
}

int load_image(struct load *l, const json_t *desc, const char *name)
{
	_json_ json_t *manifest = NULL;
	struct image *i = new0(struct image);
	struct digest config;
	int r;

	if (!i)
		return -ENOMEM;
	r = load_json(l, desc, "manifest", &i->manifest, &manifest);
	if (r >= 0)
		r = manifest_parse(manifest, i);
	if (r >= 0)
		r = load_check_types(l, manifest, i);
	if (r >= 0)
		r = load_json(l, json_get_object(manifest, "config"), "config", &config,
			      &i->config);
	if (r >= 0)
		r = check_config(l, i);
	if (r >= 0)
		r = load_layers(l, i);
	if (r >= 0)
		r = add_name(l, desc, name, &i->manifest);
	image_close(i);
	return r;
}
