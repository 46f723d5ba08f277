/* SPDX-License-Identifier: Apache-2.0 */
/* What a collection lets stay of the dead layers: the cached steps of builds, the latest first. */
#include "imagestore/gc.h"

#include <stdlib.h>
#include <sys/stat.h>

struct dead {
	struct digest diff_id, blob;
	bool has_blob;
	uint64_t bytes;	      /* of its folder and blob */
	struct timespec used; /* mtime of the layer's folder: made, or found by a build */
};

struct folder_sum {
	int dirfd;
	uint64_t bytes;
};

static int add_file(void *ctx, const char *name)
{
	struct folder_sum *sum = ctx;
	struct stat st;

	if (fstatat(sum->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		sum->bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

/* What its objects add to what stays anyway. */
static uint64_t object_bytes(struct gc *gc, const struct digest *diff_id)
{
	_free_ struct digest *objects = NULL;
	uint64_t bytes = 0;
	struct stat st;
	size_t n = 0;

	if (layer_objects(gc->s->dirfd, layer_file(diff_id, "objects").s, &objects, &n) < 0)
		err_clear();
	for (size_t i = 0; i < n; i++) {
		if (!digest_set_has(&gc->live_objects, &objects[i]) &&
		    fstatat(gc->s->dirfd, object_file(&objects[i]).s, &st, 0) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	return bytes;
}

/* -ENOENT: it cannot be kept. */
static int look_at(struct gc *gc, struct dead *d)
{
	struct store_file folder = layer_file(&d->diff_id, NULL);
	_close_ int fd = openat(gc->s->dirfd, folder.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct folder_sum sum = { .dirfd = fd };
	_json_ json_t *record = NULL;
	struct image_layer own;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || record_read(fd, "record", &record) < 0)
		return -ENOENT;
	folder_each(fd, ".", add_file, &sum);
	if (record_blob(record, &own) == 0 &&
	    fstatat(gc->s->dirfd, blob_file(&own.blob).s, &st, 0) == 0) {
		d->has_blob = true;
		d->blob = own.blob;
		sum.bytes += (uint64_t)st.st_blocks * 512;
	}
	if (fstat(fd, &st) < 0)
		return -ENOENT;
	d->bytes = sum.bytes;
	d->used = st.st_mtim;
	return 0;
}

static int later_first(const void *a, const void *b)
{
	const struct timespec *x = &((const struct dead *)a)->used,
			      *y = &((const struct dead *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec > y->tv_sec ? -1 : 1;
	return (x->tv_nsec < y->tv_nsec) - (x->tv_nsec > y->tv_nsec);
}

int gc_mark_recent(struct gc *gc)
{
	_free_ struct dead *dead = mem_new(gc->layers.n + 1, sizeof(*dead));
	uint64_t left = gc->scope->keep;
	size_t n = 0;
	int r = dead ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < gc->layers.n; i++) {
		dead[n] = (struct dead){ .diff_id = gc->layers.d[i] };
		if (!digest_set_has(&gc->live_layers, &dead[n].diff_id))
			n += look_at(gc, &dead[n]) == 0;
	}
	err_clear();
	if (r >= 0)
		qsort(dead, n, sizeof(*dead), later_first);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		uint64_t bytes = dead[i].bytes + object_bytes(gc, &dead[i].diff_id);

		if (bytes > left)
			break;
		left -= bytes;
		r = gc_mark_layer(gc, &dead[i].diff_id);
		if (r >= 0 && dead[i].has_blob)
			r = digest_set_add(&gc->live_blobs, &dead[i].blob);
	}
	return MIN(r, 0);
}
