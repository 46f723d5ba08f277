/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping a store: what it takes, what may go, whether it is sound. Part of imagestore.h. */
#ifndef IMAGESTORE_UPKEEP_H
#define IMAGESTORE_UPKEEP_H

#include "base/sha256.h"
#include <stdint.h>

struct store;

/* ---- garbage ---- */

struct gc_result {
	uint64_t files, bytes;
};
int store_gc(struct store *s, struct gc_result *ret);
/*
 * The same, but of the layers that nothing needs (a build's cached steps) those made or used last
 * stay, up to @keep bytes of them.
 */
int store_gc_keep(struct store *s, uint64_t keep, struct gc_result *ret);

/* ---- how much of the disk: bytes as allocated ---- */

struct df_image {
	char **names; /* strv; NULL: it has none */
	struct digest manifest, id;
	uint64_t size, shared, unique; /* size = shared with other images + unique */
	uint64_t reclaimable;	       /* of unique: what no instance stands on */
};
struct df_total {
	uint64_t images, image_bytes;
	uint64_t image_reclaimable; /* by removing all images that no instance stands on */
	uint64_t tops, top_bytes;   /* snapshots */
	uint64_t garbage,
		garbage_bytes; /* layers, blobs, objects, indexes that no image names: gc's */
	uint64_t downloads, download_bytes; /* to be resumed, and images that arrive */
	/* microVMs that have booted already; reclaimable: not begun from for a week, gc's */
	uint64_t machines, machine_bytes, machine_reclaimable;
	/* what they boot; reclaimable: without a name, and no instance boots it */
	uint64_t kernels, kernel_bytes, kernel_reclaimable;
};
/* Calls @fn for each image; ends early on a value other than 0 and gives it. */
int store_df(struct store *s, int (*fn)(void *ctx, const struct df_image *i), void *ctx,
	     struct df_total *ret);

/* ---- soundness ---- */

struct fsck_result {
	uint64_t checked, damaged;
};
/* Re-hashes all; a line for each damage ("layer sha256:...: pack block 12: ... (image x)"). */
int store_fsck(struct store *s, void (*fn)(void *ctx, const char *line), void *ctx,
	       struct fsck_result *ret);

/*
 * The same, and mends what it can: a merged index is made again; a damaged layer, or one whose
 * object is damaged, is made again of its blob, or of its frame when that still gives its tar; a
 * blob of its layer's frame; else what it was is pulled again from where its image came, or it is
 * dropped as image_drop_blobs() does. What cannot be mended is dropped. Gives what a second check
 * finds: its lines name the images that are incomplete now. (Write side.)
 */
int store_repair(struct store *s, void (*fn)(void *ctx, const char *line), void *ctx,
		 struct fsck_result *ret);

/* ---- less of it ---- */

/*
 * Drops the compressed blobs of an image's layers, which halves what it takes: the tar is given
 * back from the frame all the same. store_save() and image_push() make them again for what they
 * give away; where other compressed bytes come of it than the image came with, they give a manifest
 * that names those (the same config, the same diffIDs).
 */
int image_drop_blobs(struct store *s, const struct digest *manifest);

#endif
