/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/lower.h"

#include "base/err.h"
#include "unionfs/readers.h"
#include "unionfs/union.h"

#include <errno.h>

static bool is_index(const struct lower *l)
{
	return l->kind == UFS_LOWER_INDEX;
}

int lower_init(struct ufs *u, const struct ufs_lower *lowers, size_t n)
{
	struct lower *l = &u->lower;

	l->u = u;
	l->index_fd = -1;
	if (!n)
		return 0; /* a plain top stands on nothing */
	l->kind = lowers[0].kind;
	if (is_index(l))
		return n == 1 ? lower_index_init(l, lowers) :
				err(-EINVAL,
				    "union: an index is the only lower: merge the stack first");
	for (size_t i = 0; i < n; i++) {
		if (lowers[i].kind != UFS_LOWER_DIR)
			return err(-EINVAL,
				   "union: an index is the only lower: merge the stack first");
	}
	return lower_dirs_init(l, lowers, n);
}

void lower_done(struct lower *l)
{
	lower_index_done(l);
	lower_dirs_done(l);
}

unsigned lower_lost(const struct lower *l)
{
	return l->index ? layer_index_lost(l->index) : 0;
}

bool lower_has_acls(const struct lower *l)
{
	return !is_index(l) || layer_index_has_acls(l->index);
}

void lower_reset(struct lower *l)
{
	if (l->dirs)
		lower_dirs_reset(l);
}

int lower_get(struct lower *l, uint64_t id)
{
	struct layer_attr a;
	int e;

	if (!is_index(l))
		return lower_dirs_count(l, id, 1, 0);
	e = id < NODE_UPPER_BIT ? layer_stat(l->index, id, &a) : -ESTALE;
	return e && e != -EIO ? -ESTALE : e;
}

void lower_put(struct lower *l, uint64_t id)
{
	if (!is_index(l))
		lower_dirs_count(l, id, -1, 0);
}

void lower_remember(struct lower *l, uint64_t id)
{
	if (l->dirs)
		lower_dirs_count(l, id, 0, 1);
}

void lower_forget(struct lower *l, uint64_t id, uint64_t count)
{
	if (l->dirs)
		lower_dirs_count(l, id, 0, -(int64_t)MIN(count, (uint64_t)INT64_MAX));
}

int lower_lookup(struct lower *l, uint64_t dir, const char *name, uint64_t *ret_id)
{
	if (is_index(l))
		return layer_lookup(l->index, dir, name, strlen(name), ret_id);
	return lower_dirs_lookup(l, dir, name, ret_id);
}

bool lower_is_dir(struct lower *l, uint64_t id)
{
	struct layer_attr a;

	if (!is_index(l))
		return lower_dirs_is_dir(l, id);
	return layer_stat(l->index, id, &a) == 0 && S_ISDIR(a.mode);
}

int lower_stat(struct lower *l, uint64_t id, struct stat *ret)
{
	return is_index(l) ? lower_index_stat(l, id, ret) : lower_dirs_stat(l, id, ret);
}

/* EROFS keeps no such time. */
bool lower_born(struct lower *l, uint64_t id, struct timespec *ret)
{
	return !is_index(l) && lower_dirs_born(l, id, ret);
}

int lower_flags(struct lower *l, uint64_t id, unsigned long cmd, void *ret)
{
	return is_index(l) ? 0 : lower_dirs_flags(l, id, cmd, ret);
}

unsigned int lower_protection(struct lower *l, uint64_t id)
{
	return is_index(l) || !l->u->protects ? 0 : lower_dirs_protection(l, id);
}

ssize_t lower_readlink(struct lower *l, uint64_t id, char *buf, size_t size)
{
	const char *target;
	size_t len;
	int e;

	if (!is_index(l))
		return lower_dirs_readlink(l, id, buf, size);
	e = layer_readlink(l->index, id, &target, &len);
	if (e < 0)
		return e;
	len = MIN(len, size);
	memcpy(buf, target, len);
	return (ssize_t)len;
}

