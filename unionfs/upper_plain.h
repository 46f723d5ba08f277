/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain top (UFS_UPPER_PLAIN): a directory as it is, which others may change meanwhile. There
 * is no work directory: things are made in their place, and what is unlinked while the client
 * uses it is kept by a descriptor, node.fixed_fd of an orphan.
 */
#ifndef UNIONFS_UPPER_PLAIN_H
#define UNIONFS_UPPER_PLAIN_H

#include "unionfs/union.h"

int plain_open(struct ufs *u, const struct ufs_config *cfg);
/* Makes of the file's own @st what the client sees. */
void plain_show(const struct ufs *u, struct stat *st);
/*
 * Makes what @p says at @at, which is free; gives a regular file's descriptor, readable and
 * writable, else -1.
 */
int plain_make(struct ufs *u, const struct at *at, const struct perm *p, const char *target,
	       int *ret_fd);

/* Before the last name we know of @n, at @at, goes. Tree lock written, as for the others. */
int plain_hold(struct ufs *u, struct node *n, const struct at *at);
void plain_release(struct node *n);
/*
 * The node *@n was found by the number of the file that @at in @dir names, of type @type: puts it
 * there, wherever it was before. Another file that has the number now: *@n is NULL.
 */
int plain_settle(struct ufs *u, struct node **n, struct node *dir, const struct at *at,
		 uint32_t type);
/* Whether @fd is what @n stands for. */
bool plain_is(const struct node *n, int fd);

#endif
