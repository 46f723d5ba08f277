/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READDIR and READDIRPLUS. The kernel asks with PLUS at the beginning of each directory and after
 * LOOKUPs in it. Directories get their attributes there: who walks goes into each, by a LOOKUP
 * otherwise, and who does not pays little, since PLUS is asked for the first names alone. Filling
 * in those of every name costs a walker that does not want them 3 times what the walk costs: they
 * are filled in only while the walker proved, in the directory that it listed last, that it looks
 * most names up. Where nothing may be kept, all of that would be in vain.
 */
#include "base/str.h"
#include "unionfs/readdir.h"

#include "unionfs/request.h"
#include "unionfs/view.h"

#include <errno.h>

#define REPLY_MAX   (128u << 10)
#define PROBE_EVERY 64 /* directories with attributes, to one without */
#define ENOUGH_WALK 8  /* names that the last directory must have had, to say anything */

struct encoding {
	struct request *r;
	const struct inode *dir;
	char *buf;
	size_t len, max;
	bool plus, keeps, fill; /* keeps: the client may keep what it is told; fill: of all names */
	uint32_t count;		/* names that it was told nothing of */
};

static int look_up(struct encoding *enc, const struct dir_entry *d, struct found *ret)
{
	struct ufs *u = enc->r->u;
	char name[256];

	if (d->lower && lower_get(&u->lower, d->lower) == 0)
		return view_lower(u, d->lower, ret);
	memcpy(name, d->name, d->namelen);
	name[d->namelen] = 0;
	return view_lookup(u, enc->dir, name, ret);
}

/* What PLUS says of a name: nothing (a nodeid of 0), or all, and then the client knows it. */
static void fill_entry(struct encoding *enc, const struct dir_entry *d, struct wire_entry_out *ret)
{
	struct ufs *u = enc->r->u;
	struct found f;

	if (str_is_dots(d->name, d->namelen) || look_up(enc, d, &f) < 0)
		return;
	request_entry(enc->r, inode_id(&f.inode), &f.st, ret);
	view_remember(u, &f.inode);
	inode_unpin(u, &f.inode);
}

static int encode(void *ctx, const struct dir_entry *d)
{
	struct encoding *enc = ctx;
	size_t head = enc->plus ? sizeof(struct wire_entry_out) : 0;
	size_t used = head + sizeof(struct wire_dirent) + d->namelen,
	       all = ROUND_UP(used, WIRE_DIRENT_ALIGN);
	struct wire_dirent w = { d->ino, d->next, (uint32_t)d->namelen, d->type };
	char *at = enc->buf + enc->len;
	bool told = false;

	if (enc->len + all > enc->max)
		return 1;
	if (enc->plus) {
		struct wire_entry_out entry = { 0 };

		if (enc->fill || (enc->keeps && d->type == DT_DIR))
			fill_entry(enc, d, &entry);
		told = entry.nodeid != 0;
		memcpy(at, &entry, sizeof(entry));
	}
	memcpy(at + head, &w, sizeof(w));
	memcpy(at + head + sizeof(w), d->name, d->namelen);
	memset(at + used, 0, all - used);
	enc->len += all;
	enc->count += !told;
	return 0;
}

/*
 * Whether the walker wants attributes; with cookie 0 a new directory begins. While they are filled
 * in, no LOOKUP tells whether they are wanted: so every now and then one directory goes without.
 */
static bool wants_attributes(struct ufs_conn *c, uint64_t cookie)
{
	uint32_t listed = c->walk_listed, looked = c->walk_looked;

	if (cookie)
		return c->walk_fills;
	if (c->walk_fills && ++c->walk_filled >= PROBE_EVERY) {
		c->walk_fills = false;
	} else if (!c->walk_fills && listed >= ENOUGH_WALK) {
		c->walk_fills = looked >= listed / 2;
	} else {
		return c->walk_fills;
	}
	c->walk_filled = 0;
	c->walk_listed = 0;
	c->walk_looked = 0;
	return c->walk_fills;
}

/* Where the reply's body can be written as one piece; else a buffer of its own. */
static char *reply_buffer(const struct request *r, size_t max, char **ret_bounce)
{
	const size_t head = sizeof(struct wire_out_header);

	if (r->nout && r->out[0].iov_len >= head + max)
		return (char *)r->out[0].iov_base + head;
	if (r->nout > 1 && r->out[0].iov_len == head && r->out[1].iov_len >= max)
		return r->out[1].iov_base;
	*ret_bounce = malloc(max + 1);
	return *ret_bounce;
}

static ssize_t readdir_request(struct request *r, bool plus)
{
	const struct wire_read_in *in = r->arg;
	struct encoding enc = { .r = r, .plus = plus };
	_free_ char *bounce = NULL;
	struct inode dir;
	int e = inode_pin(r->u, r->h.nodeid, &dir);

	if (e)
		return request_fail(r, e);
	enc.dir = &dir;
	enc.max = MIN(request_room(r), (size_t)REPLY_MAX);
	enc.max = MIN(enc.max, (size_t)in->size);
	enc.buf = reply_buffer(r, enc.max, &bounce);
	enc.keeps = r->u->valid.tv_sec || r->u->valid.tv_nsec;
	enc.fill = plus && enc.keeps && wants_attributes(r->conn, in->offset);
	if (enc.buf) {
		ufs_lock_names(r->u);
		e = dir_walk(r->u, &dir, in->offset, encode, &enc);
		pthread_rwlock_unlock(&r->u->tree);
	} else {
		e = -ENOMEM;
	}
	inode_unpin(r->u, &dir);
	r->conn->walk_listed += enc.count;
	/* What was put in must be told, or the client would not forget it. */
	if (e < 0 && !enc.len)
		return request_fail(r, e);
	return bounce ? request_reply(r, 0, bounce, enc.len) : request_done(r, enc.len);
}

ssize_t op_readdir(struct request *r)
{
	return readdir_request(r, false);
}

ssize_t op_readdirplus(struct request *r)
{
	return readdir_request(r, true);
}
