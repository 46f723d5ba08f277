/* SPDX-License-Identifier: Apache-2.0 */
/* A check under way. */
#ifndef IMAGESTORE_FSCK_H
#define IMAGESTORE_FSCK_H

#include "imagestore/digest_set.h"
#include "imagestore/store.h"

/* What an image refers to, for naming it beside a damage. */
struct fsck_image {
	char *name;
	struct digest_set refers;
};

struct fsck {
	struct store *s;
	void (*fn)(void *ctx, const char *line);
	void *ctx;
	struct fsck_result result;
	struct fsck_image *images;
	size_t nimages, cap;
	struct digest_set checked_objects; /* looked at, be they whole or not */
	/* damaged or missing: for repair.c */
	struct digest_set bad_layers, bad_blobs, bad_objects, bad_kernels;
};

/*
 * One line with the images that refer to @d (may be NULL); takes the waiting text of @r when @fmt
 * is NULL.
 */
void fsck_damage(struct fsck *f, const struct digest *d, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As fsck_damage() with the text that waits for the failure @r. */
void fsck_failure(struct fsck *f, const struct digest *d, int r);

/* The whole check; fsck_done() frees what it found, also after a failure. */
int fsck_run(struct fsck *f);
void fsck_done(struct fsck *f);

/* Everything about one layer in the store. */
int fsck_layer(struct fsck *f, const struct digest *layer);
/* kernel_fsck.c: every kernel of microVMs. */
int kernels_check(struct fsck *f);
/* A file against its digest: 1 = good, 0 = damaged and said so. @what: "blob", ... */
int fsck_file(struct fsck *f, int dirfd, const char *path, const struct digest *want,
	      const struct digest *owner);

#endif
