/* SPDX-License-Identifier: Apache-2.0 */
/* How a name goes from the upper. The tree lock is written for all of these. */
#ifndef UNIONFS_REMOVE_H
#define UNIONFS_REMOVE_H

#include "unionfs/union.h"

/* Whether @n's place is @name in @dir: a hard link may have another one. */
bool node_is_at(const struct node *n, const struct node *dir, const char *name);
/*
 * Gives the file at @at another name in work/orphans, when the client still uses it and this is the
 * place we know.
 */
int orphan_link(struct ufs *u, struct node *n, struct node *dir, const struct at *at);
/* After the name that orphan_link() saw is gone / when it stayed. */
void orphan_commit(struct ufs *u, struct node *n, struct node *dir, const char *name);
void orphan_abort(struct ufs *u, struct node *n, struct node *dir, const char *name);
/* Afterwards: what had @links names before and is not kept counts no more (quota.h). */
void orphan_count(struct ufs *u, struct node *n, uint64_t links);
/* Makes an upper directory, in which the client sees nothing, empty in fact. */
int empty_whiteouts(struct ufs *u, struct node *n, const struct at *at);

#endif
