/* SPDX-License-Identifier: Apache-2.0 */
/* SETUPMAPPING and REMOVEMAPPING. */
#include "unionfs/copyup.h"
#include "unionfs/protect.h"
#include "unionfs/request.h"

#include <errno.h>
#include <linux/falloc.h>

#define PAGE  4096u
#define TRIES 8 /* each time another file was copied up meanwhile */

/* What is to be mapped: a lower's object or the upper's file, held. */
struct source {
	int fd;
	struct lower_data data;
	struct fd_ref *file;
	uint64_t lower;
};

static int source_lower(struct ufs *u, struct source *s)
{
	int e = lower_data_get(&u->lower, s->lower, &s->data);

	if (!e) {
		e = s->data.whole ? lower_need(&u->lower, &s->data, 0, s->data.size) : -EOPNOTSUPP;
		if (e)
			lower_data_put(&u->lower, &s->data);
	}
	s->fd = s->data.fd;
	if (e)
		lower_put(&u->lower, s->lower);
	return e;
}

/* @write: the upper's, with its bytes. */
static int source_get(struct ufs *u, const struct inode *i, bool write, struct source *ret)
{
	int e;

	*ret = (struct source){ .lower = write ? 0 : inode_data(u, i) };
	if (ret->lower)
		return source_lower(u, ret);
	e = node_file(u, i->node, &ret->file);
	if (!e)
		ret->fd = ret->file->fd;
	return e;
}

static void source_put(struct ufs *u, struct source *s)
{
	fdcache_put(&u->fds, s->file);
	if (!s->lower)
		return;
	lower_data_put(&u->lower, &s->data);
	lower_put(&u->lower, s->lower);
}

/*
 * A store into a mapping cannot fail but by the end of who stores: holes get their blocks, and
 * shared blocks become the file's own, before. Where the file system cannot say so it is hoped for.
 */
static int make_room(int fd, uint64_t off, uint64_t len)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (off >= (uint64_t)st.st_size)
		return 0;
	len = MIN(len, (uint64_t)st.st_size - off);
	r = fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_UNSHARE_RANGE, (off_t)off, (off_t)len);
	if (r < 0 && errno == EOPNOTSUPP)
		r = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
	return r < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

/* The slot of [@at, @at + @len), or -EINVAL. */
static ssize_t slot_of(const struct dax *d, uint64_t at, uint64_t len)
{
	if (at % DAX_SLOT || at / DAX_SLOT >= d->n || !len || len > DAX_SLOT || len % PAGE)
		return -EINVAL;
	return (ssize_t)(at / DAX_SLOT);
}

static int map_source(struct ufs *u, const struct inode *i, const struct dax_slot *slot, size_t at,
		      uint64_t turn)
{
	struct source s;
	int e = source_get(u, i, slot->write, &s);

	if (e)
		return e;
	if (slot->write) {
		e = make_room(s.fd, slot->off, slot->len);
		/* Bytes that are in the upper stay there. */
		turn = atomic_load(&u->dax.turns);
	}
	if (!e)
		e = dax_map(&u->dax, at, slot, s.fd, turn);
	source_put(u, &s);
	return e;
}

/* Pinned anew each time: who was found in the lower before may be copied up by now. */
static int try_map(struct ufs *u, const struct dax_slot *slot, size_t at)
{
	uint64_t turn = atomic_load(&u->dax.turns);
	struct inode i;
	int e = inode_pin(u, slot->nodeid, &i);

	if (e)
		return e;
	if (slot->write)
		e = copyup(u, &i, COPYUP_ALL);
	if (!e)
		e = map_source(u, &i, slot, at, turn);
	inode_unpin(u, &i);
	return e;
}

static int map(struct ufs *u, const struct dax_slot *slot, size_t at)
{
	int e = -EAGAIN;

	for (int n = 0; e == -EAGAIN && n < TRIES; n++)
		e = try_map(u, slot, at);
	return e == -EAGAIN ? -EBUSY : e;
}

/*
 * What was born in the upper is never said to be mapped, and a quota cannot count what it stores.
 */
ssize_t op_setupmapping(struct request *r)
{
	const struct wire_setupmapping_in *in = r->arg;
	const struct dax_slot slot = { .nodeid = r->h.nodeid,
				       .off = in->foffset,
				       .len = in->len,
				       .write = in->flags & WIRE_MAP_WRITE };
	ssize_t at = slot_of(&r->u->dax, in->moffset, in->len);

	if (!dax_has(&r->u->dax))
		return request_fail(r, -ENOSYS);
	if (at < 0 || in->foffset % DAX_SLOT || in->foffset > INT64_MAX - DAX_SLOT ||
	    in->flags & ~(WIRE_MAP_READ | WIRE_MAP_WRITE))
		return request_fail(r, -EINVAL);
	if (slot.write && (r->u->mode == UFS_UPPER_NONE || r->u->rdonly))
		return request_fail(r, -EROFS);
	if (slot.nodeid & NODE_UPPER_BIT || (slot.write && r->u->quota.limit))
		return request_fail(r, -EOPNOTSUPP);
	if (slot.write && protect_check(r))
		return request_fail(r, -EPERM);
	return request_fail(r, map(r->u, &slot, (size_t)at));
}

/* All are looked at before the first goes. One that is not there is gone already. */
ssize_t op_removemapping(struct request *r)
{
	struct wire_removemapping_one ones[WIRE_REMOVEMAPPING_MAX];
	const struct wire_removemapping_in *in = r->arg;
	size_t len = in->count * sizeof(ones[0]);

	if (!dax_has(&r->u->dax))
		return request_fail(r, -ENOSYS);
	if (!in->count || in->count > WIRE_REMOVEMAPPING_MAX || r->h.len - r->payload != len ||
	    request_gather(r, r->payload, ones, len) < len)
		return request_fail(r, -EINVAL);
	for (uint32_t i = 0; i < in->count; i++)
		if (slot_of(&r->u->dax, ones[i].moffset, ones[i].len) < 0)
			return request_fail(r, -EINVAL);
	for (uint32_t i = 0; i < in->count; i++)
		dax_unmap(&r->u->dax, ones[i].moffset / DAX_SLOT);
	return request_fail(r, 0);
}