ssize_t lower_getxattr(struct lower *l, uint64_t id, const char *name, void *value, size_t size)
{
	const void *v;
	size_t len;
	int e;

	if (!is_index(l))
		return lower_dirs_getxattr(l, id, name, value, size);
	e = layer_getxattr(l->index, id, name, &v, &len);
	if (e < 0)
		return e;
	if (size && len > size)
		return -ERANGE;
	if (size && len)
		memcpy(value, v, len);
	return (ssize_t)len;
}

struct names {
	char *list;
	size_t len, size;
};

static int add_name(void *ctx, const char *name, const void *value, size_t len)
{
	struct names *n = ctx;
	size_t l = strlen(name) + 1;

	(void)value;
	(void)len;
	if (n->size && n->len + l > n->size)
		return -ERANGE;
	if (n->size)
		memcpy(n->list + n->len, name, l);
	n->len += l;
	return 0;
}

ssize_t lower_listxattr(struct lower *l, uint64_t id, char *list, size_t size)
{
	struct names n = { .list = list, .size = size };
	int e;

	if (!is_index(l))
		return lower_dirs_listxattr(l, id, list, size);
	e = layer_listxattr(l->index, id, add_name, &n);
	return e < 0 ? e : (ssize_t)n.len;
}

int lower_data_get(struct lower *l, uint64_t id, struct lower_data *ret)
{
	struct lower_data d = { .fd = -1 };
	int e = is_index(l) ? lower_index_data(l, id, &d) : lower_dirs_data(l, id, &d);

	if (!e)
		*ret = d;
	return e;
}

int lower_need(struct lower *l, const struct lower_data *d, uint64_t off, uint64_t len)
{
	if (!d->arrives)
		return 0;
	readers_let_others();
	return l->arrivals.need(l->arrivals.ctx, d->arrives, off, len);
}

void lower_data_put(struct lower *l, struct lower_data *d)
{
	fdcache_put(&l->u->fds, d->ref);
	d->ref = NULL;
}

bool lower_is_object(struct lower *l, uint64_t id)
{
	struct layer_content c;
	uint64_t base;

	if (l->arrivals.find && l->arrivals.find(l->arrivals.ctx, id, &base))
		return false;
	return l->kind == UFS_LOWER_INDEX && layer_content(l->index, id, &c) == 0 &&
	       c.kind == LAYER_OBJECT;
}

int lower_parent(struct lower *l, uint64_t id, uint64_t *ret_parent, char name[256])
{
	return is_index(l) ? lower_index_parent(l, id, ret_parent, name) :
			     lower_dirs_parent(l, id, ret_parent, name);
}

int lower_names(struct lower *l, uint64_t id, int (*fn)(void *, uint64_t, const char *), void *ctx)
{
	return is_index(l) ? lower_index_names(l, id, fn, ctx) : lower_dirs_names(l, id, fn, ctx);
}

int lower_iter_init(struct lower *l, uint64_t dir, uint64_t cookie, struct lower_iter *ret)
{
	struct lower_iter it = { .dir = dir, .cookie = cookie };
	int e = 0;

	if (!is_index(l)) {
		if (!cookie && l->u->others)
			listing_outdated(&l->u->listings, dir);
		it.listing = lower_dirs_listing(l, dir, &e);
		if (!it.listing)
			return e;
		/* It never changes once it is there: no need to hold its lock. */
	}
	*ret = it;
	return 0;
}

int lower_iter_next(struct lower *l, struct lower_iter *it, struct lower_entry *ret)
{
	const struct listing_name *n;
	struct layer_dirent d;
	int e;

	if (is_index(l)) {
		e = layer_readdir(l->index, it->dir, it->cookie, &d);
		if (e <= 0)
			return e;
		*ret = (struct lower_entry){ d.name, d.namelen, d.nid, d.nid, d.next, d.type };
	} else {
		n = listing_after(it->listing, it->cookie);
		while (n && n->whiteout)
			n = listing_after(it->listing, n->cookie);
		if (!n)
			return 0;
		*ret = (struct lower_entry){
			listing_text(it->listing, n), n->len, 0, n->ino, n->cookie, n->type
		};
	}
	it->cookie = ret->next;
	return 1;
}

void lower_iter_done(struct lower *l, struct lower_iter *it)
{
	if (it->listing)
		listing_put(&l->u->listings, it->listing);
	it->listing = NULL;
}
