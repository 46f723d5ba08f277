/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending what a check found. What is bad is moved away only when that from which it is made again
 * has been found sound and stands in the store by itself, so a kill between the two leaves nothing
 * worse than a missing layer, which the next repair makes.
 */
#include "imagestore/import.h"
#include "imagestore/repair.h"
#include <stdarg.h>

void repair_tell(struct repair *p, const char *what, const struct digest *d, const char *fmt, ...)
{
	char did[512], line[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(did, sizeof(did), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "%s sha256:%s: %s", what, digest_hex(d).s, did);
	p->fn(p->ctx, line);
}

int repair_discard(struct repair *p, const char *path)
{
	_close_ int lock = -1;
	int r = store_lock(p->s, true, &lock);

	return r < 0 || !store_has(p->s, path) ? r : trash_move(p->s, path);
}

/* ---- which layers ---- */

/* A layer with a damaged object is as good as damaged. */
static int visit_layer(void *ctx, const char *name)
{
	struct repair *p = ctx;
	_free_ struct digest *objects = NULL;
	struct digest d;
	size_t n = 0;
	int r = 0;

	if (digest_parse_hex(name, strlen(name), &d) < 0)
		return 0;
	if (layer_objects(p->s->dirfd, layer_file(&d, "objects").s, &objects, &n) < 0)
		err_clear();
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (digest_set_has(&p->found->bad_objects, &objects[i]))
			r = digest_set_add(&p->found->bad_layers, &d);
	}
	return MIN(r, 0);
}

/* ---- what a layer is made of ---- */

static bool sound_blob(struct repair *p, const struct digest *blob)
{
	return store_has(p->s, blob_file(blob).s) && !digest_set_has(&p->found->bad_blobs, blob);
}

static int match_blob(void *ctx, struct image *i)
{
	struct repair *p = ctx;

	for (size_t l = 0; l < i->nlayers; l++) {
		if (digest_eq(&i->layers[l].diff_id, p->diff_id) &&
		    sound_blob(p, &i->layers[l].blob)) {
			p->blob = i->layers[l].blob;
			return 1;
		}
	}
	return 0;
}

/* 1: p->blob is a sound blob of the layer. */
static int find_blob(struct repair *p, const struct digest *diff_id)
{
	_json_ json_t *record = NULL;
	struct image_layer own;
	int r;

	p->diff_id = diff_id;
	if (record_read(p->s->dirfd, layer_file(diff_id, "record").s, &record) == 0 &&
	    record_blob(record, &own) == 0 && sound_blob(p, &own.blob)) {
		p->blob = own.blob;
		return 1;
	}
	r = image_each(p->s, match_blob, p);
	err_clear();
	return r == 1;
}

/* A blob that stands in the store, made of the frame; fails when the tar does not come of it. */
static int blob_of_frame(struct repair *p, const struct digest *diff_id, struct digest *ret)
{
	struct image_layer layer = { .diff_id = *diff_id };
	struct txn *t = NULL;
	int r = txn_begin(p->s, &t);

	if (r >= 0)
		r = import_rebuild_blob(t, &layer);
	if (r >= 0)
		r = txn_commit(t);
	txn_abort(t);
	if (r >= 0)
		*ret = layer.blob;
	return r;
}

/* ---- mending ---- */

static int discard_layer(struct repair *p, const struct digest *diff_id)
{
	_free_ struct digest *objects = NULL;
	size_t n = 0;
	int r = 0;

	if (layer_objects(p->s->dirfd, layer_file(diff_id, "objects").s, &objects, &n) < 0)
		err_clear();
	r = repair_discard(p, layer_file(diff_id, NULL).s);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (digest_set_has(&p->found->bad_objects, &objects[i]))
			r = repair_discard(p, object_file(&objects[i]).s);
	}
	return r;
}

static int make_layer(struct repair *p, const struct digest *diff_id)
{
	_close_ int fd = openat(p->s->dirfd, blob_file(&p->blob).s, O_RDONLY | O_CLOEXEC);
	struct image_layer layer;
	struct txn *t = NULL;
	int r = fd < 0 ? err_sys("blob sha256:%s", digest_hex(&p->blob).s) : txn_begin(p->s, &t);

	if (r >= 0)
		r = layer_import(t, fd, NULL, &p->blob, diff_id, &layer);
	if (r >= 0)
		r = txn_commit(t);
	txn_abort(t);
	return r;
}

static int mend_layer(struct repair *p, const struct digest *diff_id)
{
	const char *of = "blob";
	int r = find_blob(p, diff_id);

	if (!r) {
		of = "frame";
		r = blob_of_frame(p, diff_id, &p->blob);
	}
	if (r == -ENOSPC || r == -ENOMEM)
		return r;
	if (r < 0) {
		err_clear();
		of = "blob";
		r = repair_pull_layer(p, diff_id, &p->blob);
		if (r < 0)
			return r;
		if (!r) {
			repair_tell(p, "layer", diff_id,
				    "dropped: neither its blob nor its frame is sound");
			return discard_layer(p, diff_id);
		}
	}
	r = discard_layer(p, diff_id);
	if (r >= 0)
		r = make_layer(p, diff_id);
	if (r >= 0)
		repair_tell(p, "layer", diff_id, "made again of its %s", of);
	return r;
}

