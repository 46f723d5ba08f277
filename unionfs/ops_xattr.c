/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "unionfs/acl.h"
#include "unionfs/attr.h"
#include "unionfs/copyup.h"
#include "unionfs/request.h"

#include <errno.h>
#include <limits.h>

/*
 * A client that agreed on ACLs with a server before this one asks for them to decide who may what:
 * it is answered as it was.
 */
static bool refused(const struct request *r, const char *name)
{
	return r->u->noacl && !(r->conn->flags & WIRE_POSIX_ACL) && acl_is_name(name);
}

/* ---- GETXATTR, LISTXATTR ---- */

static ssize_t getxattr_of(struct ufs *u, const struct inode *i, const char *name, void *value,
			   size_t size)
{
	struct at at;
	ssize_t n;

	if (!i->node)
		return xname_get_lower(u, i->lower, name, value, size);
	pthread_rwlock_rdlock(&u->tree);
	n = node_at(u, i->node, &at);
	if (!n) {
		n = upper_getxattr(u, &at, name, value, size);
		at_put(u, &at);
	}
	pthread_rwlock_unlock(&u->tree);
	return n;
}

static ssize_t listxattr_of(struct ufs *u, const struct inode *i, char *list, size_t size)
{
	struct at at;
	ssize_t n;

	if (!i->node)
		return xname_list_lower(u, i->lower, list, size);
	pthread_rwlock_rdlock(&u->tree);
	n = node_at(u, i->node, &at);
	if (!n) {
		n = upper_listxattr(u, &at, list, size);
		at_put(u, &at);
	}
	pthread_rwlock_unlock(&u->tree);
	return n;
}

/* Takes the ACLs' names out of a list: its length then. */
static ssize_t drop_acls(char *list, ssize_t len)
{
	ssize_t kept = 0;

	for (ssize_t at = 0, l; at < len; at += l) {
		l = (ssize_t)strlen(list + at) + 1;
		if (acl_is_name(list + at))
			continue;
		memmove(list + kept, list + at, (size_t)l);
		kept += l;
	}
	return kept;
}

/* @name NULL: the list. Size 0 asks how much it is. */
static ssize_t get_or_list(struct request *r, const char *name)
{
	const struct wire_getxattr_in *in = r->arg;
	size_t size = MIN((size_t)in->size, (size_t)UFS_XATTR_MAX);
	_free_ char *buf = size ? malloc(size) : NULL;
	struct wire_getxattr_out o = { 0 };
	struct inode i;
	ssize_t n;
	int e;

	if (name && refused(r, name))
		return request_fail(r, -EOPNOTSUPP);
	if (size && !buf)
		return request_fail(r, -ENOMEM);
	e = inode_pin(r->u, r->h.nodeid, &i);
	if (e)
		return request_fail(r, e);
	n = name ? getxattr_of(r->u, &i, name, buf, size) : listxattr_of(r->u, &i, buf, size);
	inode_unpin(r->u, &i);
	if (n > 0 && size && name && acl_is_name(name))
		ids_show_acl(r->u, buf, (size_t)n);
	if (n > 0 && size && !name && r->u->noacl)
		n = drop_acls(buf, n);
	/* ls(1) stops asking for labels after this, not after ENODATA. */
	if (n == -ENODATA && name && streq(name, "security.selinux"))
		n = -EOPNOTSUPP;
	/* Fifos and sockets of some file systems have none. */
	if (n == -EOPNOTSUPP && !name)
		n = 0;
	if (n < 0)
		return request_fail(r, (int)n);
	if (size)
		return request_reply(r, 0, buf, (size_t)n);
	o.size = (uint32_t)n;
	return request_reply(r, 0, &o, sizeof(o));
}

ssize_t op_getxattr(struct request *r)
{
	return get_or_list(r, r->name[0]);
}

ssize_t op_listxattr(struct request *r)
{
	return get_or_list(r, NULL);
}

/* ---- SETXATTR, REMOVEXATTR ---- */

struct change {
	const char *name;
	const void *value; /* NULL: remove */
	size_t size;
	int flags;
	bool kill_sgid;
};

