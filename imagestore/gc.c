/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting what nothing refers to: list, mark, sweep, under the exclusive lock; unlinking without
 * it.
 */
#include "imagestore/arrival/folder.h"
#include "imagestore/gc.h"

/* ---- listing ---- */

struct listing {
	struct gc *gc;
	struct gc_list *list;
	const char *folder;
};

static int list_digest(void *ctx, const char *name)
{
	struct listing *l = ctx;
	struct digest d;

	if (digest_parse_hex(name, strlen(name), &d) < 0)
		return 0; /* not ours */
	if (mem_grow(&l->list->d, &l->list->cap, l->list->n + 1, sizeof(d)) < 0)
		return -ENOMEM;
	l->list->d[l->list->n++] = d;
	return 0;
}

static int list_object_folder(void *ctx, const char *name)
{
	struct listing *l = ctx;
	_free_ char *path = str_fmt("objects/%s", name);

	return path ? store_each(l->gc->s, path, list_digest, l) : -ENOMEM;
}

static int list_only(const struct digest_set *only, struct gc_list *list)
{
	list->n = only->count;
	return digest_set_sorted(only, &list->d);
}

static int gc_list(struct gc *gc)
{
	struct listing l = { .gc = gc };
	int r;

	if (gc->scope->only) {
		r = list_only(gc->scope->only, &gc->layers);
		if (r >= 0)
			r = list_only(gc->scope->only, &gc->blobs);
		return r < 0 ? r : list_only(gc->scope->only, &gc->objects);
	}
	l.list = &gc->layers;
	r = store_each(gc->s, "layers", list_digest, &l);
	l.list = &gc->blobs;
	if (r >= 0)
		r = store_each(gc->s, "blobs/sha256", list_digest, &l);
	l.list = &gc->objects;
	return r < 0 ? r : store_each(gc->s, "objects", list_object_folder, &l);
}

/* ---- sweeping ---- */

static int sweep(struct gc *gc, const struct gc_list *list, const struct digest_set *live,
		 struct store_file (*file)(const struct digest *))
{
	for (size_t i = 0; i < list->n; i++) {
		struct store_file path = file(&list->d[i]);
		int r;

		if (digest_set_has(live, &list->d[i]) || !store_has(gc->s, path.s))
			continue;
		r = trash_move(gc->s, path.s);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct store_file layer_folder(const struct digest *d)
{
	return layer_file(d, NULL);
}

static int sync_folder(struct gc *gc, const char *path)
{
	_close_ int fd = openat(gc->s->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_sys("%s/%s", gc->s->path, path) : 0;
}

/*
 * Layers before their objects, durably: a layer that is there has all its objects, whatever the
 * moment of a kill.
 */
static int gc_sweep(struct gc *gc)
{
	int r = sweep(gc, &gc->layers, &gc->live_layers, layer_folder);

	if (r >= 0)
		r = sweep(gc, &gc->blobs, &gc->live_blobs, blob_file);
	if (r >= 0)
		r = sync_folder(gc, "layers");
	return r < 0 ? r : sweep(gc, &gc->objects, &gc->live_objects, object_file);
}

/* ---- the rest: what no image refers to ---- */

static int sweep_cache_entry(void *ctx, const char *name)
{
	struct store *s = ctx;
	_free_ char *path = str_fmt("cache/%s", name);
	struct digest key, diff_id;
	bool empty;

	if (!path)
		return -ENOMEM;
	if (digest_parse_hex(name, strlen(name), &key) < 0 ||
	    cache_get(s, &key, &diff_id, &empty) == -ENOENT)
		unlinkat(s->dirfd, path, 0);
	return 0;
}

/* A mark that no image's blob needs. */
static int sweep_mark(void *ctx, const char *name)
{
	struct gc *gc = ctx;
	struct digest d;

	if (digest_parse_hex(name, strlen(name), &d) == 0 && !digest_set_has(&gc->live_blobs, &d))
		unlinkat(gc->s->dirfd, dropped_file(&d).s, 0);
	return 0;
}

static int collect(struct gc *gc)
{
	_close_ int lock = -1;
	int r = store_lock(gc->s, true, &lock);

	if (r >= 0)
		r = gc_list(gc);
	if (r >= 0)
		r = gc_mark(gc);
	if (r >= 0 && gc->scope->keep)
		r = gc_mark_recent(gc);
	if (r >= 0)
		r = gc_sweep(gc);
	if (r >= 0 && !gc->scope->only)
		r = store_each(gc->s, "cache", sweep_cache_entry, gc->s);
	if (r >= 0 && !gc->scope->only)
		r = store_each(gc->s, "dropped", sweep_mark, gc);
	if (r >= 0 && !gc->scope->only)
		r = machines_sweep(gc->s);
	if (r >= 0 && !gc->scope->only)
		r = kernels_sweep(gc->s);
	if (r >= 0 && !gc->scope->only)
		r = arrival_sweep(gc->s);
	return r;
}

static void gc_done(struct gc *gc)
{
	free(gc->layers.d);
	free(gc->blobs.d);
	free(gc->objects.d);
	digest_set_done(&gc->live_layers);
	digest_set_done(&gc->live_blobs);
	digest_set_done(&gc->live_objects);
	digest_set_done(&gc->live_chains);
}

int gc_run(struct store *s, const struct gc_scope *scope, struct gc_result *ret)
{
	_cleanup_(gc_done) struct gc gc = { .s = s, .scope = scope };
	struct gc_result result = { 0 };
	int r;

	if (s->rdonly)
		return err(-EROFS, "%s: the store was opened read-only", s->path);
	if (tmp_is_covered(s))
		return err(-EBUSY,
			   "%s/tmp: covered by a mount here, so transactions cannot be seen",
			   s->path);
	store_sweep(s);
	r = collect(&gc);
	trash_empty(s, &result);
	if (r < 0)
		return r;
	*ret = result;
	return 0;
}

int store_gc(struct store *s, struct gc_result *ret)
{
	return store_gc_keep(s, 0, ret);
}

int store_gc_keep(struct store *s, uint64_t keep, struct gc_result *ret)
{
	int r = gc_run(s, &(struct gc_scope){ .keep = keep }, ret);

	if (r >= 0)
		partial_expire(s);
	return r < 0 ? r : 0;
}