/* Of which layer a blob is, by the images that can be read. */
static int match_layer(void *ctx, struct image *i)
{
	struct repair *p = ctx;

	for (size_t l = 0; l < i->nlayers; l++) {
		if (digest_eq(&i->layers[l].blob, &p->blob)) {
			p->diff_id = mem_dup(&i->layers[l].diff_id, sizeof(*p->diff_id));
			return p->diff_id ? 1 : -ENOMEM;
		}
	}
	return 0;
}

static int drop_mark(struct repair *p, const struct digest *blob)
{
	_close_ int dir = openat(p->s->dirfd, "dropped", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : file_replace(dir, digest_hex(blob).s, "", 0, 0444, true);

	return r < 0 ? err(r, "%s/dropped: %s", p->s->path, strerror(-r)) : 0;
}

/* The blob of a layer: as it was, or none on purpose. */
static int mend_layer_blob(struct repair *p, const struct digest *blob,
			   const struct digest *diff_id)
{
	struct digest made;
	int sound = blob_of_frame(p, diff_id, &made), r;

	err_clear();
	if (sound >= 0 && digest_eq(&made, blob)) {
		repair_tell(p, "blob", blob, "made again of its layer's frame");
		return 0;
	}
	r = repair_pull_blob(p, blob);
	if (r)
		return r;
	if (sound < 0) {
		repair_tell(p, "blob", blob, "dropped: the frame of its layer is not sound");
		return 0;
	}
	repair_tell(p, "blob", blob, "dropped: save and push make another of its layer's frame");
	return drop_mark(p, blob);
}

static int mend_blob(struct repair *p, const struct digest *blob)
{
	_free_ struct digest *diff_id = NULL;
	int r;

	if (store_has(p->s, blob_file(blob).s))
		return 0; /* with its layer, or as a document */
	p->blob = *blob;
	p->diff_id = NULL;
	r = image_each(p->s, match_layer, p);
	diff_id = (struct digest *)(uintptr_t)p->diff_id;
	err_clear();
	if (r == -ENOMEM)
		return r;
	if (diff_id)
		return mend_layer_blob(p, blob, diff_id);
	repair_tell(p, "blob", blob, "dropped");
	return 0;
}

static int mend_all(struct repair *p, const struct digest_set *set,
		    int (*mend)(struct repair *p, const struct digest *d))
{
	_free_ struct digest *list = NULL;
	int r = set->count ? digest_set_sorted(set, &list) : 0;

	for (size_t i = 0, n = set->count; r >= 0 && i < n; i++)
		r = mend(p, &list[i]);
	return MIN(r, 0);
}

/* In its place one that is made again of a frame could not stand. */
static int discard_blob(struct repair *p, const struct digest *blob)
{
	return repair_discard(p, blob_file(blob).s);
}

/* One that no layer has is garbage. */
static int mend_object(struct repair *p, const struct digest *d)
{
	_close_ int fd = openat(p->s->dirfd, object_file(d).s, O_RDONLY | O_CLOEXEC);
	struct digest got;

	if (fd < 0 || (sha256_of_fd(fd, 0, &got, NULL) == 0 && digest_eq(&got, d)))
		return 0; /* its layer was made again, or dropped */
	repair_tell(p, "object", d, "dropped");
	return repair_discard(p, object_file(d).s);
}

static void tell_nobody(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

/* Images whose manifest or config came back: what else they miss is known only now. */
static int look_again(struct repair *p)
{
	struct fsck *f = p->found;
	int r;

	fsck_done(f);
	*f = (struct fsck){ .s = p->s, .fn = tell_nobody };
	r = fsck_run(f);
	return r < 0 ? r : mend_all(p, &f->bad_blobs, discard_blob);
}

static int mend(struct repair *p)
{
	struct gc_result count = { 0 };
	int r = mend_all(p, &p->found->bad_blobs, discard_blob);

	if (r >= 0)
		r = repair_pull_documents(p);
	if (r > 0)
		r = look_again(p);
	if (r >= 0 && p->found->bad_objects.count)
		r = store_each(p->s, "layers", visit_layer, p);
	if (r >= 0)
		r = mend_all(p, &p->found->bad_layers, mend_layer);
	if (r >= 0)
		r = mend_all(p, &p->found->bad_objects, mend_object);
	if (r >= 0)
		r = mend_all(p, &p->found->bad_blobs, mend_blob);
	if (r >= 0)
		r = mend_all(p, &p->found->bad_kernels, repair_kernel);
	trash_empty(p->s, &count);
	return r;
}

int store_repair(struct store *s, void (*fn)(void *ctx, const char *line), void *ctx,
		 struct fsck_result *ret)
{
	_cleanup_(fsck_done) struct fsck found = { .s = s, .fn = fn, .ctx = ctx };
	struct repair p = { .s = s, .found = &found, .fn = fn, .ctx = ctx };
	int r = s->rdonly ? err(-EROFS, "%s: the store was opened read-only", s->path) :
			    fsck_run(&found);

	if (r < 0 || !found.result.damaged) {
		*ret = found.result;
		return r;
	}
	r = mend(&p);
	strv_free(p.deaf);
	if (r < 0)
		return r;
	return store_fsck(s, fn, ctx, ret);
}
