/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/node.h"

#include "unionfs/union.h"

#include <errno.h>

static void lock(struct ufs *u)
{
	pthread_mutex_lock(&u->nodes.lock);
}

static void unlock(struct ufs *u)
{
	pthread_mutex_unlock(&u->nodes.lock);
}

static struct node *find_id(const struct node_table *t, uint64_t id)
{
	struct hash_entry *e = hash_table_first(&t->by_id, hash_u64(id));

	for (; e; e = hash_table_next(e)) {
		struct node *n = container_of(e, struct node, by_id);

		if (n->id == id)
			return n;
	}
	return NULL;
}

static struct node *find_ino(const struct node_table *t, uint64_t ino)
{
	struct hash_entry *e = hash_table_first(&t->by_ino, hash_u64(ino));

	for (; e; e = hash_table_next(e)) {
		struct node *n = container_of(e, struct node, by_ino);

		if (n->ino == ino)
			return n;
	}
	return NULL;
}

struct node *node_get(struct ufs *u, uint64_t id)
{
	struct node *n;

	lock(u);
	n = find_id(&u->nodes, id);
	if (n)
		n->refs++;
	unlock(u);
	return n;
}

struct node *node_get_by_ino(struct ufs *u, uint64_t ino)
{
	struct node *n;

	lock(u);
	n = find_ino(&u->nodes, ino);
	if (n)
		n->refs++;
	unlock(u);
	return n;
}

void node_ref(struct ufs *u, struct node *n)
{
	lock(u);
	n->refs++;
	unlock(u);
}

/* Out of the tables, when nothing holds it any more. Under the lock. */
static bool unhash_unused(struct node_table *t, struct node *n)
{
	if (n->refs || n->lookups || (n->kept && !n->orphan && !n->dead) ||
	    (n->fixed_fd >= 0 && !n->orphan))
		return false;
	hash_table_remove(&t->by_id, &n->by_id);
	if (!n->dead)
		hash_table_remove(&t->by_ino, &n->by_ino);
	return true;
}

