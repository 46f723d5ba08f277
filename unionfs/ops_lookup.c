/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/request.h"
#include "unionfs/view.h"

#include <errno.h>

static int lookup(struct request *r, struct found *ret)
{
	struct ufs *u = r->u;
	struct inode dir;
	int e = inode_pin(u, r->h.nodeid, &dir);

	if (e)
		return e;
	ufs_lock_names(u);
	e = view_lookup(u, &dir, r->name[0], ret);
	if (!e)
		view_remember(u, &ret->inode);
	pthread_rwlock_unlock(&u->tree);
	inode_unpin(u, &dir);
	return e;
}

ssize_t op_lookup(struct request *r)
{
	struct found f;
	ssize_t n;
	int e = lookup(r, &f);

	r->conn->walk_looked++;
	if (e == -ENOENT)
		return request_reply_absent(r);
	if (e)
		return request_fail(r, e);
	n = request_reply_entry(r, inode_id(&f.inode), &f.st);
	inode_unpin(r->u, &f.inode);
	return n;
}

static void forget(struct ufs *u, uint64_t nodeid, uint64_t count)
{
	struct node *n = u->mode == UFS_UPPER_NONE ? NULL : node_get(u, nodeid);

	if (n) {
		node_forget(u, n, count);
		node_put(u, n);
	}
	if (nodeid < NODE_UPPER_BIT) {
		gone_forget(&u->gone, nodeid);
		lower_forget(&u->lower, nodeid, count);
	}
}

ssize_t op_forget(struct request *r)
{
	const struct wire_forget_in *in = r->arg;

	forget(r->u, r->h.nodeid, in->nlookup);
	return 0;
}

#define FORGET_BATCH 64u

ssize_t op_batch_forget(struct request *r)
{
	const struct wire_batch_forget_in *in = r->arg;
	struct wire_forget_one one[FORGET_BATCH];
	size_t off = r->payload;
	uint32_t left = in->count;

	/* The count is bounded by what is really there. */
	while (left) {
		size_t n = request_gather(r, off, one, sizeof(one)) / sizeof(one[0]);

		n = MIN(n, (size_t)left);
		if (!n)
			break;
		for (size_t i = 0; i < n; i++)
			forget(r->u, one[i].nodeid, one[i].nlookup);
		off += n * sizeof(one[0]);
		left -= (uint32_t)n;
	}
	return 0;
}
