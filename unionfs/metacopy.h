/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlayfs' `overlay.metacopy`: an upper file that has owner, mode, times and size of its own, and
 * its bytes still in a lower. Read, never made: the bytes follow when the file is first opened here,
 * then the mark goes. Native only.
 */
#ifndef UNIONFS_METACOPY_H
#define UNIONFS_METACOPY_H

#include "unionfs/union.h"

/*
 * The lower file, held, that has the bytes of the regular file @at; 0: @at has them. @dir as for
 * redirect_lower(). -EIO: there is no such file.
 */
int metacopy_find(struct ufs *u, uint64_t dir, const struct at *at, uint64_t *ret);
/* The bytes of lower @id in the empty file @fd. */
int metacopy_copy(struct ufs *u, uint64_t id, int fd);
/* Gives @n, open as @fd for writing, its bytes if it has not got them. */
int metacopy_fill(struct ufs *u, struct node *n, int fd);

#endif
