/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks that other programs leave in directories: fuse-overlayfs and containers/storage, which
 * write AUFS' names where they mount by a program. Read when struct ufs_config says `foreign`:
 *
 *	.wh.NAME	NAME is gone: whatever a layer beneath has, not what the same layer has
 *	.wh..wh..opq	the directory that holds it is opaque; another .wh..wh. means nothing
 *	opaque		{trusted,user}.overlay.opaque or user.fuseoverlayfs.opaque = y
 *
 * No such name is shown to the client or taken from it.
 */
#ifndef UNIONFS_FOREIGN_H
#define UNIONFS_FOREIGN_H

#include <stdbool.h>

struct at;
struct ufs;

#define FOREIGN_MARK   ".wh."
#define FOREIGN_OPAQUE ".wh..wh..opq"

/* Whether the name is one of those above. */
bool foreign_is_mark(const char *name);
/* What the whiteout @mark hides: a part of it; NULL: nothing. */
const char *foreign_hides(const char *mark);
/* Whether a whiteout in @dirfd hides @name. */
bool foreign_hidden(int dirfd, const char *name);
/* Whether directory @name in @dirfd ("": itself) is opaque by one of these xattrs / by a name. */
bool foreign_opaque_xattr(int dirfd, const char *name);
bool foreign_opaque_name(int dirfd, const char *name);
/* Whether any name in the directory @dirfd is such a mark. 1, 0, -errno. */
int foreign_any(int dirfd);
/*
 * Turns the marks of an upper directory into ours, each by a step that leaves either; two may do it
 * at once. Finds nothing to do the second time.
 */
int foreign_adopt(struct ufs *u, const struct at *dir);

#endif
