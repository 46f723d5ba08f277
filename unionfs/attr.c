/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/attr.h"

#include "unionfs/acl.h"

#include <errno.h>

mode_t attr_without_privileges(mode_t mode)
{
	if (!S_ISREG(mode))
		return mode;
	mode &= ~(mode_t)S_ISUID;
	return mode & S_IXGRP ? mode & ~(mode_t)S_ISGID : mode;
}

int attr_perm(struct ufs *u, struct node *n, const struct at *at, struct perm *ret)
{
	struct stat st;

	if (u->mode != UFS_UPPER_MAPPED)
		return upper_load(u, at, &st, ret);
	*ret = node_perm(u, n);
	return 0;
}

/* A real file system keeps the ACL and the mode in step itself. */
static int chmod_acl(struct ufs *u, const struct at *at, mode_t mode)
{
	char acl[ACL_MAX];
	ssize_t len = upper_getxattr(u, at, ACL_ACCESS, acl, sizeof(acl));

	if (len < 0 || acl_check(acl, (size_t)len) < 0)
		return 0;
	acl_chmod(acl, (size_t)len, mode);
	return upper_setxattr(u, at, ACL_ACCESS, acl, (size_t)len, 0);
}

int attr_set_perm(struct ufs *u, struct node *n, const struct at *at, const struct perm *from,
		  const struct perm *to)
{
	int e = upper_set_perm(u, at, from, to);

	if (e || u->mode != UFS_UPPER_MAPPED)
		return e;
	node_set_perm(u, n, to);
	return from->mode == to->mode ? 0 : chmod_acl(u, at, to->mode);
}

int attr_kill_privileges(struct ufs *u, struct node *n)
{
	struct perm from, to;
	struct at at;
	int e = node_at(u, n, &at);

	if (e)
		return e;
	e = attr_perm(u, n, &at, &from);
	if (!e) {
		to = from;
		to.mode = attr_without_privileges(from.mode);
		if (to.mode != from.mode)
			e = attr_set_perm(u, n, &at, &from, &to);
		/* A real file system does this at every write. */
		if (!e && u->mode == UFS_UPPER_MAPPED)
			upper_removexattr(u, &at, "security.capability");
	}
	at_put(u, &at);
	return e;
}
