/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thing made for the upper that has no place yet: finished first, then put in place by one call.
 * A regular file has no name at all until then (O_TMPFILE; on ext4 a tenth of what a name in one
 * crowded directory and a rename cost), everything else one in work/tmp.
 */
#ifndef UNIONFS_MADE_H
#define UNIONFS_MADE_H

#include "unionfs/upper.h"

struct made {
	int fd; /* of a file without a name, readable and writable; else -1 */
	struct tmp_name tmp;
	unsigned int protect; /* what was stored of protect.h */
};

#define MADE_NONE ((struct made){ .fd = -1 })

/* Makes what @p says, empty, near directory @near; @target: of a symbolic link. */
int made_new(struct ufs *u, int near, const struct perm *p, const char *target, struct made *ret);
/*
 * A regular file of the serving process' own, without special bits, in a directory without a
 * default ACL is what it shall be as soon as it has its name: whether @p is one, and it may be made
 * in its place; so it is: its descriptor, readable and writable, and @ret; -EEXIST, -errno.
 */
bool made_fits_in_place(struct ufs *u, const struct perm *p);
int made_in_place(struct ufs *u, const struct at *at, const struct perm *p, struct stat *ret);

/* What is not in place goes. */
void made_drop(struct ufs *u, struct made *m);
/* Where it is, for giving it what it shall have. */
struct at made_at(const struct ufs *u, const struct made *m);
/*
 * Puts it at @at: -EEXIST when something is there; or, @over, in the place of the whiteout there.
 */
int made_put(struct ufs *u, struct made *m, const struct at *at, bool over, bool is_dir);
/* What was put at @at, a file or an empty directory, goes again. */
void made_take_back(struct ufs *u, const struct at *at, bool is_dir);

#endif
