/* SPDX-License-Identifier: Apache-2.0 */
/* Reads everything again and compares it with its digests. */
#include "imagestore/arrival/folder.h"
#include "imagestore/fsck.h"

#include "base/buf.h"
#include <stdarg.h>

/* ---- telling ---- */

static void add_images(const struct fsck *f, const struct digest *d, struct buf *line)
{
	bool first = true;

	for (size_t i = 0; d && i < f->nimages; i++) {
		if (!digest_set_has(&f->images[i].refers, d))
			continue;
		buf_addf(line, "%s%s", first ? " (image " : ", ", f->images[i].name);
		first = false;
	}
	if (!first)
		buf_addc(line, ')');
}

void fsck_damage(struct fsck *f, const struct digest *d, const char *fmt, ...)
{
	_buf_done_ struct buf line = { 0 };
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_adds(&line, text);
	add_images(f, d, &line);
	f->result.damaged++;
	f->fn(f->ctx, line.data ? line.data : text);
}

void fsck_failure(struct fsck *f, const struct digest *d, int r)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof(text), "%s", err_take(r));
	fsck_damage(f, d, "%s", text);
}

/* ---- names ---- */

static int refer(struct fsck *f, struct fsck_image *image, const struct image *i)
{
	int r = digest_set_add(&image->refers, &i->config_digest);

	for (size_t l = 0; r >= 0 && l < i->nlayers; l++) {
		_free_ struct digest *objects = NULL;
		size_t n = 0;

		r = digest_set_add(&image->refers, &i->layers[l].blob);
		if (r >= 0)
			r = digest_set_add(&image->refers, &i->layers[l].diff_id);
		if (layer_objects(f->s->dirfd, layer_file(&i->layers[l].diff_id, "objects").s,
				  &objects, &n) < 0)
			err_clear(); /* found again with the layer */
		if (r >= 0)
			r = digest_set_add_all(&image->refers, objects, n);
	}
	return r;
}

static void find_missing(struct fsck *f, const struct image *i)
{
	for (size_t l = 0; l < i->nlayers; l++) {
		const struct image_layer *layer = &i->layers[l];

		f->result.checked += 2;
		if (!store_has(f->s, blob_file(&layer->blob).s) &&
		    !blob_is_dropped(f->s, &layer->blob)) {
			digest_set_add(&f->bad_blobs, &layer->blob);
			fsck_damage(f, &layer->blob, "blob sha256:%s: missing",
				    digest_hex(&layer->blob).s);
		}
		if (!store_has(f->s, layer_file(&layer->diff_id, "record").s)) {
			digest_set_add(&f->bad_layers, &layer->diff_id);
			fsck_damage(f, &layer->diff_id, "layer sha256:%s: missing",
				    digest_hex(&layer->diff_id).s);
		}
	}
}

/* A damaged manifest or config is told here with the name, and once more by its blob. */
static int check_entry(struct fsck *f, const json_t *entry)
{
	const char *name = index_entry_name(entry);
	struct fsck_image *image;
	struct image *i = NULL;
	struct digest d;
	int r = index_entry_digest(entry, &d);

	f->result.checked++;
	if (r < 0) {
		fsck_failure(f, NULL, r);
		return 0;
	}
	if (mem_grow(&f->images, &f->cap, f->nimages + 1, sizeof(*f->images)) < 0)
		return -ENOMEM;
	image = &f->images[f->nimages++];
	*image = (struct fsck_image){ .name = name ? strdup(name) :
						     str_fmt("sha256:%.12s", digest_hex(&d).s) };
	if (!image->name || digest_set_add(&image->refers, &d) < 0)
		return -ENOMEM;
	r = image_read(f->s, name, &d, &i);
	if (r < 0) {
		fsck_failure(f, &d, r);
		return 0;
	}
	r = refer(f, image, i);
	if (r >= 0)
		find_missing(f, i);
	image_close(i);
	return r;
}

