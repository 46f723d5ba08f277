/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/fdcache.h"

#include "base/fd.h"

#include <errno.h>
#include <sys/resource.h>

#define FDS_MAX 4096u
#define FDS_MIN 16u

int fdcache_init(struct fdcache *c)
{
	struct rlimit lim = { .rlim_cur = 1024 };

	getrlimit(RLIMIT_NOFILE, &lim);
	*c = (struct fdcache){ .max = MIN((size_t)FDS_MAX, (size_t)lim.rlim_cur / 2) };
	c->max = MAX(c->max, (size_t)FDS_MIN);
	list_init(&c->idle);
	return -pthread_mutex_init(&c->lock, NULL);
}

static void ref_free(struct fd_ref *r)
{
	if (!r)
		return;
	fd_close(r->fd);
	free(r);
}

void fdcache_done(struct fdcache *c)
{
	struct hash_entry *e;

	while ((e = hash_table_walk(&c->table, NULL))) {
		hash_table_remove(&c->table, e);
		ref_free(container_of(e, struct fd_ref, hash));
	}
	hash_table_done(&c->table);
	pthread_mutex_destroy(&c->lock);
}

static uint64_t key(uint64_t id, uint32_t use)
{
	return hash_u64(id ^ ((uint64_t)use << 50));
}

static struct fd_ref *find(const struct fdcache *c, uint64_t id, uint32_t use)
{
	struct hash_entry *e = hash_table_first(&c->table, key(id, use));

	for (; e; e = hash_table_next(e)) {
		struct fd_ref *r = container_of(e, struct fd_ref, hash);

		if (r->id == id && r->use == use)
			return r;
	}
	return NULL;
}

static struct fd_ref *use_ref(struct fd_ref *r)
{
	if (r && !r->users++)
		list_remove(&r->lru);
	return r;
}

struct fd_ref *fdcache_get(struct fdcache *c, uint64_t id, uint32_t use)
{
	struct fd_ref *r;

	pthread_mutex_lock(&c->lock);
	r = use_ref(find(c, id, use));
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* Out of the table and the list: the caller closes it after unlocking. */
static void take_out(struct fdcache *c, struct fd_ref *r)
{
	hash_table_remove(&c->table, &r->hash);
	list_remove(&r->lru);
	c->count--;
}

static struct fd_ref *take_oldest(struct fdcache *c)
{
	struct fd_ref *r;

	if (list_empty(&c->idle))
		return NULL;
	r = list_entry(c->idle.prev, struct fd_ref, lru);
	take_out(c, r);
	return r;
}

struct fd_ref *fdcache_add(struct fdcache *c, uint64_t id, uint32_t use, int fd)
{
	struct fd_ref *r = new0(struct fd_ref), *old, *evicted = NULL;

	if (!r) {
		fd_close(fd);
		return NULL;
	}
	*r = (struct fd_ref){ .id = id, .use = use, .users = 1, .fd = fd };
	list_init(&r->lru);
	pthread_mutex_lock(&c->lock);
	old = use_ref(find(c, id, use));
	if (!old && hash_table_add(&c->table, &r->hash, key(id, use)) == 0) {
		if (++c->count > c->max)
			evicted = take_oldest(c);
		old = r;
		r = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	ref_free(evicted);
	ref_free(r);
	return old;
}

void fdcache_put(struct fdcache *c, struct fd_ref *r)
{
	bool gone = false;

	if (!r)
		return;
	pthread_mutex_lock(&c->lock);
	if (--r->users == 0) {
		gone = r->dropped || c->count > c->max;
		if (gone && !r->dropped)
			take_out(c, r);
		else if (!gone)
			list_push(&c->idle, &r->lru);
	}
	pthread_mutex_unlock(&c->lock);
	if (gone)
		ref_free(r);
}

void fdcache_drop(struct fdcache *c, uint64_t id, uint32_t use)
{
	struct fd_ref *r;
	bool idle = false;

	pthread_mutex_lock(&c->lock);
	r = find(c, id, use);
	if (r) {
		idle = !r->users;
		r->dropped = true;
		take_out(c, r);
	}
	pthread_mutex_unlock(&c->lock);
	if (idle)
		ref_free(r);
}

void fdcache_shrink(struct fdcache *c)
{
	for (size_t n = c->max / 2; n; n--) {
		struct fd_ref *r;

		pthread_mutex_lock(&c->lock);
		r = take_oldest(c);
		pthread_mutex_unlock(&c->lock);
		if (!r)
			return;
		ref_free(r);
	}
}
