/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/attr.h"
#include "unionfs/copyup.h"
#include "unionfs/metacopy.h"
#include "unionfs/request.h"
#include "unionfs/view.h"

#include <errno.h>
#include <sys/statfs.h>

ssize_t op_getattr(struct request *r)
{
	struct ufs *u = r->u;
	struct inode i;
	struct stat st;
	int e = inode_pin(u, r->h.nodeid, &i);

	if (e)
		return request_fail(r, e);
	pthread_rwlock_rdlock(&u->tree);
	e = inode_stat(u, &i, &st);
	pthread_rwlock_unlock(&u->tree);
	inode_unpin(u, &i);
	return e ? request_fail(r, e) : request_reply_attr(r, &st);
}

ssize_t op_readlink(struct request *r)
{
	char target[UFS_TARGET_MAX + 1];
	struct ufs *u = r->u;
	struct inode i;
	struct at at;
	ssize_t n;
	int e = inode_pin(u, r->h.nodeid, &i);

	if (e)
		return request_fail(r, e);
	if (!i.node) {
		n = lower_readlink(&u->lower, i.lower, target, sizeof(target));
	} else if (!S_ISLNK(i.node->type)) {
		n = -EINVAL;
	} else {
		pthread_rwlock_rdlock(&u->tree);
		n = node_at(u, i.node, &at);
		if (!n) {
			n = upper_readlink(u, &at, target, sizeof(target));
			at_put(u, &at);
		}
		pthread_rwlock_unlock(&u->tree);
	}
	inode_unpin(u, &i);
	return n < 0 ? request_fail(r, (int)n) : request_reply(r, 0, target, (size_t)n);
}

/* ---- SETATTR ---- */

static int set_size(struct ufs *u, struct node *n, uint64_t size)
{
	struct fd_ref *file;
	int e;

	if (size > INT64_MAX)
		return -EFBIG;
	e = node_fd(u, n, &file);
	if (e)
		return e;
	e = metacopy_fill(u, n, file->fd, size);
	if (!e && ftruncate(file->fd, (off_t)size) < 0)
		e = -errno;
	quota_settle(u, n, file->fd, 0);
	fdcache_put(&u->fds, file);
	return e;
}

static int set_owner_mode(struct ufs *u, struct node *n, const struct at *at,
			  const struct wire_setattr_in *in)
{
	struct perm from, to;
	int e = attr_perm(u, n, at, &from);

	if (e)
		return e;
	to = from;
	if ((in->valid & WIRE_FATTR_UID) && !u->uids.squash)
		to.uid = ids_store(&u->uids, in->uid);
	if ((in->valid & WIRE_FATTR_GID) && !u->gids.squash)
		to.gid = ids_store(&u->gids, in->gid);
	if (in->valid & (WIRE_FATTR_UID | WIRE_FATTR_GID))
		to.mode = attr_without_privileges(to.mode);
	if (in->valid & WIRE_FATTR_MODE)
		to.mode = (from.mode & S_IFMT) | (in->mode & 07777);
	e = attr_set_perm(u, n, at, &from, &to);
	if (!e && u->mode == UFS_UPPER_MAPPED && (in->valid & (WIRE_FATTR_UID | WIRE_FATTR_GID)))
		upper_removexattr(u, at, "security.capability");
	return e;
}

static struct timespec time_of(uint32_t valid, uint32_t set, uint32_t now, uint64_t sec,
			       uint32_t nsec)
{
	if (valid & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (valid & set)
		return (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = MIN(nsec, 999999999u) };
	return (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_times(const struct at *at, const struct wire_setattr_in *in)
{
	const struct timespec times[2] = {
		time_of(in->valid, WIRE_FATTR_ATIME, WIRE_FATTR_ATIME_NOW, in->atime,
			in->atimensec),
		time_of(in->valid, WIRE_FATTR_MTIME, WIRE_FATTR_MTIME_NOW, in->mtime,
			in->mtimensec),
	};

	return at_set_times(at, times);
}

#define FATTR_OWNER_MODE (WIRE_FATTR_MODE | WIRE_FATTR_UID | WIRE_FATTR_GID)
#define FATTR_TIMES \
	(WIRE_FATTR_ATIME | WIRE_FATTR_MTIME | WIRE_FATTR_ATIME_NOW | WIRE_FATTR_MTIME_NOW)

/* In the upper by now; its stripe held. */
static int setattr(struct ufs *u, struct node *n, const struct wire_setattr_in *in, struct stat *st)
{
	struct at at;
	int e = in->valid & WIRE_FATTR_SIZE ? set_size(u, n, in->size) : 0;

	if (e)
		return e;
	pthread_rwlock_rdlock(&u->tree);
	e = node_at(u, n, &at);
	if (!e) {
		if (in->valid & FATTR_OWNER_MODE)
			e = set_owner_mode(u, n, &at, in);
		if (!e && (in->valid & WIRE_FATTR_KILL_SUIDGID))
			e = attr_kill_privileges(u, n);
		if (!e && (in->valid & FATTR_TIMES))
			e = set_times(&at, in);
		at_put(u, &at);
	}
	if (!e)
		e = upper_stat_node(u, n, st);
	pthread_rwlock_unlock(&u->tree);
	return e;
}

ssize_t op_setattr(struct request *r)
{
	const struct wire_setattr_in *in = r->arg;
	struct ufs *u = r->u;
	struct inode i;
	struct stat st;
	int e = inode_pin(u, r->h.nodeid, &i);

	if (e)
		return request_fail(r, e);
	e = copyup(u, &i, in->valid & WIRE_FATTR_SIZE ? in->size : COPYUP_META);
	if (!e) {
		pthread_mutex_t *stripe = ufs_stripe(u, i.node->id);

		pthread_mutex_lock(stripe);
		e = setattr(u, i.node, in, &st);
		pthread_mutex_unlock(stripe);
	}
	inode_unpin(u, &i);
	if (e)
		request_forget_attr(r);
	return e ? request_fail(r, e) : request_reply_attr(r, &st);
}

/* ---- STATFS ---- */

/* A union without a top is full. */
static void statfs_of_index(struct ufs *u, struct statfs *st)
{
	if (u->lower.kind != UFS_LOWER_INDEX)
		return;
	st->f_blocks = layer_index_size(u->lower.index) / LAYER_BLOCK;
	for (size_t i = 0; i < layer_index_ndevices(u->lower.index); i++)
		st->f_blocks += layer_index_device(u->lower.index, i)->blocks;
	st->f_files = layer_index_ninodes(u->lower.index);
	st->f_bsize = st->f_frsize = LAYER_BLOCK;
}

ssize_t op_statfs(struct request *r)
{
	struct statfs st = { .f_bsize = LAYER_BLOCK, .f_frsize = LAYER_BLOCK };
	struct wire_statfs_out o;

	if (r->u->mode == UFS_UPPER_NONE)
		statfs_of_index(r->u, &st);
	else if (fstatfs(r->u->upper.root, &st) < 0)
		return request_fail(r, -errno);
	quota_statfs(r->u, &st);
	o = (struct wire_statfs_out){
		.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.bsize = (uint32_t)st.f_bsize,
		.frsize = (uint32_t)st.f_frsize,
		.namelen = UFS_NAME_MAX,
	};
	return request_reply(r, 0, &o, sizeof(o));
}
