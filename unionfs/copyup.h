/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a lower into the upper: made in work/tmp, then put in place by one rename. The nodeid and
 * st_ino stay. A lower is only read.
 */
#ifndef UNIONFS_COPYUP_H
#define UNIONFS_COPYUP_H

#include "unionfs/union.h"

#define COPYUP_ALL UINT64_MAX

/*
 * Makes sure that @i, which is no directory, is in the upper: i->node is not NULL then. Only the
 * first @limit bytes of its content are copied: what a truncation leaves. No lock held.
 */
int copyup_file(struct ufs *u, struct inode *i, uint64_t limit);
/*
 * The same for the lower directory @id: its node, pinned. -ENOENT: the client cannot see it. Tree
 * lock held.
 */
int copyup_dir(struct ufs *u, uint64_t id, struct node **ret);
/* Whatever it is. No lock held. */
int copyup(struct ufs *u, struct inode *i, uint64_t limit);

/* Gives all of the client's xattrs that lower @id has to @at. */
int copyup_xattrs(struct ufs *u, uint64_t id, const struct at *at);
/* Marks @dir as holding copied-up things. */
int copyup_mark_impure(struct ufs *u, struct node *dir);

/*
 * Copies what @from has below @limit to the empty file @fd: by reflink, else in the kernel, holes
 * left out.
 */
int copy_content(const struct lower_data *from, int fd, uint64_t limit);

#endif
