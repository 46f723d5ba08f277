/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/union.h"

#include <errno.h>

int inode_pin(struct ufs *u, uint64_t nodeid, struct inode *ret)
{
	struct node *n = NULL;
	int e;

	/* The orphans' directory has a number that no client may use. */
	if (nodeid == 0 || nodeid == UINT64_MAX)
		return -ESTALE;
	if (u->mode != UFS_UPPER_NONE)
		n = node_get(u, nodeid);
	if (n) {
		*ret = (struct inode){ .node = n, .lower = n->lower };
		return 0;
	}
	e = u->mode == UFS_UPPER_PLAIN ? -ESTALE : lower_get(&u->lower, nodeid);
	if (e)
		return -ESTALE;
	*ret = (struct inode){ .lower = nodeid };
	return 0;
}

void inode_unpin(struct ufs *u, struct inode *i)
{
	if (i->node)
		node_put(u, i->node);
	else if (i->lower)
		lower_put(&u->lower, i->lower);
	*i = INODE_NONE;
}

int inode_stat(struct ufs *u, const struct inode *i, struct stat *ret)
{
	int e = i->node ? upper_stat_node(u, i->node, ret) : lower_stat(&u->lower, i->lower, ret);

	if (!e && !i->node && gone_is(&u->gone, i->lower))
		ret->st_nlink = 0;
	return e;
}

uint64_t inode_data(struct ufs *u, const struct inode *i)
{
	if (i->node)
		return node_data(u, i->node);
	/* It is held already: another time cannot fail. */
	lower_get(&u->lower, i->lower);
	return i->lower;
}
