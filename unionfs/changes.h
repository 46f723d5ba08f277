/* SPDX-License-Identifier: Apache-2.0 */
/* One thing that ufs_changes() tells of: in the upper, or in a lower and shown at another place. */
#ifndef UNIONFS_CHANGES_H
#define UNIONFS_CHANGES_H

#include "unionfs/union.h"

struct thing {
	struct ufs *u;
	const char *path; /* for errors */
	struct at at;	  /* in the upper: dirfd -1: not there */
	/*
	 * the lower thing: of a directory what merges with it, of a file where its bytes are, of
	 * what is not in the upper itself; held; 0 = none
	 */
	uint64_t lower;
};

/*
 * What the upper, else the lower says of it. *@ret_gone: a whiteout. @dir: the lower directory
 * beneath the one it is in; t->lower is set then.
 */
int thing_load(struct thing *t, uint64_t dir, struct ufs_change *c, bool *ret_gone);
/* Fills in the content and xattrs, and calls @fn with it. */
int thing_give(struct thing *t, struct ufs_change *c,
	       int (*fn)(void *ctx, const struct ufs_change *c), void *ctx);

#endif
