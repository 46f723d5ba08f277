/* SPDX-License-Identifier: Apache-2.0 */
/* STATX (Linux 6.6): what GETATTR says, and when the file was made. */
#include "unionfs/request.h"

#include <sys/sysmacros.h>

static bool born(struct ufs *u, const struct inode *i, struct timespec *ret)
{
	struct at at;
	bool known;

	if (!i->node)
		return lower_born(&u->lower, i->lower, ret);
	if (node_at(u, i->node, &at))
		return false;
	known = at_born(&at, ret);
	at_put(u, &at);
	return known;
}

static struct wire_sx_time sx_time(uint64_t sec, uint32_t nsec)
{
	return (struct wire_sx_time){ .sec = (int64_t)sec, .nsec = nsec };
}

static void fill(const struct request *r, const struct stat *st, struct wire_statx *ret)
{
	struct wire_entry_out e;
	const struct wire_attr *a = &e.attr;

	request_entry(r, 0, st, &e);
	*ret = (struct wire_statx){
		.mask = STATX_BASIC_STATS,
		.blksize = a->blksize,
		.nlink = a->nlink,
		.uid = a->uid,
		.gid = a->gid,
		.mode = (uint16_t)a->mode,
		.ino = a->ino,
		.size = a->size,
		.blocks = a->blocks,
		.atime = sx_time(a->atime, a->atimensec),
		.ctime = sx_time(a->ctime, a->ctimensec),
		.mtime = sx_time(a->mtime, a->mtimensec),
		.rdev_major = major(st->st_rdev),
		.rdev_minor = minor(st->st_rdev),
	};
}

ssize_t op_statx(struct request *r)
{
	const struct wire_statx_in *in = r->arg;
	struct wire_statx_out o = { .attr_valid = (uint64_t)r->u->valid.tv_sec,
				    .attr_valid_nsec = (uint32_t)r->u->valid.tv_nsec };
	struct timespec made;
	struct inode i;
	struct stat st;
	int e = inode_pin(r->u, r->h.nodeid, &i);

	if (e)
		return request_fail(r, e);
	pthread_rwlock_rdlock(&r->u->tree);
	e = inode_stat(r->u, &i, &st);
	if (!e) {
		fill(r, &st, &o.stat);
		if ((in->sx_mask & STATX_BTIME) && born(r->u, &i, &made)) {
			o.stat.mask |= STATX_BTIME;
			o.stat.btime = sx_time((uint64_t)made.tv_sec, (uint32_t)made.tv_nsec);
		}
	}
	pthread_rwlock_unlock(&r->u->tree);
	inode_unpin(r->u, &i);
	return e ? request_fail(r, e) : request_reply(r, 0, &o, sizeof(o));
}