static int check_names(struct fsck *f)
{
	_json_ json_t *index = NULL;
	json_t *entry;
	size_t i;
	int r = index_read(f->s, &index);

	if (r < 0) {
		fsck_failure(f, NULL, r);
		return 0;
	}
	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		r = check_entry(f, entry);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- files ---- */

int fsck_file(struct fsck *f, int dirfd, const char *path, const struct digest *want,
	      const struct digest *owner)
{
	_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	struct digest got;
	int r = fd < 0 ? -errno : sha256_of_fd(fd, 0, &got, NULL);

	f->result.checked++;
	if (r == -ENOENT)
		fsck_damage(f, owner, "%s: missing", path);
	else if (r < 0)
		fsck_damage(f, owner, "%s: %s", path, strerror(-r));
	else if (!digest_eq(&got, want))
		fsck_damage(f, owner, "%s: digest mismatch", path);
	else
		return 1;
	return 0;
}

static int check_blob(void *ctx, const char *name)
{
	struct fsck *f = ctx;
	struct digest d;

	if (digest_parse_hex(name, strlen(name), &d) < 0)
		fsck_damage(f, NULL, "blobs/sha256/%s: not named by a digest", name);
	else if (fsck_file(f, f->s->dirfd, blob_file(&d).s, &d, &d) == 0)
		return MIN(digest_set_add(&f->bad_blobs, &d), 0);
	return 0;
}

static int check_object(void *ctx, const char *name)
{
	struct fsck *f = ctx;
	struct digest d;

	if (digest_parse_hex(name, strlen(name), &d) < 0) {
		fsck_damage(f, NULL, "objects/%.2s/%s: not named by a digest", name, name);
		return 0;
	}
	/* One that is damaged is there: that it is told once, by itself, is enough. */
	if (fsck_file(f, f->s->dirfd, object_file(&d).s, &d, &d) == 0 &&
	    digest_set_add(&f->bad_objects, &d) < 0)
		return -ENOMEM;
	return digest_set_add(&f->checked_objects, &d) < 0 ? -ENOMEM : 0;
}

static int check_object_folder(void *ctx, const char *name)
{
	struct fsck *f = ctx;
	_free_ char *path = str_fmt("objects/%s", name);

	return path ? store_each(f->s, path, check_object, f) : -ENOMEM;
}

static int check_layer(void *ctx, const char *name)
{
	struct fsck *f = ctx;
	uint64_t before = f->result.damaged;
	struct digest d;
	int r;

	if (digest_parse_hex(name, strlen(name), &d) == 0) {
		r = fsck_layer(f, &d);
		if (r >= 0 && f->result.damaged != before)
			r = digest_set_add(&f->bad_layers, &d);
		return MIN(r, 0);
	}
	fsck_damage(f, NULL, "layers/%s: not named by a digest", name);
	return 0;
}

/* ---- merged indexes ---- */

static int same_bytes(int a, int b)
{
	char one[16 << 10], two[16 << 10];

	for (off_t off = 0;; off += (off_t)sizeof(one)) {
		ssize_t n = fd_pread_full(a, one, sizeof(one), off);
		ssize_t m = fd_pread_full(b, two, sizeof(two), off);

		if (n < 0 || m < 0)
			return (int)MIN(n, m);
		if (n != m || memcmp(one, two, (size_t)n) != 0)
			return 0;
		if (n < (ssize_t)sizeof(one))
			return 1;
	}
}

static int compare_sums(struct fsck *f, const char *path, int index)
{
	_free_ char *name = str_fmt("%s.sums", path);
	_close_ int fd = name ? openat(f->s->dirfd, name, O_RDONLY | O_CLOEXEC) : -1,
		    fresh = fd_memfd("sums", NULL, 0);
	int r = fd < 0 ? -ENOENT : fresh < 0 ? fresh : layer_index_sums(index, fresh);

	return r < 0 ? r : same_bytes(fd, fresh);
}

/* 1 = as its layers make it, 0 = not. */
static int compare_merged(struct fsck *f, const char *path, const struct digest *ids, size_t n)
{
	_close_ int fd = openat(f->s->dirfd, path, O_RDONLY | O_CLOEXEC),
		    fresh = fd_memfd("merged", NULL, 0);
	int r;

	if (fd < 0 || fresh < 0)
		return fd < 0 ? -errno : fresh;
	r = stack_merge(f->s->dirfd, ids, n, fresh);
	if (r >= 0)
		r = same_bytes(fd, fresh);
	return r <= 0 ? r : compare_sums(f, path, fresh);
}

static int check_merged(void *ctx, const char *name)
{
	struct fsck *f = ctx;
	const char *hex = strchr(name, '-');
	_free_ char *path = str_fmt("merged/%s", name), *list = str_fmt("merged/%s.layers", name);
	_free_ struct digest *ids = NULL;
	struct digest chain, got = { 0 };
	size_t n = 0;
	int r;

	if (!path || !list)
		return -ENOMEM;
	if (!hex || digest_parse_hex(hex + 1, strlen(hex + 1), &chain) < 0 ||
	    !streq(path, merged_file(&chain, "").s))
		return 0; /* a list, or another version's */
	f->result.checked++;
	r = digests_read(f->s->dirfd, list, &ids, &n);
	if (r >= 0)
		got = image_chain_id(ids, n);
	if (r >= 0 && digest_eq(&got, &chain))
		r = compare_merged(f, path, ids, n);
	else
		r = 0;
	if (r > 0)
		return 0;
	err_clear(); /* a layer that cannot be merged is told of by itself */
	if (!f->s->rdonly && unlinkat(f->s->dirfd, path, 0) == 0)
		fsck_damage(f, NULL, "%s: damaged: dropped, it is made again when it is needed",
			    path);
	else
		fsck_damage(f, NULL, "%s: damaged", path);
	return 0;
}

/* ---- snapshots ---- */

static int check_snapshot(void *ctx, const char *id)
{
	struct fsck *f = ctx;
	_free_ struct digest *ids = NULL;
	size_t n = 0;
	int r = snapshot_base(f->s, id, &ids, &n);

	f->result.checked++;
	if (r < 0)
		fsck_failure(f, NULL, r);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (store_has(f->s, layer_file(&ids[i], "record").s) ||
		    arriving_has_chain(f->s, ids, n))
			continue;
		digest_set_add(&f->bad_layers, &ids[i]);
		fsck_damage(f, &ids[i], "snapshot %s: its layer sha256:%s is missing", id,
			    digest_hex(&ids[i]).s);
	}
	return 0;
}

