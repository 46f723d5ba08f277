/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/request.h"
#include "unionfs/union.h"

#include <errno.h>

static int sync_dir(struct ufs *u, struct node *dir)
{
	struct at at;
	int e = node_at_child(u, dir, ".", &at);

	if (e)
		return e;
	if (fsync(at.dirfd) < 0)
		e = -errno;
	at_put(u, &at);
	return e;
}

/* The way to a copied-up file may be as new as the file. */
static int sync_way(struct ufs *u, struct node *n)
{
	int e = 0;

	for (struct node *dir = n->parent; !e && dir; dir = dir->parent)
		e = sync_dir(u, dir);
	if (!e)
		n->fresh = false;
	return e;
}

static int sync_file(struct ufs *u, struct node *n, bool data_only)
{
	struct fd_ref *file;
	int e = node_fd(u, n, &file);

	if (e)
		return e == -EINVAL ? 0 : e; /* a device, a pipe: nothing of it is ours */
	if ((data_only ? fdatasync(file->fd) : fsync(file->fd)) < 0)
		e = -errno;
	fdcache_put(&u->fds, file);
	return e;
}

ssize_t op_fsync(struct request *r)
{
	const struct wire_fsync_in *in = r->arg;
	struct inode i;
	int e = inode_pin(r->u, r->h.nodeid, &i);

	if (e)
		return request_fail(r, e);
	if (i.node && !r->u->is_volatile) {
		e = sync_file(r->u, i.node, in->flags & WIRE_FSYNC_FDATASYNC);
		if (!e && i.node->fresh) {
			pthread_rwlock_rdlock(&r->u->tree);
			e = sync_way(r->u, i.node);
			pthread_rwlock_unlock(&r->u->tree);
		}
	}
	inode_unpin(r->u, &i);
	return request_fail(r, e);
}

ssize_t op_fsyncdir(struct request *r)
{
	struct inode i;
	int e = inode_pin(r->u, r->h.nodeid, &i);

	if (e)
		return request_fail(r, e);
	if (i.node && !r->u->is_volatile) {
		pthread_rwlock_rdlock(&r->u->tree);
		e = S_ISDIR(i.node->type) ? sync_dir(r->u, i.node) : -ENOTDIR;
		if (!e && i.node->fresh)
			e = sync_way(r->u, i.node);
		pthread_rwlock_unlock(&r->u->tree);
	}
	inode_unpin(r->u, &i);
	return request_fail(r, e);
}

ssize_t op_syncfs(struct request *r)
{
	int e = 0;

	if (r->u->mode != UFS_UPPER_NONE && !r->u->is_volatile && syncfs(r->u->upper.root) < 0)
		e = -errno;
	return request_fail(r, e);
}
