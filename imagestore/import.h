/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGESTORE_IMPORT_H
#define IMAGESTORE_IMPORT_H

#include "imagestore/txn.h"

/*
 * Where a layer's bytes come from: the next ones, waited for, at *@ret until it is asked again; how
 * many, 0 at their end, -errno.
 */
struct import_source {
	ssize_t (*next)(void *ctx, const void **ret);
	void *ctx;
};
/*
 * The layer alone: its blob, which is *@ret's already, is somebody else's to check and keep. May be
 * called by several threads for one transaction, each with another diffID.
 */
int import_layer_of(struct txn *t, const struct import_source *source, const struct store_bounds *b,
		    const struct digest *expect_diff_id, struct image_layer *ret);
/* Imports a blob that stands in the transaction already, under its digest, checked. */
int import_blob_of_txn(struct txn *t, const struct store_bounds *b, const struct digest *blob,
		       const struct digest *expect_diff_id, struct image_layer *ret);
/*
 * Imports a plain tar that stands in the transaction under its digest, which is the layer's diffID;
 * its blob is gzipped.
 */
int import_tar_of_txn(struct txn *t, const struct store_bounds *b, const struct digest *diff_id,
		      struct image_layer *ret);
/*
 * Makes a layer's blob again from its frame, for an image that needs one; it may be another than it
 * once had.
 */
int import_rebuild_blob(struct txn *t, struct image_layer *layer);
/* Puts the manifest of a config that stands in the transaction. */
int import_manifest(struct txn *t, const struct digest *config, uint64_t config_size,
		    const struct image_layer *layers, size_t n, struct digest *ret,
		    uint64_t *ret_size);

#endif
