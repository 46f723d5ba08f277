/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlayfs' `overlay.redirect`: where in the lowers a thing of the upper has its lower part, when
 * that is not its own place: "/path" from their root, or a name in the same directory.
 */
#ifndef UNIONFS_REDIRECT_H
#define UNIONFS_REDIRECT_H

#include "unionfs/union.h"

/* The lower thing at @path from the root, held; "" is the root. -ENOENT. */
int redirect_walk(struct ufs *u, const char *path, uint64_t *ret);
/*
 * The lower thing that upper @at belongs to, held; @dir: the lower directory beneath the one it is
 * in, 0 = none. -ENOENT: there is none. -EIO: a redirect that overlayfs would not have written.
 */
int redirect_lower(struct ufs *u, uint64_t dir, const struct at *at, uint64_t *ret);
/*
 * Before @at, which has a lower part and no other place for it than lower directory @dir says, gets
 * another place: makes it say where that part is. @absolute: not only in the same directory.
 * -EXDEV: it cannot be said.
 */
int redirect_set(struct ufs *u, uint64_t dir, const struct at *at, bool absolute);
bool redirect_is(struct ufs *u, const struct at *at);

#endif
