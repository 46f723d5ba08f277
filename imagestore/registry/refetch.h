/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGESTORE_REGISTRY_REFETCH_H
#define IMAGESTORE_REGISTRY_REFETCH_H

#include "imagestore/txn.h"

/*
 * A blob, or a manifest, of the repository @source ("HOST/REPOSITORY"; its mirrors first) into the
 * transaction, checked against its digest and size.
 */
int refetch(struct txn *t, const char *source, bool manifest, const struct digest *d,
	    uint64_t size);

#endif
