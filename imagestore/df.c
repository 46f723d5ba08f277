/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes how much of the disk, and for whom: each thing of the store with those who refer to
 * it.
 */
#include "imagestore/digest_set.h"
#include "imagestore/store.h"

#include <stdlib.h>
#include <sys/stat.h>

enum df_kind { DF_BLOB, DF_LAYER, DF_OBJECT, DF_MERGED };

struct df_key {
	uint8_t kind;
	struct digest d;
};

struct df_item {
	struct df_key key;
	uint64_t bytes;
	uint32_t images; /* that refer to it */
	uint32_t last;	 /* of them, from 1 */
	bool in_use;	 /* an instance stands on it */
};

struct df_ref {
	size_t item;
	size_t image;
};

struct df {
	struct store *s;
	struct df_item *items; /* sorted by key */
	size_t nitems, items_cap;
	struct df_ref *refs;
	size_t nrefs, refs_cap;
	struct df_image *images;
	size_t nimages, images_cap;
	uint8_t kind; /* of what is being listed */
};

/* ---- sizes ---- */

static uint64_t allocated(const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512;
}

static uint64_t file_bytes(int dirfd, const char *path)
{
	struct stat st;

	return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : allocated(&st);
}

struct tree_sum {
	int dirfd;
	uint64_t bytes;
};

