/* SPDX-License-Identifier: Apache-2.0 */
/* Making layers and images: the write side (zstd, ISA-L). Part of imagestore.h. */
#ifndef IMAGESTORE_MAKING_H
#define IMAGESTORE_MAKING_H

#include "imagestore/image.h"

struct txn;

struct store_bounds {
	uint64_t max_layer_bytes; /* unpacked, and of its blob; 0 = 64 GiB */
	uint64_t max_entries;	  /* 0 = 4 M */
	uint32_t max_depth;	  /* 0 = 256 */
	/* unpacked / compressed, and claimed zeros / tar, past 64 MiB; 0 = 1,000 */
	uint32_t max_ratio;
};
/*
 * What holds where a struct store_bounds * is NULL: "bytes=SIZE,entries=N,depth=N,ratio=N", each
 * may be left out. -EINVAL.
 */
int store_set_bounds(struct store *s, const char *text);

int txn_begin(struct store *s, struct txn **ret);
/* Publishes all that was written (docs/formats/store.md, "Commit"). */
int txn_commit(struct txn *t);
/* Drops it; also after a commit: frees. */
void txn_abort(struct txn *t);

/*
 * Pins a layer that is in the store for as long as @t lives: a build holds the layers of its steps
 * this way, until an image names them. -ENOENT.
 */
int txn_hold(struct txn *t, const struct digest *diff_id);

/*
 * A layer from a tar stream (plain, gzip or zstd: detected) on @fd. The blob is kept as it came,
 * but a plain tar without @expect_blob is stored gzipped (with it, a manifest names the plain one).
 * @expect_diff_id and @expect_blob may be NULL. -EBADMSG: malformed or of another digest; -EFBIG:
 * over a bound; the text names entry and reason.
 */
int layer_import(struct txn *t, int fd, const struct store_bounds *b,
		 const struct digest *expect_blob, const struct digest *expect_diff_id,
		 struct image_layer *ret);
/* A layer from tar bytes that the caller writes: a sink as archive_write_open(3) wants. */
struct layer_sink;
int layer_sink_open(struct txn *t, const struct store_bounds *b, struct layer_sink **ret);
int layer_sink_write(struct layer_sink *k, const void *data, size_t len);
int layer_sink_close(struct layer_sink *k, struct image_layer *ret); /* ret NULL: abort */

/* A layer that is in the store, complete: from its own record or a manifest. -ENOENT. */
int layer_find(struct store *s, const struct digest *diff_id, struct image_layer *ret);

/*
 * Writes config (its rootfs is set) and manifest blobs and names the image at commit; NULL name =
 * unnamed. Merges the stack, so a hard link to nothing in it is found here: -EBADMSG. A layer's
 * blob that is gone is made again from its frame.
 */
int txn_image(struct txn *t, const char *name, const json_t *config,
	      const struct image_layer *layers, size_t n, struct digest *ret_manifest);

/* The build cache: key -> layer, and back; a key whose layer is gone is -ENOENT. */
int cache_get(struct store *s, const struct digest *key, struct digest *ret_diff_id,
	      bool *ret_empty);
int cache_put(struct store *s, const struct digest *key, const struct digest *diff_id, bool empty);

/* The tar of a layer, bit for bit, from its blob or from its frame, written to @fd. */
int layer_export(struct store *s, const struct digest *diff_id, int fd);

/*
 * A tar of a host directory for `import DIR`: owners, modes, xattrs, hard links, devices as they
 * are; sorted, so the same tree gives the same bytes. Sockets are left out with a log_warn(). A
 * value other than 0 from @sink ends it.
 */
int tar_of_directory(int dirfd, int (*sink)(void *ctx, const void *data, size_t len), void *ctx);

#endif