/* A file may have other names still. */
static void drop_orphan(struct ufs *u, struct node *n)
{
	struct stat st;

	if (u->quota.limit && (S_ISDIR(n->type) ||
			       (fstatat(u->upper.orphans, n->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				st.st_nlink == 1)))
		quota_gone(u, n);
	upper_drop_orphan(u, n->name, S_ISDIR(n->type));
}

/* What it holds of the lowers is let go. */
static void put_lowers(struct ufs *u, const struct node *n)
{
	if (n->lower)
		lower_put(&u->lower, n->lower);
	if (n->data)
		lower_put(&u->lower, n->data);
}

static void release(struct ufs *u, struct node *n)
{
	put_lowers(u, n);
	free(n->name);
	free(n);
}

/* Nobody finds it any more: its file goes now if that has no name left. */
static struct node *destroy(struct ufs *u, struct node *n)
{
	struct node *parent = n->parent;

	fdcache_drop(&u->fds, n->id, S_ISDIR(n->type) ? FD_UPPER_DIR : FD_UPPER_FILE);
	if (n->orphan && u->mode == UFS_UPPER_PLAIN)
		fd_close(n->fixed_fd);
	else if (n->orphan && !u->left)
		drop_orphan(u, n);
	release(u, n);
	return parent;
}

void node_put(struct ufs *u, struct node *n)
{
	bool gone;

	/* A chain of parents may go, one by one. */
	while (n) {
		lock(u);
		n->refs--;
		gone = unhash_unused(&u->nodes, n);
		unlock(u);
		n = gone ? destroy(u, n) : NULL;
	}
}

static int insert(struct node_table *t, struct node *n)
{
	if (hash_table_add(&t->by_id, &n->by_id, hash_u64(n->id)) < 0)
		return -ENOMEM;
	if (hash_table_add(&t->by_ino, &n->by_ino, hash_u64(n->ino)) < 0) {
		hash_table_remove(&t->by_id, &n->by_id);
		return -ENOMEM;
	}
	if (n->parent)
		n->parent->refs++;
	return 0;
}

static struct node *copy_of(const struct node *like)
{
	struct node *n = mem_dup(like, sizeof(*like));

	if (!n)
		return NULL;
	n->refs = 1;
	n->type = like->perm.mode & S_IFMT;
	if (like->name && !(n->name = strdup(like->name))) {
		free(n);
		return NULL;
	}
	return n;
}

/*
 * Its number is taken: by a directory that was replaced and that the client still knows, whose
 * st_ino was given to another file since; or by a file that claims the same origin (someone copied
 * the upper). Under the lock.
 */
static void take_free_id(struct ufs *u, struct node *n)
{
	const struct node *other = find_id(&u->nodes, n->id);

	if (!other)
		return;
	if (n->kept) {
		n->shown = n->ino | u->upper.ino_bit;
		n->kept = false;
	}
	n->id = NODE_SPARE_BITS | u->nodes.next_spare++;
}

struct node *node_add(struct ufs *u, const struct node *like)
{
	struct node *n = copy_of(like), *old;

	if (!n) {
		put_lowers(u, like);
		return NULL;
	}
	lock(u);
	old = find_ino(&u->nodes, n->ino);
	if (old) {
		old->refs++;
	} else {
		take_free_id(u, n);
		if (insert(&u->nodes, n) == 0)
			old = take_ptr(n);
	}
	unlock(u);
	if (n)
		release(u, n);
	return old;
}

void node_remember(struct ufs *u, struct node *n)
{
	lock(u);
	n->lookups++;
	unlock(u);
}

void node_forget(struct ufs *u, struct node *n, uint64_t count)
{
	lock(u);
	n->lookups -= MIN(count, n->lookups);
	unlock(u);
}

int node_move(struct ufs *u, struct node *n, struct node *parent, const char *name)
{
	char *copy = strdup(name);
	struct node *old = n->parent;

	if (!copy)
		return -ENOMEM;
	node_ref(u, parent);
	free(n->name);
	n->name = copy;
	n->parent = parent;
	node_put(u, old);
	return 0;
}

bool node_in_use(struct ufs *u, struct node *n)
{
	bool used;

	lock(u);
	/* One pin is the caller's own. */
	used = n->lookups || n->refs > 1;
	unlock(u);
	return used;
}

void node_set_orphan(struct ufs *u, struct node *n, bool orphan)
{
	lock(u);
	n->orphan = orphan;
	unlock(u);
}

void node_kill(struct ufs *u, struct node *n)
{
	lock(u);
	if (!n->dead)
		hash_table_remove(&u->nodes.by_ino, &n->by_ino);
	n->dead = true;
	unlock(u);
}

uint64_t node_data(struct ufs *u, struct node *n)
{
	uint64_t id;

	if (!n->data)
		return 0;
	lock(u);
	id = n->data;
	/* The node holds it already: another time cannot fail. */
	if (id)
		lower_get(&u->lower, id);
	unlock(u);
	return id;
}

void node_own_data(struct ufs *u, struct node *n)
{
	uint64_t id;

	lock(u);
	id = n->data;
	n->data = 0;
	unlock(u);
	if (id)
		lower_put(&u->lower, id);
}

void node_cut(struct ufs *u, struct node *n)
{
	uint64_t id = n->lower;

	n->lower = 0;
	if (id)
		lower_put(&u->lower, id);
}

struct perm node_perm(struct ufs *u, const struct node *n)
{
	struct perm p;

	lock(u);
	p = n->perm;
	unlock(u);
	return p;
}

void node_set_perm(struct ufs *u, struct node *n, const struct perm *p)
{
	lock(u);
	n->perm = *p;
	unlock(u);
}

static int add_fixed(struct ufs *u, uint64_t id, int fd, struct node **ret)
{
	struct node like = { .id = id, .shown = id, .fixed_fd = fd, .kept = true };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	like.ino = st.st_ino;
	like.perm.mode = st.st_mode;
	*ret = node_add(u, &like);
	return *ret ? 0 : -ENOMEM;
}

int node_table_init(struct ufs *u)
{
	int e = -pthread_mutex_init(&u->nodes.lock, NULL);

	if (e || u->mode == UFS_UPPER_NONE)
		return e;
	e = add_fixed(u, UFS_ROOT, u->upper.root, &u->nodes.root);
	if (!e && u->mode != UFS_UPPER_PLAIN)
		e = add_fixed(u, UINT64_MAX, u->upper.orphans, &u->nodes.orphans);
	return e;
}

#define DROP_BATCH 1024

/* Takes up to DROP_BATCH nodes that nothing pins out of the tables: their number. */
static size_t unhash_batch(struct node_table *t, struct node **ret)
{
	struct hash_entry *e = hash_table_walk(&t->by_id, NULL);
	size_t count = 0;

	while (e && count < DROP_BATCH) {
		struct node *n = container_of(e, struct node, by_id);

		e = hash_table_walk(&t->by_id, e);
		n->lookups = 0;
		n->kept = false;
		if (unhash_unused(t, n))
			ret[count++] = n;
	}
	return count;
}

/* Drops what nothing pins, leaves first, until only the fixed ones and what is in use are left. */
static void drop_unpinned(struct ufs *u)
{
	struct node *batch[DROP_BATCH];
	size_t count;

	do {
		lock(u);
		count = unhash_batch(&u->nodes, batch);
		unlock(u);
		for (size_t i = 0; i < count; i++)
			node_put(u, destroy(u, batch[i]));
	} while (count);
}

void node_table_reset(struct ufs *u)
{
	pthread_rwlock_wrlock(&u->tree);
	drop_unpinned(u);
	u->moved_known = false;
	pthread_rwlock_unlock(&u->tree);
	lower_reset(&u->lower);
}

/* One without a parent. */
static void drop_top(struct node_table *t, struct node **n)
{
	if (*n) {
		hash_table_remove(&t->by_id, &(*n)->by_id);
		hash_table_remove(&t->by_ino, &(*n)->by_ino);
	}
	free(*n);
	*n = NULL;
}

void node_table_done(struct ufs *u)
{
	struct node_table *t = &u->nodes;

	drop_unpinned(u);
	drop_top(t, &t->root);
	drop_top(t, &t->orphans);
	hash_table_done(&t->by_id);
	hash_table_done(&t->by_ino);
	pthread_mutex_destroy(&t->lock);
}
