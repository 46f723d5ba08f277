/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a collection must leave: names, live transactions, snapshots' bases, and chains whose merged
 * index is in use.
 */
#include "imagestore/arrival/folder.h"
#include "imagestore/gc.h"

#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define PARTIAL_SECONDS (24 * 3600) /* after this long nobody resumes a download */

int gc_mark_layer(struct gc *gc, const struct digest *diff_id)
{
	_free_ struct digest *objects = NULL;
	size_t n = 0;
	int r = digest_set_add(&gc->live_layers, diff_id);

	if (r <= 0)
		return r;
	r = layer_objects(gc->s->dirfd, layer_file(diff_id, "objects").s, &objects, &n);
	return r < 0 ? r : digest_set_add_all(&gc->live_objects, objects, n);
}

static int mark_chain(struct gc *gc, const struct digest *diff_ids, size_t n)
{
	struct digest chain = image_chain_id(diff_ids, n);
	int r = digest_set_add(&gc->live_chains, &chain);

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = gc_mark_layer(gc, &diff_ids[i]);
	return r < 0 ? r : 0;
}

/* ---- names ---- */

static int mark_layers(struct gc *gc, const struct image *i)
{
	_free_ struct digest *ids = mem_new(i->nlayers, sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	for (size_t l = 0; l < i->nlayers; l++) {
		ids[l] = i->layers[l].diff_id;
		if (digest_set_add(&gc->live_blobs, &i->layers[l].blob) < 0)
			return -ENOMEM;
	}
	return mark_chain(gc, ids, i->nlayers);
}

static int mark_entry(struct gc *gc, const json_t *entry)
{
	struct digest manifest;
	struct image *i;
	int r = index_entry_digest(entry, &manifest);

	if (r >= 0)
		r = digest_set_add(&gc->live_blobs, &manifest);
	if (r <= 0)
		return r; /* 0: marked already, under another name */
	r = image_read(gc->s, index_entry_name(entry), &manifest, &i);
	if (r < 0)
		return r;
	r = digest_set_add(&gc->live_blobs, &i->config_digest);
	if (r >= 0)
		r = mark_layers(gc, i);
	image_close(i);
	return r;
}

static int mark_names(struct gc *gc)
{
	_json_ json_t *index = NULL;
	json_t *entry;
	size_t i;
	int r = index_read(gc->s, &index);

	if (r < 0)
		return r;
	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		r = mark_entry(gc, entry);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- transactions ---- */

static int mark_name(void *ctx, const char *name)
{
	struct digest_set *live = ctx;
	struct digest d;

	return digest_parse_hex(name, strlen(name), &d) < 0 ? 0 : MIN(digest_set_add(live, &d), 0);
}

static int mark_merged_name(void *ctx, const char *name)
{
	const char *hex = strchr(name, '-');

	return hex ? mark_name(ctx, hex + 1) : 0;
}

/* Its own objects have names in it too, so its layers need not be read. */
static int mark_txn_folders(struct gc *gc, int dirfd)
{
	static const struct {
		const char *name;
		size_t set;
	} folders[] = {
		{ "blobs", offsetof(struct gc, live_blobs) },
		{ "objects", offsetof(struct gc, live_objects) },
		{ "layers", offsetof(struct gc, live_layers) },
		{ "published", offsetof(struct gc, live_layers) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int r = folder_each(dirfd, folders[i].name, mark_name, (char *)gc + folders[i].set);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return MIN(folder_each(dirfd, "merged", mark_merged_name, &gc->live_chains), 0);
}

static int mark_txn(void *ctx, const char *name)
{
	struct gc *gc = ctx;
	_free_ char *path = str_fmt("tmp/%s", name);
	_close_ int dirfd = -1, live = -1;
	int r;

	if (!path)
		return -ENOMEM;
	if (gc->scope->without_txn && streq(name, gc->scope->without_txn))
		return 0;
	dirfd = openat(gc->s->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	live = dirfd < 0 ? -1 : openat(dirfd, "live", O_RDONLY | O_CLOEXEC);
	if (live < 0 || fd_lock(live, true, false) == 0)
		return 0; /* dead, or gone */
	r = mark_txn_folders(gc, dirfd);
	return r == -ENOENT ? 0 : r;
}

/* ---- snapshots ---- */

static int mark_snapshot(void *ctx, const char *id)
{
	struct gc *gc = ctx;
	_free_ struct digest *ids = NULL;
	size_t n;
	int r = snapshot_base(gc->s, id, &ids, &n);

	if (r == -ENOENT) { /* removed meanwhile */
		err_clear();
		return 0;
	}
	return r < 0 ? r : mark_chain(gc, ids, n);
}

/* ---- what is still arriving: the layers that it found here, and those that come ---- */

static int mark_arrival(void *ctx, _unused_ const struct digest *manifest, int dirfd)
{
	_free_ struct digest *ids = NULL;
	size_t n;
	int r = arrival_is_whole(dirfd) ? -ENOENT : digests_read(dirfd, "layers", &ids, &n);

	if (r < 0) {
		err_clear(); /* whole, and so an image like others; or damaged, and to be removed */
		return 0;
	}
	return mark_chain(ctx, ids, n);
}

/* ---- pins ---- */

/*
 * Whether anyone has the merged index open: *@ret_fd holds a write lease on it until it is closed,
 * -1 when it is in use. A file system without leases counts as use.
 */
static int lease(struct gc *gc, const char *path, int *ret_fd)
{
	_close_ int fd = openat(gc->s->dirfd, path, O_RDONLY | O_CLOEXEC);

	*ret_fd = -1;
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys("%s/%s", gc->s->path, path);
	/*
	 * Who opens it meanwhile waits, and we are told by a signal: by default SIGIO, which kills.
	 */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return 0;
	*ret_fd = take_fd(fd);
	return 0;
}

static int mark_pinned(struct gc *gc, const char *path)
{
	_free_ char *list = str_fmt("%s.layers", path);
	_free_ struct digest *ids = NULL;
	size_t n;
	int r = list ? digests_read(gc->s->dirfd, list, &ids, &n) : -ENOMEM;

	return r < 0 ? r : mark_chain(gc, ids, n);
}

static int drop_merged(struct gc *gc, const char *path)
{
	static const char *const beside[] = { ".sums", ".layers" };
	int r = trash_move(gc->s, path);

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(beside); i++) {
		_free_ char *file = str_fmt("%s%s", path, beside[i]);

		if (file && store_has(gc->s, file))
			r = trash_move(gc->s, file);
	}
	return r;
}

static bool in_scope(const struct gc *gc, const struct digest *chain)
{
	return !gc->scope->only || digest_set_has(gc->scope->only, chain);
}

static int visit_merged(void *ctx, const char *name)
{
	struct gc *gc = ctx;
	const char *hex = strchr(name, '-');
	_free_ char *path = str_fmt("merged/%s", name);
	_close_ int leased = -1;
	struct digest chain;
	int r;

	if (!path)
		return -ENOMEM;
	if (!hex || digest_parse_hex(hex + 1, strlen(hex + 1), &chain) < 0)
		return 0;
	/* One of an older version is as dead as one of no image, but may still be in use. */
	if (digest_set_has(&gc->live_chains, &chain) && streq(path, merged_file(&chain, "").s))
		return 0;
	r = lease(gc, path, &leased);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (leased < 0)
		return mark_pinned(gc, path);
	return in_scope(gc, &chain) ? drop_merged(gc, path) : 0;
}

/*
 * A layer outside of the scope stays, be it alive or not, and so must its objects: whoever finds a
 * layer relies on them.
 */
static int keep_objects(void *ctx, const char *name)
{
	struct gc *gc = ctx;
	_free_ struct digest *objects = NULL;
	struct digest d;
	size_t n = 0;
	int r;

	if (digest_parse_hex(name, strlen(name), &d) < 0 || digest_set_has(gc->scope->only, &d))
		return 0;
	r = layer_objects(gc->s->dirfd, layer_file(&d, "objects").s, &objects, &n);
	return r < 0 ? r : digest_set_add_all(&gc->live_objects, objects, n);
}

/* What stands beside an index that is gone: the kill came between the two. */
static int visit_list(void *ctx, const char *name)
{
	struct gc *gc = ctx;
	const char *dot = strchr(name, '.'), *hex = strchr(name, '-');
	_free_ char *index = dot ? str_fmt("merged/%.*s", (int)(dot - name), name) : NULL;
	_free_ char *path = str_fmt("merged/%s", name);
	struct digest chain;

	if (!dot || !hex || digest_parse_hex(hex + 1, (size_t)MAX(dot - hex - 1, 0), &chain) < 0)
		return 0;
	if (!index || !path || !in_scope(gc, &chain) || store_has(gc->s, index))
		return 0;
	return trash_move(gc->s, path);
}

int gc_mark(struct gc *gc)
{
	int r = mark_names(gc);

	if (r >= 0)
		r = store_each(gc->s, "tmp", mark_txn, gc);
	if (r >= 0)
		r = snapshot_each(gc->s, mark_snapshot, gc);
	if (r >= 0)
		r = arrival_each(gc->s, mark_arrival, gc);
	if (r >= 0)
		r = store_each(gc->s, "merged", visit_merged, gc);
	if (r >= 0)
		r = store_each(gc->s, "merged", visit_list, gc);
	if (r >= 0 && gc->scope->only)
		r = store_each(gc->s, "layers", keep_objects, gc);
	return r;
}

/* ---- partial downloads ---- */

static int expire_one(void *ctx, const char *name)
{
	struct store *s = ctx;
	_free_ char *path = str_fmt("partial/%s", name);
	_close_ int fd = path ? openat(s->dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	struct stat st;

	/* A claim on a layer, of an older strata, holds nothing to be resumed. */
	if (fd < 0 || fstat(fd, &st) < 0 ||
	    (!str_after(name, "layer-") && time(NULL) - st.st_mtime < PARTIAL_SECONDS))
		return 0;
	if (fd_lock(fd, true, false) == 0)
		unlinkat(s->dirfd, path, 0);
	return 0;
}

void partial_expire(struct store *s)
{
	folder_each(s->dirfd, "partial", expire_one, s);
}
