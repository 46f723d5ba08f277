/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a lower into the upper: made in work/tmp, then put in place by one rename. The nodeid and
 * st_ino stay. A lower is only read.
 */
#ifndef UNIONFS_COPYUP_H
#define UNIONFS_COPYUP_H

#include "unionfs/made.h"
#include "unionfs/union.h"

#define COPYUP_ALL UINT64_MAX
/* Everything but the bytes, where the union leaves those in the lower (metacopy.h); else all. */
#define COPYUP_META (UINT64_MAX - 1)

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
/*
 * Gives @n, a copied-up file that is `linking`, the names that its lower has: killed or failed in
 * the middle of that, its other names would be another file. Tree lock written.
 */
int copyup_links(struct ufs *u, struct node *n);
/* Whatever it is. No lock held. */
int copyup(struct ufs *u, struct inode *i, uint64_t limit);

/* Gives all of the client's xattrs that lower @id has to @at. */
int copyup_xattrs(struct ufs *u, uint64_t id, const struct at *at);
/* Marks @dir as holding copied-up things. */
int copyup_mark_impure(struct ufs *u, struct node *dir);

/* The whole copy of lower @id, which is as @st says, without a place yet. */
int copyup_make(struct ufs *u, uint64_t id, const struct stat *st, uint64_t limit,
		struct made *ret);
/*
 * Puts a finished thing at a place without the directory's times showing it: the client did not
 * change that.
 */
int copyup_put(struct ufs *u, struct made *m, const struct at *at);

/*
 * Copies what @from has below @limit to the empty file @fd: by reflink, else in the kernel, holes
 * left out.
 */
int copy_content(struct ufs *u, const struct lower_data *from, int fd, uint64_t limit);
/* The @len bytes of file @in to the empty file @out, likewise. */
int copy_whole(int in, int out, uint64_t len);

#endif
