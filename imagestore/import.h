/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGESTORE_IMPORT_H
#define IMAGESTORE_IMPORT_H

#include "imagestore/txn.h"

/* Imports a blob that stands in the transaction already, under its digest, checked. */
int import_blob_of_txn(struct txn *t, const struct store_bounds *b, const struct digest *blob,
		       const struct digest *expect_diff_id, struct image_layer *ret);
/*
 * Makes a layer's blob again from its frame, for an image that needs one; it may be another than it
 * once had.
 */
int import_rebuild_blob(struct txn *t, struct image_layer *layer);

#endif
