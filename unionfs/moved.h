/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of a lower that stand elsewhere in the upper (redirect.h). Those that are moved here,
 * or were looked up, have nodes and are found by number. The others are found by one walk over the
 * upper, when a lower directory is not where its lower says.
 */
#ifndef UNIONFS_MOVED_H
#define UNIONFS_MOVED_H

#include "unionfs/union.h"

/* Gives every directory of the upper that has a lower part a node. Tree lock held. */
int moved_find(struct ufs *u);
/*
 * The same, and calls @fn for each name in the upper, whiteouts too. Ends early on a value other
 * than 0.
 */
int moved_walk(struct ufs *u, int (*fn)(void *ctx, const struct at *at), void *ctx);

#endif
