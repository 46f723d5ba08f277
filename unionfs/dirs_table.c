/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what is known of a stack of directories: who holds it, and when it goes. */
#include "unionfs/lower_dirs.h"

#include "base/str.h"
#include "unionfs/dirs_names.h"

#include <errno.h>

static uint64_t key_of(dev_t dev, ino_t ino)
{
	return hash_u64((uint64_t)ino ^ hash_u64(dev));
}

static struct dirs_entry *find_id(struct lower_dirs *d, uint64_t id)
{
	struct hash_entry *h = hash_table_first(&d->by_id, hash_u64(id));

	for (; h; h = hash_table_next(h)) {
		struct dirs_entry *e = container_of(h, struct dirs_entry, by_id);

		if (e->id == id)
			return e;
	}
	return NULL;
}

static struct dirs_entry *find_key(struct lower_dirs *d, const struct dirs_entry *like)
{
	struct hash_entry *h = hash_table_first(&d->by_key, key_of(like->dev, like->ino));

	for (; h; h = hash_table_next(h)) {
		struct dirs_entry *e = container_of(h, struct dirs_entry, by_key);

		/* The same directory may be a lower twice. */
		if (e->dev == like->dev && e->ino == like->ino &&
		    e->parts[0].layer == like->parts[0].layer)
			return e;
	}
	return NULL;
}

struct dirs_entry *dirs_find(struct lower *l, uint64_t id)
{
	struct dirs_entry *e;

	pthread_mutex_lock(&l->dirs->lock);
	e = find_id(l->dirs, id);
	pthread_mutex_unlock(&l->dirs->lock);
	return e;
}

struct dirs_entry *dirs_new(struct dirs_entry *parent, const char *name, size_t max)
{
	struct dirs_entry *e = mem_new(1, sizeof(*e) + max * sizeof(e->parts[0]));

	if (!e)
		return NULL;
	e->parent = parent;
	e->name = strdup(name);
	if (!e->name) {
		free(e);
		return NULL;
	}
	return e;
}

void dirs_free(struct lower *l, struct dirs_entry *e)
{
	if (!e)
		return;
	dirs_names_free(l, e);
	for (uint16_t i = 0; i < e->nparts; i++)
		free(e->parts[i].path);
	free(e->name);
	free(e);
}

static void drop_fds(struct lower *l, const struct dirs_entry *e)
{
	fdcache_drop(&l->u->fds, e->id, FD_LOWER_FILE);
	for (uint16_t i = 0; i < e->nparts; i++)
		fdcache_drop(&l->u->fds, e->id, FD_LOWER_DIR + e->parts[i].layer);
}

/* Out of the tables, when nothing holds it any more. Under the lock. */
static bool unhash_unused(struct lower_dirs *d, struct dirs_entry *e)
{
	if (e->refs || e->lookups || !e->parent)
		return false;
	hash_table_remove(&d->by_id, &e->by_id);
	if (!e->replaced)
		hash_table_remove(&d->by_key, &e->by_key);
	return true;
}

/*
 * @e goes when nothing holds it, and its parents, one by one. Each is held by the one beneath it
 * until the lock that lets it go has looked whether it goes as well. Under the lock.
 */
static void drop_unused(struct lower *l, struct dirs_entry *e)
{
	struct dirs_entry *parent;

	for (; unhash_unused(l->dirs, e); e = parent) {
		parent = e->parent;
		pthread_mutex_unlock(&l->dirs->lock);
		drop_fds(l, e);
		dirs_free(l, e);
		pthread_mutex_lock(&l->dirs->lock);
		parent->refs--;
	}
}

