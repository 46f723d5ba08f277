/* SPDX-License-Identifier: Apache-2.0 */
/* Owner and mode of a node: changing them, and what a change of content takes away. */
#ifndef UNIONFS_ATTR_H
#define UNIONFS_ATTR_H

#include "unionfs/union.h"

/*
 * What a change of owner or content by an unprivileged one leaves of the mode (Linux
 * setattr_should_drop_suidgid()).
 */
mode_t attr_without_privileges(mode_t mode);
/*
 * Takes set-user-id, set-group-id and file capabilities away from @n. Its stripe and the tree lock
 * held.
 */
int attr_kill_privileges(struct ufs *u, struct node *n);
/* Sets owner and mode. Its stripe and the tree lock held. */
int attr_set_perm(struct ufs *u, struct node *n, const struct at *at, const struct perm *from,
		  const struct perm *to);
/* Who owns it now. */
int attr_perm(struct ufs *u, struct node *n, const struct at *at, struct perm *ret);

#endif
