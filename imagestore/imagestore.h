/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagestore: content-addressed images. Its root is an OCI image layout (OCI image-spec 1.1, "Image
 * Layout"), with the unpacked layers beside it; docs/formats/store.md has every file and the commit
 * protocol with the reason of each step.
 *
 * The life of a store: store_open() ... store_close(). Reading takes no lock. A change is a
 * transaction: txn_begin(), things written into it, txn_commit() or txn_abort(); a killed one is
 * cleared by any later command. Names live only in index.json and change under the lock `lock`,
 * held for milliseconds.
 *
 * What comes from an archive or a registry is hostile: it is parsed, bounded (struct store_bounds)
 * and checked against its digests before anything gets its final name; what is malformed is refused
 * whole. Errors as in base/err.h.
 *
 * The write side (tar, gzip, zstd) stands in files of its own, so a program that only reads links
 * none of the heavy libraries. Its nouns stand in headers of their own, which this one includes:
 * other rooms include this one alone. One thread per struct store; processes may run any number of
 * them.
 */
#ifndef IMAGESTORE_IMAGESTORE_H
#define IMAGESTORE_IMAGESTORE_H

#include "imagestore/arriving.h"
#include "imagestore/image.h"
#include "imagestore/kernel.h"
#include "imagestore/making.h"
#include "imagestore/mounting.h"
#include "imagestore/transfer.h"
#include "imagestore/upkeep.h"
#include "layer/layer.h"

/* ---- the store ---- */

#define STORE_CREATE 1u /* makes the root and its folders when missing */
#define STORE_RDONLY 2u /* a store on a read-only file system will do */

struct store;
/*
 * -ENOENT: none there. Unless STORE_RDONLY: clears what killed commands left, which fails in
 * silence where nothing can be written.
 */
int store_open(const char *root, unsigned flags, struct store **ret);
void store_close(struct store *s);
int store_dirfd(const struct store *s);
const char *store_path(const struct store *s);

#endif
