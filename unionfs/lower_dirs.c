/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/lower_dirs.h"

#include "base/err.h"
#include "base/str.h"
#include "unionfs/dirs_names.h"
#include "unionfs/foreign.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <limits.h>

/* ---- places ---- */

/* Its own path in that layer; NULL: in its parent, by its name. */
static const char *own_path(const struct dirs_entry *e, uint16_t layer)
{
	for (uint16_t i = 0; i < e->nparts; i++) {
		if (e->parts[i].layer == layer)
			return e->parts[i].path;
	}
	return NULL;
}

int dirs_path(const struct dirs_entry *e, uint16_t layer, char path[PATH_MAX])
{
	size_t at = PATH_MAX - 1;
	const char *own = NULL;

	path[at] = 0;
	for (; e->parent && !own; e = e->parent) {
		const char *text = (own = own_path(e, layer)) ? own : e->name;
		size_t len = strlen(text);

		if (at < len + 1)
			return -ENAMETOOLONG;
		at -= len;
		memcpy(path + at, text, len);
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
		fd = dirs_path(e, layer, path);
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
	return dirs_dir_fd(l, e->parent, e->parts[0].layer, &ret->ref, &ret->dirfd);
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

/* ---- life ---- */

static int add_root(struct lower *l)
{
	struct dirs_entry *root = dirs_new(NULL, "", l->dirs->n);
	struct stat st;

	if (!root)
		return -ENOMEM;
	fstat(l->dirs->fds[0], &st);
	root->dev = st.st_dev;
	root->ino = st.st_ino;
	root->is_dir = true;
	for (size_t i = 0; i < l->dirs->n; i++) {
		root->parts[root->nparts++].layer = (uint16_t)i;
		if (l->u->foreign && (foreign_opaque_xattr(l->dirs->fds[i], "") ||
				      foreign_opaque_name(l->dirs->fds[i], "")))
			break;
	}
	l->dirs->next_id = UFS_ROOT;
	l->dirs->root = dirs_intern(l, root);
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

void lower_dirs_done(struct lower *l)
{
	struct lower_dirs *d = l->dirs;
	struct hash_entry *h;

	if (!d)
		return;
	while ((h = hash_table_walk(&d->by_id, NULL))) {
		hash_table_remove(&d->by_id, h);
		dirs_free(l, container_of(h, struct dirs_entry, by_id));
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
