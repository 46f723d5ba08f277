/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlayfs' `overlay.metacopy`: an upper file that has owner, mode, times and size of its own, and
 * its bytes still in a lower. They follow into the same file before the first change of them; the
 * mark goes last, and while it is there the lower's bytes count: so whoever is killed in between
 * left the old file. When the mark's file is shorter than the lower one, it was being truncated.
 */
#ifndef UNIONFS_METACOPY_H
#define UNIONFS_METACOPY_H

#include "unionfs/union.h"

/*
 * The lower file, held, that has the bytes of the regular file @at; 0: @at has them. @dir as for
 * redirect_lower(). -EIO: there is no such file. Ends a truncation that was cut off.
 */
int metacopy_find(struct ufs *u, uint64_t dir, const struct at *at, uint64_t *ret);
/* Makes the empty file @fd one that has its bytes in lower @id. */
int metacopy_begin(struct ufs *u, int fd, uint64_t id);
/* The first @limit bytes of lower @id in the file @fd. */
int metacopy_copy(struct ufs *u, uint64_t id, int fd, uint64_t limit);
/*
 * Gives @n, open as @fd for writing, its bytes if it has not got them; only the first @limit: it is
 * that short then.
 */
int metacopy_fill(struct ufs *u, struct node *n, int fd, uint64_t limit);

#endif