/* An access ACL says what the mode is; a real file system knows that by itself. */
static int follow_acl(struct ufs *u, struct node *n, const struct at *at, const struct change *c)
{
	struct perm from, to;
	int e;

	if (!c->value || !streq(c->name, ACL_ACCESS))
		return 0;
	e = attr_perm(u, n, at, &from);
	if (e)
		return e;
	to = from;
	if (u->mode == UFS_UPPER_MAPPED && acl_check(c->value, c->size) == 0)
		to.mode = (from.mode & ~0777u) | acl_mode(c->value, c->size);
	if (c->kill_sgid)
		to.mode &= ~(uint32_t)S_ISGID;
	if (to.mode == from.mode)
		return 0;
	e = upper_set_perm(u, at, &from, &to);
	if (!e && u->mode == UFS_UPPER_MAPPED)
		node_set_perm(u, n, &to);
	return e;
}

static int store_xattr(struct ufs *u, struct node *n, const struct at *at, const struct change *c)
{
	int e;

	if (c->value)
		e = upper_setxattr(u, at, c->name, c->value, c->size, c->flags);
	else
		e = upper_removexattr(u, at, c->name);
	/* Of any directory: whoever remembers that there is none looks again. */
	if (!e && streq(c->name, ACL_DEFAULT))
		u->acl_changes += 1 + (u->acl_changes == UINT_MAX);
	return e ? e : follow_acl(u, n, at, c);
}

static void count_anew(struct ufs *u, struct node *n, const struct at *at, uint64_t taken)
{
	struct stat st;

	if (u->quota.limit &&
	    fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
		quota_settle_stat(u, n, &st, taken);
	else
		quota_give(u, taken);
}

/* In the upper by now; its stripe held. */
static int change_xattr(struct ufs *u, struct node *n, const struct change *c)
{
	struct at at;
	int e;

	pthread_rwlock_rdlock(&u->tree);
	e = node_at(u, n, &at);
	if (!e) {
		e = quota_take(u, c->size);
		if (!e) {
			e = store_xattr(u, n, &at, c);
			count_anew(u, n, &at, c->size);
		}
		at_put(u, &at);
	}
	pthread_rwlock_unlock(&u->tree);
	return e;
}

static int check_acl(const struct change *c)
{
	return acl_is_name(c->name) && c->value ? acl_check(c->value, c->size) : 0;
}

static ssize_t change_request(struct request *r, const struct change *c)
{
	struct inode i;
	pthread_mutex_t *stripe;
	int e = upper_hides(r->u, c->name) ? -EPERM :
		refused(r, c->name)	   ? -EOPNOTSUPP :
					     check_acl(c);

	if (!e)
		e = inode_pin(r->u, r->h.nodeid, &i);
	if (e)
		return request_fail(r, e);
	/* Nothing to remove: nothing to copy up. */
	if (!c->value && !i.node) {
		ssize_t n = xname_get_lower(r->u, i.lower, c->name, NULL, 0);

		e = n < 0 ? (int)n : 0;
	}
	if (!e)
		e = copyup(r->u, &i, COPYUP_META);
	if (!e) {
		stripe = ufs_stripe(r->u, i.node->id);
		pthread_mutex_lock(stripe);
		e = change_xattr(r->u, i.node, c);
		pthread_mutex_unlock(stripe);
	}
	inode_unpin(r->u, &i);
	return request_fail(r, e);
}

ssize_t op_setxattr(struct request *r)
{
	const struct wire_setxattr_in *in = r->arg;
	struct change c = { .name = r->name[0], .size = in->size, .flags = (int)in->flags };
	_free_ char *value = NULL;

	if (in->size > UFS_XATTR_MAX)
		return request_fail(r, -E2BIG);
	if (r->h.len - r->payload != in->size)
		return request_fail(r, -EINVAL);
	value = malloc(in->size + 1);
	if (!value)
		return request_fail(r, -ENOMEM);
	if (request_gather(r, r->payload, value, in->size) != in->size)
		return request_fail(r, -EINVAL);
	c.value = value;
	if (acl_is_name(c.name))
		ids_store_acl(r->u, value, c.size);
	if (r->conn->flags & WIRE_SETXATTR_EXT)
		c.kill_sgid = in->setxattr_flags & WIRE_SETXATTR_ACL_KILL_SGID;
	return change_request(r, &c);
}

ssize_t op_removexattr(struct request *r)
{
	return change_request(r, &(struct change){ .name = r->name[0] });
}