/* ---- what is still arriving ---- */

static int check_arrival(void *ctx, const struct digest *manifest, int dirfd)
{
	struct fsck *f = ctx;
	int r = arrival_check(dirfd, manifest);

	f->result.checked++;
	if (r < 0)
		fsck_damage(f, NULL, "image sha256:%.12s, still arriving: %s: `strata rmi` it",
			    digest_hex(manifest).s, err_take(r));
	return 0;
}

int fsck_run(struct fsck *f)
{
	int r = check_names(f);

	if (r >= 0)
		r = store_each(f->s, "blobs/sha256", check_blob, f);
	if (r >= 0)
		r = store_each(f->s, "objects", check_object_folder, f);
	if (r >= 0)
		r = store_each(f->s, "layers", check_layer, f);
	if (r >= 0)
		r = store_each(f->s, "merged", check_merged, f);
	if (r >= 0)
		r = kernels_check(f);
	if (r >= 0)
		r = arrival_each(f->s, check_arrival, f);
	return r < 0 ? r : snapshot_each(f->s, check_snapshot, f);
}

void fsck_done(struct fsck *f)
{
	for (size_t i = 0; i < f->nimages; i++) {
		free(f->images[i].name);
		digest_set_done(&f->images[i].refers);
	}
	free(f->images);
	digest_set_done(&f->checked_objects);
	digest_set_done(&f->bad_layers);
	digest_set_done(&f->bad_blobs);
	digest_set_done(&f->bad_objects);
	digest_set_done(&f->bad_kernels);
}

int store_fsck(struct store *s, void (*fn)(void *ctx, const char *line), void *ctx,
	       struct fsck_result *ret)
{
	_cleanup_(fsck_done) struct fsck f = { .s = s, .fn = fn, .ctx = ctx };
	int r = fsck_run(&f);

	if (r < 0)
		return r;
	*ret = f.result;
	return 0;
}