static int add_tree(void *ctx, const char *name)
{
	struct tree_sum *t = ctx, below = { .dirfd = -1 };
	struct stat st;

	if (fstatat(t->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* it may be going while we look */
	t->bytes += allocated(&st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	below.dirfd = openat(t->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below.dirfd >= 0)
		folder_each(below.dirfd, ".", add_tree, &below);
	fd_close(below.dirfd);
	t->bytes += below.bytes;
	return 0;
}

static uint64_t tree_bytes(struct store *s, const char *path)
{
	struct tree_sum t = { .dirfd = s->dirfd };

	add_tree(&t, path);
	return t.bytes;
}

/* ---- what there is ---- */

static int key_cmp(const void *a, const void *b)
{
	const struct df_key *x = a, *y = b; /* the first member of an item */

	return x->kind != y->kind ? x->kind - y->kind : memcmp(x->d.b, y->d.b, sizeof(x->d.b));
}

static int add_item(struct df *f, const struct digest *d, uint64_t bytes)
{
	if (mem_grow(&f->items, &f->items_cap, f->nitems + 1, sizeof(*f->items)) < 0)
		return -ENOMEM;
	f->items[f->nitems++] = (struct df_item){ .key = { f->kind, *d }, .bytes = bytes };
	return 0;
}

static int list_one(void *ctx, const char *name)
{
	static const char *const beside[] = { "", ".layers", ".sums" };
	struct df *f = ctx;
	const char *hex = f->kind == DF_MERGED ? strchr(name, '-') : name;
	struct digest d;
	uint64_t bytes = 0;

	hex = hex && f->kind == DF_MERGED ? hex + 1 : hex;
	if (!hex || digest_parse_hex(hex, strlen(hex), &d) < 0)
		return 0;
	switch (f->kind) {
	case DF_BLOB:
		bytes = file_bytes(f->s->dirfd, blob_file(&d).s);
		break;
	case DF_LAYER:
		bytes = tree_bytes(f->s, layer_file(&d, NULL).s);
		break;
	case DF_OBJECT:
		bytes = file_bytes(f->s->dirfd, object_file(&d).s);
		break;
	default:
		for (size_t i = 0; i < ARRAY_SIZE(beside); i++)
			bytes += file_bytes(f->s->dirfd, merged_file(&d, beside[i]).s);
	}
	return add_item(f, &d, bytes);
}

static int list_objects(void *ctx, const char *name)
{
	struct df *f = ctx;
	_free_ char *path = str_fmt("objects/%s", name);

	return path ? store_each(f->s, path, list_one, f) : -ENOMEM;
}

static int list_all(struct df *f)
{
	int r;

	f->kind = DF_BLOB;
	r = store_each(f->s, "blobs/sha256", list_one, f);
	f->kind = DF_LAYER;
	if (r >= 0)
		r = store_each(f->s, "layers", list_one, f);
	f->kind = DF_OBJECT;
	if (r >= 0)
		r = store_each(f->s, "objects", list_objects, f);
	f->kind = DF_MERGED;
	if (r >= 0)
		r = store_each(f->s, "merged", list_one, f);
	if (r >= 0 && f->nitems)
		qsort(f->items, f->nitems, sizeof(*f->items), key_cmp);
	return r;
}

/* ---- who refers to it ---- */

static struct df_item *find(const struct df *f, enum df_kind kind, const struct digest *d)
{
	struct df_key key = { kind, *d };

	return f->nitems ? bsearch(&key, f->items, f->nitems, sizeof(*f->items), key_cmp) : NULL;
}

/* @image from 1; 0: an instance. */
static int refer(struct df *f, size_t image, enum df_kind kind, const struct digest *d)
{
	struct df_item *i = find(f, kind, d);

	if (!i)
		return 0; /* fsck says so */
	if (!image) {
		i->in_use = true;
		return 0;
	}
	if (i->last == image)
		return 0;
	i->last = (uint32_t)image;
	i->images++;
	if (mem_grow(&f->refs, &f->refs_cap, f->nrefs + 1, sizeof(*f->refs)) < 0)
		return -ENOMEM;
	f->refs[f->nrefs++] = (struct df_ref){ (size_t)(i - f->items), image - 1 };
	return 0;
}

static int refer_chain(struct df *f, size_t image, const struct digest *ids, size_t n)
{
	struct digest chain = image_chain_id(ids, n);
	int r = refer(f, image, DF_MERGED, &chain);

	for (size_t l = 0; r >= 0 && l < n; l++) {
		_free_ struct digest *objects = NULL;
		size_t count = 0;

		r = refer(f, image, DF_LAYER, &ids[l]);
		if (r >= 0 && layer_objects(f->s->dirfd, layer_file(&ids[l], "objects").s, &objects,
					    &count) < 0)
			err_clear();
		for (size_t o = 0; r >= 0 && o < count; o++)
			r = refer(f, image, DF_OBJECT, &objects[o]);
	}
	return r;
}

/* The image of that manifest, which may have had another name before. */
static int image_slot(struct df *f, const struct image *i, struct df_image **ret)
{
	struct df_image *found;

	for (size_t n = 0; n < f->nimages; n++) {
		found = &f->images[n];
		if (!digest_eq(&found->manifest, &i->manifest))
			continue;
		*ret = NULL;
		return i->name ? strv_add(&found->names, i->name) : 0;
	}
	if (mem_grow(&f->images, &f->images_cap, f->nimages + 1, sizeof(*f->images)) < 0)
		return -ENOMEM;
	found = *ret = &f->images[f->nimages++];
	*found = (struct df_image){ .manifest = i->manifest, .id = i->config_digest };
	return i->name ? strv_add(&found->names, i->name) : 0;
}

static int visit_image(void *ctx, struct image *i)
{
	struct df *f = ctx;
	struct df_image *slot = NULL;
	_free_ struct digest *ids = mem_new(i->nlayers + 1, sizeof(*ids));
	int r = ids ? image_slot(f, i, &slot) : -ENOMEM;

	if (r < 0 || !slot)
		return r;
	r = refer(f, f->nimages, DF_BLOB, &i->manifest);
	if (r >= 0)
		r = refer(f, f->nimages, DF_BLOB, &i->config_digest);
	for (size_t l = 0; r >= 0 && l < i->nlayers; l++) {
		ids[l] = i->layers[l].diff_id;
		r = refer(f, f->nimages, DF_BLOB, &i->layers[l].blob);
	}
	return r < 0 ? r : refer_chain(f, f->nimages, ids, i->nlayers);
}

static int visit_snapshot(void *ctx, const char *id)
{
	struct df *f = ctx;
	_free_ struct digest *ids = NULL;
	size_t n = 0;

	if (snapshot_base(f->s, id, &ids, &n) < 0) {
		err_clear();
		return 0;
	}
	return refer_chain(f, 0, ids, n);
}

/* ---- sums ---- */

static void sum_images(struct df *f, struct df_total *t)
{
	for (size_t n = 0; n < f->nrefs; n++) {
		const struct df_item *i = &f->items[f->refs[n].item];
		struct df_image *image = &f->images[f->refs[n].image];

		image->size += i->bytes;
		*(i->images > 1 ? &image->shared : &image->unique) += i->bytes;
		if (i->images == 1 && !i->in_use)
			image->reclaimable += i->bytes;
	}
	for (size_t n = 0; n < f->nitems; n++) {
		const struct df_item *i = &f->items[n];

		if (i->images) {
			t->image_bytes += i->bytes;
			t->image_reclaimable += i->in_use ? 0 : i->bytes;
		} else if (!i->in_use) {
			t->garbage++;
			t->garbage_bytes += i->bytes;
		}
	}
	t->images = f->nimages;
}

static int count_entry(void *ctx, const char *name)
{
	++*(uint64_t *)ctx;
	return name[0] ? 0 : 1;
}

/* An older strata's claim on a layer is no download. */
static int count_download(void *ctx, const char *name)
{
	return str_after(name, "layer-") ? 0 : count_entry(ctx, name);
}

static int sum_all(struct df *f, struct df_total *t)
{
	int r = list_all(f);

	if (r >= 0)
		r = image_each(f->s, visit_image, f);
	if (r >= 0)
		r = snapshot_each(f->s, visit_snapshot, f);
	if (r < 0)
		return r;
	sum_images(f, t);
	folder_each(f->s->dirfd, "snapshots", count_entry, &t->tops);
	folder_each(f->s->dirfd, "partial", count_download, &t->downloads);
	machines_sum(f->s, t);
	kernels_sum(f->s, t);
	t->top_bytes = tree_bytes(f->s, "snapshots");
	folder_each(f->s->dirfd, "arriving", count_entry, &t->downloads);
	t->download_bytes = tree_bytes(f->s, "partial") + tree_bytes(f->s, "arriving");
	return 0;
}

int store_df(struct store *s, int (*fn)(void *ctx, const struct df_image *i), void *ctx,
	     struct df_total *ret)
{
	struct df f = { .s = s };
	struct df_total t = { 0 };
	int r = sum_all(&f, &t);

	for (size_t n = 0; r == 0 && n < f.nimages; n++)
		r = fn(ctx, &f.images[n]);
	if (r == 0)
		*ret = t;
	for (size_t n = 0; n < f.nimages; n++)
		strv_free(f.images[n].names);
	free(f.images);
	free(f.items);
	free(f.refs);
	return r;
}
