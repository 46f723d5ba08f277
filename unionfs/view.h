/* SPDX-License-Identifier: Apache-2.0 */
/* The merged tree: what a name in a directory is. Tree lock held for all of these. */
#ifndef UNIONFS_VIEW_H
#define UNIONFS_VIEW_H

#include "unionfs/union.h"

/* The lower directory that shows in @dir; 0: none. */
uint64_t view_lower_dir(const struct inode *dir);
/* What the upper has at a name, nothing of the lowers considered. */
enum upper_kind { UPPER_ABSENT, UPPER_WHITEOUT, UPPER_THING };
/* What the client sees as @name in @dir, pinned, and what inode_stat() says of it; -ENOENT. */
struct found {
	struct inode inode;
	struct stat st;
	enum upper_kind kind; /* with -ENOENT too */
};
int view_lookup(struct ufs *u, const struct inode *dir, const char *name, struct found *ret);
/* The same of what a lower alone has at a name: @id, held, which is handed over. */
int view_lower(struct ufs *u, uint64_t id, struct found *ret);
/* Tells the client of @i: it may use the nodeid until it forgets it. */
void view_remember(struct ufs *u, const struct inode *i);

/* That alone. */
int view_upper(struct ufs *u, const struct at *at, enum upper_kind *ret);
/* Whether a lower entry of that name would show if the upper had none. */
int view_beneath(struct ufs *u, const struct inode *dir, const char *name, bool *ret);
/* The node of what stands at @at, the place of @name in @dir. UPPER_THING only. */
int view_node(struct ufs *u, struct node *dir, const struct at *at, struct node **ret);
/*
 * The same of what was just made there, from nothing: it has no mark but that of an opaque
 * directory, and so no lower part. @st: its own, or st_ino 0; then as the client sees it.
 */
int view_made(struct ufs *u, struct node *dir, const struct at *at, struct node **ret,
	      struct stat *st);

/*
 * Changes go through the upper: gives the node of directory @dir, copying it and its parents up
 * first if need be. -ENOENT when it is gone.
 */
int view_dir_up(struct ufs *u, const struct inode *dir, struct node **ret);
/* 0, or -ENOTEMPTY when the directory has names that the client sees. */
int view_check_empty(struct ufs *u, const struct inode *dir);

#endif
