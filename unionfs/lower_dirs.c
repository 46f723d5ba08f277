/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/lower_dirs.h"

#include "base/err.h"
#include "base/str.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <limits.h>

/* ---- entries ---- */

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
		if (e->dev == like->dev && e->ino == like->ino && e->layers[0] == like->layers[0])
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

static void entry_free(struct dirs_entry *e)
{
	if (e)
		free(e->name);
	free(e);
}

static void drop_fds(struct lower *l, const struct dirs_entry *e)
{
	fdcache_drop(&l->u->fds, e->id, FD_LOWER_FILE);
	for (uint16_t i = 0; i < e->nlayers; i++)
		fdcache_drop(&l->u->fds, e->id, FD_LOWER_DIR + e->layers[i]);
}

/*
 * Takes it out when nothing holds it; gives its parent, which has then lost a holder. Under the
 * lock.
 */
static struct dirs_entry *unhash_unused(struct lower_dirs *d, struct dirs_entry *e)
{
	struct dirs_entry *parent = e->parent;

	if (e->refs || e->lookups || !parent)
		return NULL;
	hash_table_remove(&d->by_id, &e->by_id);
	hash_table_remove(&d->by_key, &e->by_key);
	parent->refs--;
	return parent;
}

int lower_dirs_count(struct lower *l, uint64_t id, int refs, int64_t lookups)
{
	struct lower_dirs *d = l->dirs;
	struct dirs_entry *e, *parent;

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
	while ((parent = unhash_unused(d, e))) {
		pthread_mutex_unlock(&d->lock);
		drop_fds(l, e);
		entry_free(e);
		pthread_mutex_lock(&d->lock);
		e = parent;
	}
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* Finds or makes the entry; held. Under the lock. */
static struct dirs_entry *intern(struct lower_dirs *d, struct dirs_entry *fresh)
{
	struct dirs_entry *e = find_key(d, fresh);

	if (e) {
		e->refs++;
		return e;
	}
	fresh->id = d->next_id++;
	fresh->refs = 1;
	if (hash_table_add(&d->by_id, &fresh->by_id, hash_u64(fresh->id)) < 0)
		return NULL;
	if (hash_table_add(&d->by_key, &fresh->by_key, key_of(fresh->dev, fresh->ino)) < 0) {
		hash_table_remove(&d->by_id, &fresh->by_id);
		return NULL;
	}
	if (fresh->parent)
		fresh->parent->refs++;
	return fresh;
}

/* ---- places ---- */

/* The path of directory @e below a layer's root, without a slash in front. */
static int path_of(const struct dirs_entry *e, char path[PATH_MAX])
{
	size_t at = PATH_MAX - 1;

	path[at] = 0;
	for (; e->parent; e = e->parent) {
		size_t len = strlen(e->name);

		if (at < len + 1)
			return -ENAMETOOLONG;
		at -= len;
		memcpy(path + at, e->name, len);
		path[--at] = '/';
	}
	memmove(path, path + at + (path[at] == '/'), PATH_MAX - at - (path[at] == '/'));
	return 0;
}

static int open_path(struct lower *l, int rootfd, const char *path)
{
	const uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	int fd = fd_open_beneath(rootfd, *path ? path : ".", flags, 0);

	if (fd == -EMFILE) {
		fdcache_shrink(&l->u->fds);
		fd = fd_open_beneath(rootfd, *path ? path : ".", flags, 0);
	}
	return fd;
}

int dirs_dir_fd(struct lower *l, struct dirs_entry *e, uint16_t layer, struct fd_ref **ret_ref,
		int *ret_fd)
{
	char path[PATH_MAX];
	struct fd_ref *r;
	int fd;

	if (!e->parent) {
		*ret_ref = NULL;
		*ret_fd = l->dirs->fds[layer];
		return 0;
	}
	r = fdcache_get(&l->u->fds, e->id, FD_LOWER_DIR + layer);
	if (!r) {
		fd = path_of(e, path);
		if (!fd)
			fd = open_path(l, l->dirs->fds[layer], path);
		if (fd < 0)
			return fd;
		r = fdcache_add(&l->u->fds, e->id, FD_LOWER_DIR + layer, fd);
	}
	if (!r)
		return -ENOMEM;
	*ret_ref = r;
	*ret_fd = r->fd;
	return 0;
}

int dirs_at(struct lower *l, struct dirs_entry *e, struct at *ret)
{
	if (!e->parent) {
		*ret = (struct at){ .dirfd = l->dirs->fds[0], .name = "" };
		return 0;
	}
	ret->name = e->name;
	return dirs_dir_fd(l, e->parent, e->layers[0], &ret->ref, &ret->dirfd);
}

uint64_t dirs_shown_ino(struct lower_dirs *d, dev_t dev, ino_t ino)
{
	size_t i;

	pthread_mutex_lock(&d->lock);
	for (i = 0; i < d->ndevices && d->devices[i] != dev; i++)
		;
	if (i == d->ndevices && i < DIRS_DEVICES_MAX)
		d->devices[d->ndevices++] = dev;
	pthread_mutex_unlock(&d->lock);
	return (uint64_t)ino ^ ((uint64_t)i << 48);
}

/* ---- LOOKUP ---- */

static bool is_opaque(const struct lower *l, int dirfd, const char *name)
{
	bool user = l->u->userxattr || l->u->mode == UFS_UPPER_MAPPED;

	return xat_is_y(dirfd, name, "trusted.overlay.opaque") ||
	       (user && xat_is_y(dirfd, name, "user.overlay.opaque"));
}

/* One layer's part of a name: 1 = the layers below have no say, 0 = go on. */
static int look_in_layer(struct lower *l, struct dirs_entry *dir, uint16_t layer, const char *name,
			 bool last, struct dirs_entry *found)
{
	struct at at = { .name = name };
	struct stat st;
	int e = dirs_dir_fd(l, dir, layer, &at.ref, &at.dirfd);

	if (e)
		return e;
	if (fstatat(at.dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
		e = errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	} else if (upper_is_whiteout(&st) || (found->nlayers && !S_ISDIR(st.st_mode))) {
		e = 1;
	} else {
		if (!found->nlayers) {
			found->dev = st.st_dev;
			found->ino = st.st_ino;
			found->is_dir = S_ISDIR(st.st_mode);
		}
		found->layers[found->nlayers++] = layer;
		e = !found->is_dir || last || is_opaque(l, at.dirfd, name);
	}
	fdcache_put(&l->u->fds, at.ref);
	return e;
}

int lower_dirs_lookup(struct lower *l, uint64_t dir_id, const char *name, uint64_t *ret_id)
{
	struct dirs_entry *dir = dirs_find(l, dir_id), *fresh, *e;
	int r = 0;

	if (!dir || !dir->is_dir)
		return dir ? -ENOTDIR : -ESTALE;
	fresh = mem_new(1, sizeof(*fresh) + dir->nlayers * sizeof(fresh->layers[0]));
	if (!fresh)
		return -ENOMEM;
	for (uint16_t i = 0; !r && i < dir->nlayers; i++)
		r = look_in_layer(l, dir, dir->layers[i], name, i + 1 == dir->nlayers, fresh);
	if (r >= 0)
		r = !fresh->nlayers ? -ENOENT : (fresh->name = strdup(name)) ? 0 : -ENOMEM;
	if (r) {
		entry_free(fresh);
		return r;
	}
	fresh->parent = dir;
	pthread_mutex_lock(&l->dirs->lock);
	e = intern(l->dirs, fresh);
	if (e)
		*ret_id = e->id;
	pthread_mutex_unlock(&l->dirs->lock);
	if (e != fresh)
		entry_free(fresh);
	return e ? 0 : -ENOMEM;
}

/* ---- life ---- */

static int add_root(struct lower *l)
{
	struct dirs_entry *root = mem_new(1, sizeof(*root) + l->dirs->n * sizeof(root->layers[0]));
	struct stat st;

	if (!root)
		return -ENOMEM;
	fstat(l->dirs->fds[0], &st);
	root->dev = st.st_dev;
	root->ino = st.st_ino;
	root->is_dir = true;
	for (size_t i = 0; i < l->dirs->n; i++)
		root->layers[root->nlayers++] = (uint16_t)i;
	l->dirs->next_id = UFS_ROOT;
	l->dirs->root = intern(l->dirs, root);
	if (!l->dirs->root)
		free(root);
	return l->dirs->root ? 0 : -ENOMEM;
}

int lower_dirs_init(struct lower *l, const struct ufs_lower *from, size_t n)
{
	struct lower_dirs *d = l->dirs = new0(struct lower_dirs);
	struct stat st;

	if (!d)
		return -ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	d->fds = mem_new(n, sizeof(*d->fds));
	if (!d->fds)
		return -ENOMEM;
	for (; d->n < n; d->n++) {
		d->fds[d->n] = openat(from[d->n].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d->fds[d->n] < 0 || fstat(d->fds[d->n], &st) < 0)
			return err_sys("union: lower %zu", d->n);
		if (!d->n)
			dirs_shown_ino(
				d, l->u->mode == UFS_UPPER_NONE ? st.st_dev : l->u->upper.dev, 0);
	}
	return add_root(l);
}

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

void lower_dirs_done(struct lower *l)
{
	struct lower_dirs *d = l->dirs;
	struct hash_entry *h;

	if (!d)
		return;
	while ((h = hash_table_walk(&d->by_id, NULL))) {
		hash_table_remove(&d->by_id, h);
		entry_free(container_of(h, struct dirs_entry, by_id));
	}
	hash_table_done(&d->by_id);
	hash_table_done(&d->by_key);
	for (size_t i = 0; i < d->n; i++)
		fd_close(d->fds[i]);
	free(d->fds);
	pthread_mutex_destroy(&d->lock);
	free(d);
	l->dirs = NULL;
}
