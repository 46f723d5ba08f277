/* SPDX-License-Identifier: Apache-2.0 */
/* What a thing in a layer of a stack says of the layers beneath it: as overlayfs, and foreign.h. */
#ifndef UNIONFS_DIRS_MARKS_H
#define UNIONFS_DIRS_MARKS_H

#include "unionfs/lower_dirs.h"

#include <limits.h>

/* False: it has no xattr at all, so no mark. */
bool dirs_may_be_marked(const struct at *at);
/* "overlay.redirect", "overlay.metacopy"...: as getxattr(2), -ENODATA. */
ssize_t dirs_get_mark(const struct lower *l, const struct at *at, const char *mark, void *value,
		      size_t size);
/* Whether the directory hides what is beneath; @marked: it may be marked. */
bool dirs_is_opaque(const struct lower *l, const struct at *at, bool marked);
/*
 * Whether a whiteout beside it hides @name of the layers beneath; a directory that is known, @dir
 * not NULL, is read once.
 */
bool dirs_is_hidden(const struct lower *l, struct dirs_part *dir, int dirfd, const char *name);
/*
 * Whiteouts that are files (Linux 6.7): empty, with an "overlay.whiteout" xattr, in a directory
 * whose "overlay.opaque" is "x".
 */
bool dirs_has_xwhiteouts(const struct lower *l, int dirfd);
bool dirs_is_xwhiteout(const struct lower *l, const struct at *at);
/* Whether what is there, @st, is a whiteout of either kind. */
bool dirs_is_whiteout(const struct lower *l, const struct at *at, const struct stat *st);
/* Where the layers beneath have it: a path from "/", or a name; "": where it is. */
int dirs_get_redirect(const struct lower *l, const struct at *at, char value[PATH_MAX]);

#endif
