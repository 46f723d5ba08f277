/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/readdir.h"

#include "base/str.h"
#include "unionfs/view.h"

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>

#define GETDENTS_BYTES (32u << 10)

struct walk {
	struct ufs *u;
	const struct inode *dir;
	int (*fn)(void *ctx, const struct dir_entry *d);
	void *ctx;
};

/* ---- an upper directory by itself ---- */

/* What getdents64(2) gives. */
struct raw_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

struct raw_dir {
	int fd;
	size_t len, at;
	union {
		char bytes[GETDENTS_BYTES];
		uint64_t align;
	} buf;
};

static int raw_next(struct raw_dir *d, const struct raw_dirent **ret)
{
	long n;

	if (d->at >= d->len) {
		n = syscall(SYS_getdents64, d->fd, d->buf.bytes, sizeof(d->buf.bytes));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		d->len = (size_t)n;
		d->at = 0;
	}
	*ret = (const void *)(d->buf.bytes + d->at);
	d->at += (*ret)->reclen;
	return 1;
}

static int raw_open(struct ufs *u, struct node *dir, uint64_t cookie, struct raw_dir *ret)
{
	struct at at;
	int e = node_at_child(u, dir, ".", &at);

	if (e)
		return e;
	ret->len = ret->at = 0;
	ret->fd = openat(at.dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	e = ret->fd < 0 ? -errno : 0;
	at_put(u, &at);
	if (!e && cookie && lseek(ret->fd, (off_t)cookie, SEEK_SET) < 0) {
		e = -EINVAL;
		ret->fd = fd_close(ret->fd);
	}
	return e;
}

/* Type and number of an entry as the client sees them; *@whiteout: it does not see it. */
static int look_at(struct ufs *u, struct node *dir, int dirfd, const struct raw_dirent *d,
		   struct dir_entry *ret, bool *whiteout)
{
	struct at at = { .dirfd = dirfd, .name = d->name };
	struct stat st;
	struct perm p;
	bool mapped = u->mode == UFS_UPPER_MAPPED, plain = u->mode == UFS_UPPER_PLAIN;
	int e;

	*whiteout = false;
	*ret = (struct dir_entry){
		.name = d->name,
		.namelen = strlen(d->name),
		.ino = d->ino | u->upper.ino_bit,
		.type = d->type,
		.next = (uint64_t)d->off,
	};
	if (str_is_dots(ret->name, ret->namelen)) {
		ret->ino = dir->shown;
		return 0;
	}
	if ((d->type == DT_CHR && !plain) || d->type == DT_UNKNOWN ||
	    (mapped && d->type != DT_DIR)) {
		e = upper_load(u, &at, &st, &p);
		if (e == -ENOENT)
			*whiteout = true;
		if (e)
			return e == -ENOENT ? 0 : e;
		*whiteout = !plain && upper_is_whiteout(&st) && (!mapped || d->type != DT_REG);
		ret->type = (uint8_t)IFTODT(st.st_mode);
	}
	if (dir->impure && !*whiteout)
		upper_origin(u, &at, &ret->ino);
	return 0;
}

static int walk_upper(struct walk *w, uint64_t cookie)
{
	struct node *dir = w->dir->node;
	const struct raw_dirent *raw = NULL;
	struct dir_entry d;
	struct raw_dir r;
	bool whiteout;
	int e = raw_open(w->u, dir, cookie, &r);

	if (e)
		return e;
	while ((e = raw_next(&r, &raw)) > 0 && raw) {
		e = look_at(w->u, dir, r.fd, raw, &d, &whiteout);
		if (!e && !whiteout)
			e = w->fn(w->ctx, &d);
		if (e)
			break;
	}
	fd_close(r.fd);
	return e;
}

/* ---- merged ---- */

static int fill_listing(struct ufs *u, struct node *dir, struct listing *l)
{
	const struct raw_dirent *raw = NULL;
	struct dir_entry d;
	struct raw_dir r;
	bool whiteout;
	int e = raw_open(u, dir, 0, &r);

	if (e)
		return e;
	while ((e = raw_next(&r, &raw)) > 0 && raw) {
		e = look_at(u, dir, r.fd, raw, &d, &whiteout);
		if (!e && !str_is_dots(d.name, d.namelen))
			e = listing_add(l, d.name, d.namelen, d.type, d.ino, whiteout);
		if (e)
			break;
	}
	fd_close(r.fd);
	return e ? e : listing_sort(l);
}

static int upper_listing(struct ufs *u, struct node *dir, struct listing **ret)
{
	uint64_t stamp;
	struct listing *l = listing_get(&u->listings, dir->id, true, &stamp);
	int e = 0;

	if (!l) {
		l = listing_new(dir->id, true);
		if (!l)
			return -ENOMEM;
		e = fill_listing(u, dir, l);
		if (!e)
			listing_keep(&u->listings, l, stamp);
	}
	if (e)
		listing_put(&u->listings, l);
	else
		*ret = l;
	return e;
}

static int walk_lower(struct walk *w, uint64_t lower, uint64_t cookie, const struct listing *over)
{
	const struct listing_name *n;
	struct lower_entry le;
	struct lower_iter it;
	int e = lower_iter_init(&w->u->lower, lower, cookie, &it);

	if (e)
		return e;
	while ((e = lower_iter_next(&w->u->lower, &it, &le)) > 0) {
		struct dir_entry d = { le.name, le.namelen, le.ino, le.next, le.id, le.type };

		n = over ? listing_find(over, le.name, le.namelen) : NULL;
		if (n && n->whiteout)
			continue;
		if (n) {
			d.ino = n->ino;
			d.type = n->type;
			d.lower = 0;
		}
		e = w->fn(w->ctx, &d);
		if (e)
			break;
	}
	lower_iter_done(&w->u->lower, &it);
	return e;
}

/* The upper's names that the lower does not have. */
static int walk_own(struct walk *w, const struct listing *l, uint64_t cookie)
{
	const struct listing_name *n;
	char name[256];
	int e = 0;

	for (; !e && (n = listing_after(l, cookie)); cookie = n->cookie) {
		struct dir_entry d = { listing_text(l, n),	     n->len, n->ino,
				       DIR_COOKIE_UPPER + n->cookie, 0,	     n->type };
		bool beneath;

		if (n->whiteout)
			continue;
		memcpy(name, d.name, d.namelen);
		name[d.namelen] = 0;
		e = view_beneath(w->u, w->dir, name, &beneath);
		if (!e && !beneath)
			e = w->fn(w->ctx, &d);
	}
	return e;
}

static int walk_merged(struct walk *w, uint64_t cookie)
{
	struct listing *l;
	int e = upper_listing(w->u, w->dir->node, &l);

	if (e)
		return e;
	pthread_mutex_lock(&l->lock);
	if (cookie < DIR_COOKIE_UPPER)
		e = walk_lower(w, w->dir->node->lower, cookie, l);
	if (!e)
		e = walk_own(w, l, cookie < DIR_COOKIE_UPPER ? 0 : cookie - DIR_COOKIE_UPPER);
	pthread_mutex_unlock(&l->lock);
	listing_put(&w->u->listings, l);
	return e;
}

int dir_walk(struct ufs *u, const struct inode *dir, uint64_t cookie,
	     int (*fn)(void *, const struct dir_entry *), void *ctx)
{
	struct walk w = { u, dir, fn, ctx };
	struct stat st;
	int e = inode_stat(u, dir, &st);

	if (e || !S_ISDIR(st.st_mode))
		return e ? e : -ENOTDIR;
	if (cookie > INT64_MAX)
		return -EINVAL;
	if (!dir->node)
		return walk_lower(&w, dir->lower, cookie, NULL);
	return dir->node->lower ? walk_merged(&w, cookie) : walk_upper(&w, cookie);
}
