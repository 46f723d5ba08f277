/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs that are dropped on purpose. The mark `dropped/<hex>` is durable before the blob goes, so
 * that fsck tells what was dropped from what was lost. give.c makes them again for who needs them.
 */
#include "imagestore/store.h"

#include <sys/stat.h>

struct store_file dropped_file(const struct digest *d)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "dropped/%s", digest_hex(d).s);
	return f;
}

bool blob_is_dropped(struct store *s, const struct digest *d)
{
	return store_has(s, dropped_file(d).s);
}

/* ---- dropping ---- */

static bool can_drop(struct store *s, const struct image_layer *l)
{
	return store_has(s, layer_file(&l->diff_id, "record").s) &&
	       store_has(s, blob_file(&l->blob).s);
}

static int mark(struct store *s, const struct digest *d)
{
	int fd = openat(s->dirfd, dropped_file(d).s, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);

	if (fd < 0)
		return err_sys("%s/%s", s->path, dropped_file(d).s);
	fd_close(fd);
	return 0;
}

static int sync_marks(struct store *s)
{
	_close_ int fd = openat(s->dirfd, "dropped", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_sys("%s/dropped", s->path) : 0;
}

static int drop(struct store *s, const struct image *i)
{
	_close_ int lock = -1;
	int r = store_lock(s, true, &lock);

	for (size_t l = 0; r >= 0 && l < i->nlayers; l++) {
		if (can_drop(s, &i->layers[l]))
			r = mark(s, &i->layers[l].blob);
	}
	if (r >= 0)
		r = sync_marks(s);
	for (size_t l = 0; r >= 0 && l < i->nlayers; l++) {
		if (can_drop(s, &i->layers[l]))
			r = trash_move(s, blob_file(&i->layers[l].blob).s);
	}
	return r;
}

int image_drop_blobs(struct store *s, const struct digest *manifest)
{
	struct gc_result count = { 0 };
	struct image *i;
	int r = s->rdonly ? -EROFS : image_read(s, NULL, manifest, &i);

	if (r < 0)
		return err(r, "%s: the store was opened read-only", s->path);
	r = drop(s, i);
	image_close(i);
	trash_empty(s, &count);
	return r;
}