int lower_dirs_count(struct lower *l, uint64_t id, int refs, int64_t lookups)
{
	struct lower_dirs *d = l->dirs;
	struct dirs_entry *e;

	pthread_mutex_lock(&d->lock);
	e = find_id(d, id);
	if (!e) {
		pthread_mutex_unlock(&d->lock);
		return -ESTALE;
	}
	e->refs += (uint64_t)(int64_t)refs;
	if (lookups < 0)
		e->lookups -= MIN(e->lookups, (uint64_t)-lookups);
	else
		e->lookups += (uint64_t)lookups;
	drop_unused(l, e);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* Puts it into the tables, held by one. Under the lock. */
static int hash_entry(struct lower_dirs *d, struct dirs_entry *e)
{
	e->id = d->next_id++;
	e->refs = 1;
	if (hash_table_add(&d->by_id, &e->by_id, hash_u64(e->id)) < 0)
		return -ENOMEM;
	if (hash_table_add(&d->by_key, &e->by_key, key_of(e->dev, e->ino)) < 0) {
		hash_table_remove(&d->by_id, &e->by_id);
		return -ENOMEM;
	}
	if (e->parent)
		e->parent->refs++;
	return 0;
}

/* ---- what is known already ---- */

static bool is_like(const struct dirs_entry *a, const struct dirs_entry *b)
{
	if (a->is_dir != b->is_dir || a->is_file != b->is_file || a->meta != b->meta ||
	    a->nparts != b->nparts)
		return false;
	for (uint16_t i = 0; i < a->nparts; i++) {
		if (a->parts[i].layer != b->parts[i].layer)
			return false;
	}
	return true;
}

static bool is_there(struct lower *l, struct dirs_entry *e)
{
	struct stat st;
	struct at at = { .dirfd = -1 };
	bool there;

	if (dirs_at(l, e, &at))
		return false;
	there = fstatat(at.dirfd, at.name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 &&
		st.st_dev == e->dev && st.st_ino == e->ino;
	at_put(l->u, &at);
	return there;
}

/*
 * Whether @known is what @fresh has found. Where others change the layers, a number may belong to
 * another thing by now: under its other name a link is there, and what was moved or removed is not.
 */
static bool still_is(struct lower *l, struct dirs_entry *known, const struct dirs_entry *fresh)
{
	if (!known->parent)
		return true;
	if (!is_like(known, fresh))
		return false;
	return (known->parent == fresh->parent && streq(known->name, fresh->name)) ||
	       is_there(l, known);
}

/* Held. Under the lock, which it lets go while it looks. */
static struct dirs_entry *find_known(struct lower *l, const struct dirs_entry *fresh)
{
	struct lower_dirs *d = l->dirs;
	struct dirs_entry *e;
	bool still;

	while ((e = find_key(d, fresh))) {
		e->refs++;
		if (!l->u->others)
			break;
		pthread_mutex_unlock(&d->lock);
		still = still_is(l, e, fresh);
		pthread_mutex_lock(&d->lock);
		if (still)
			break;
		if (!e->replaced)
			hash_table_remove(&d->by_key, &e->by_key);
		e->replaced = true;
		e->refs--;
		drop_unused(l, e);
	}
	return e;
}

struct dirs_entry *dirs_intern(struct lower *l, struct dirs_entry *fresh)
{
	struct dirs_entry *e, *small;

	/* Most have one or two parts of many that were possible. */
	small = realloc(fresh, sizeof(*fresh) + fresh->nparts * sizeof(fresh->parts[0]));
	fresh = small ? small : fresh;
	pthread_mutex_lock(&l->dirs->lock);
	e = find_known(l, fresh);
	if (!e && hash_entry(l->dirs, fresh) == 0)
		e = take_ptr(fresh);
	pthread_mutex_unlock(&l->dirs->lock);
	dirs_free(l, fresh);
	return e;
}

/* ---- all of them ---- */

static void forget_all(struct lower_dirs *d)
{
	struct hash_entry *h = NULL;

	pthread_mutex_lock(&d->lock);
	while ((h = hash_table_walk(&d->by_id, h))) {
		struct dirs_entry *e = container_of(h, struct dirs_entry, by_id);

		e->lookups = 0;
	}
	pthread_mutex_unlock(&d->lock);
}

#define SWEEP_BATCH 256

/* Drops what nothing holds, leaves first. */
void lower_dirs_reset(struct lower *l)
{
	uint64_t ids[SWEEP_BATCH];
	struct hash_entry *h;
	size_t n;

	forget_all(l->dirs);
	do {
		n = 0;
		pthread_mutex_lock(&l->dirs->lock);
		for (h = NULL; n < SWEEP_BATCH && (h = hash_table_walk(&l->dirs->by_id, h));) {
			struct dirs_entry *e = container_of(h, struct dirs_entry, by_id);

			if (!e->refs && e->parent)
				ids[n++] = e->id;
		}
		pthread_mutex_unlock(&l->dirs->lock);
		for (size_t i = 0; i < n; i++)
			lower_dirs_count(l, ids[i], 0, 0);
	} while (n);
}
