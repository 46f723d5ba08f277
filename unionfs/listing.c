/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/listing.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>

#define CACHE_BYTES \
	(32u << 20) /* what the kept ones may have together; the newest is kept whatever its size */
#define NAMES_MAX (4u << 20) /* of one directory */

int listing_cache_init(struct listing_cache *c)
{
	list_init(&c->lru);
	return -pthread_mutex_init(&c->lock, NULL);
}

static size_t bytes_of(const struct listing *l)
{
	return sizeof(*l) + l->cap * sizeof(*l->v) + l->text.cap;
}

static void listing_free(struct listing *l)
{
	pthread_mutex_destroy(&l->lock);
	buf_done(&l->text);
	free(l->v);
	free(l);
}

/* Out of the cache; the last holder frees it. Under the cache's lock. */
static void uncache(struct listing_cache *c, struct listing *l)
{
	list_remove(&l->lru);
	c->bytes -= bytes_of(l);
	l->cached = false;
	if (!l->refs)
		listing_free(l);
}

void listing_cache_done(struct listing_cache *c)
{
	list_for_each_safe(e, &c->lru)
		uncache(c, list_entry(e, struct listing, lru));
	pthread_mutex_destroy(&c->lock);
}

static struct listing *find(struct listing_cache *c, uint64_t dir, bool upper)
{
	list_for_each(e, &c->lru) {
		struct listing *l = list_entry(e, struct listing, lru);

		if (l->dir == dir && l->upper == upper)
			return l;
	}
	return NULL;
}

struct listing *listing_get(struct listing_cache *c, uint64_t dir, bool upper, uint64_t *ret_stamp)
{
	struct listing *l;

	pthread_mutex_lock(&c->lock);
	l = find(c, dir, upper);
	if (l) {
		l->refs++;
		list_remove(&l->lru);
		list_push(&c->lru, &l->lru);
	}
	*ret_stamp = c->changes[dir % LISTING_STRIPES];
	pthread_mutex_unlock(&c->lock);
	return l;
}

void listing_put(struct listing_cache *c, struct listing *l)
{
	bool gone;

	pthread_mutex_lock(&c->lock);
	gone = --l->refs == 0 && !l->cached;
	pthread_mutex_unlock(&c->lock);
	if (gone)
		listing_free(l);
}

struct listing *listing_new(uint64_t dir, bool upper)
{
	struct listing *l = new0(struct listing);

	if (!l)
		return NULL;
	l->dir = dir;
	l->upper = upper;
	l->refs = 1;
	list_init(&l->lru);
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

uint64_t listing_cookie(const char *name, size_t len)
{
	uint64_t h = hash_bytes(name, len) & LISTING_COOKIE_MAX;

	return h ? h : 1;
}

int listing_add(struct listing *l, const char *name, size_t len, uint8_t type, uint64_t ino,
		bool whiteout)
{
	if (l->n >= NAMES_MAX || mem_grow(&l->v, &l->cap, l->n + 1, sizeof(*l->v)) < 0)
		return -ENOMEM;
	l->v[l->n++] = (struct listing_name){
		.cookie = listing_cookie(name, len),
		.ino = ino,
		.off = (uint32_t)l->text.len,
		.len = (uint8_t)len,
		.type = type,
		.whiteout = whiteout,
	};
	return buf_add(&l->text, name, len);
}

static int by_cookie(const void *a, const void *b)
{
	const struct listing_name *x = a, *y = b;

	if (x->cookie != y->cookie)
		return x->cookie < y->cookie ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* Of names that were added more than once, the first stays: it hides the others. */
static void drop_hidden(struct listing *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct listing_name *n = &l->v[i], *last = kept ? &l->v[kept - 1] : NULL;

		if (last && last->cookie == n->cookie && last->len == n->len &&
		    memcmp(listing_text(l, last), listing_text(l, n), n->len) == 0)
			continue;
		l->v[kept++] = *n;
	}
	l->n = kept;
}

int listing_sort(struct listing *l)
{
	if (l->text.failed)
		return -ENOMEM;
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_cookie);
	drop_hidden(l);
	return 0;
}

void listing_keep(struct listing_cache *c, struct listing *l, uint64_t stamp)
{
	pthread_mutex_lock(&c->lock);
	if (c->changes[l->dir % LISTING_STRIPES] == stamp && !find(c, l->dir, l->upper)) {
		l->cached = true;
		c->bytes += bytes_of(l);
		list_push(&c->lru, &l->lru);
		while (c->bytes > CACHE_BYTES && c->lru.prev != &l->lru)
			uncache(c, list_entry(c->lru.prev, struct listing, lru));
	}
	pthread_mutex_unlock(&c->lock);
}

static void drop(struct listing_cache *c, uint64_t dir, bool upper)
{
	struct listing *l;

	pthread_mutex_lock(&c->lock);
	c->changes[dir % LISTING_STRIPES]++;
	l = find(c, dir, upper);
	if (l)
		uncache(c, l);
	pthread_mutex_unlock(&c->lock);
}

void listing_changed(struct listing_cache *c, uint64_t dir)
{
	drop(c, dir, true);
}

void listing_outdated(struct listing_cache *c, uint64_t dir)
{
	drop(c, dir, false);
}

void listing_removed(struct listing_cache *c, uint64_t dir, const char *name)
{
	const struct listing_name *n;
	struct listing *l;

	pthread_mutex_lock(&c->lock);
	c->changes[dir % LISTING_STRIPES]++;
	l = find(c, dir, true);
	if (l)
		l->refs++;
	pthread_mutex_unlock(&c->lock);
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	n = listing_find(l, name, strlen(name));
	if (n)
		l->v[n - l->v].gone = true;
	pthread_mutex_unlock(&l->lock);
	listing_put(c, l);
}

/* The index of the first name whose cookie is at least @cookie. */
static size_t lower_bound(const struct listing *l, uint64_t cookie)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid].cookie < cookie)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct listing_name *listing_find(const struct listing *l, const char *name, size_t len)
{
	uint64_t cookie = listing_cookie(name, len);

	for (size_t i = lower_bound(l, cookie); i < l->n && l->v[i].cookie == cookie; i++) {
		const struct listing_name *n = &l->v[i];

		if (!n->gone && n->len == len && memcmp(listing_text(l, n), name, len) == 0)
			return n;
	}
	return NULL;
}

const struct listing_name *listing_after(const struct listing *l, uint64_t cookie)
{
	size_t i = lower_bound(l, cookie + 1);

	while (i < l->n && l->v[i].gone)
		i++;
	return i < l->n ? &l->v[i] : NULL;
}

const char *listing_text(const struct listing *l, const struct listing_name *n)
{
	return l->text.data + n->off;
}
