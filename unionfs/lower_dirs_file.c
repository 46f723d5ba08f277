/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to know of one thing in a stack of directories. */
#include "unionfs/lower_dirs.h"

#include "base/dir.h"
#include "base/str.h"
#include "unionfs/dirs_marks.h"
#include "unionfs/foreign.h"
#include "unionfs/xat.h"

#include <errno.h>

static int open_at(struct lower *l, uint64_t id, struct dirs_entry **ret, struct at *at)
{
	*at = (struct at){ .dirfd = -1 };
	*ret = dirs_find(l, id);
	return *ret ? dirs_at(l, *ret, at) : -ESTALE;
}

/* The file that has the bytes of @e, which the caller closes. */
static int open_beneath(struct lower *l, const struct dirs_entry *e, uint64_t flags)
{
	char path[PATH_MAX];
	int r;

	if (e->nparts < 2)
		return -EIO;
	r = dirs_path(e, e->parts[1].layer, path);
	return r ? r : fd_open_beneath(l->dirs->fds[e->parts[1].layer], path, flags, 0);
}

/* What a metacopy file occupies is what its bytes do, beneath. */
static void add_blocks(struct lower *l, const struct dirs_entry *e, struct stat *st)
{
	_close_ int fd = open_beneath(l, e, O_PATH | O_NOFOLLOW);
	struct stat data;

	if (fd >= 0 && fstat(fd, &data) == 0)
		st->st_blocks = data.st_blocks;
}

bool lower_dirs_is_dir(struct lower *l, uint64_t id)
{
	const struct dirs_entry *e = dirs_find(l, id);

	return e && e->is_dir;
}

int lower_dirs_stat(struct lower *l, uint64_t id, struct stat *ret)
{
	struct dirs_entry *e;
	uint64_t attributes;
	struct stat st;
	struct at at;
	int r = open_at(l, id, &e, &at);

	if (r)
		return r;
	r = at_stat(&at, &st, &attributes);
	at_put(l->u, &at);
	if (r)
		return r == -ENOENT ? -ESTALE : r;
	/* Whoever would change it has looked at it before. */
	if (attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		l->u->protects = true;
	st.st_ino = dirs_shown_ino(l->dirs, st.st_dev, st.st_ino);
	if (e->is_dir && e->nparts > 1)
		st.st_nlink = 1;
	if (e->meta)
		add_blocks(l, e, &st);
	*ret = st;
	return 0;
}

bool lower_dirs_born(struct lower *l, uint64_t id, struct timespec *ret)
{
	struct dirs_entry *e;
	struct at at;
	bool known;

	if (open_at(l, id, &e, &at))
		return false;
	known = at_born(&at, ret);
	at_put(l->u, &at);
	return known;
}

ssize_t lower_dirs_readlink(struct lower *l, uint64_t id, char *buf, size_t size)
{
	struct dirs_entry *e;
	struct at at;
	ssize_t n = open_at(l, id, &e, &at);

	if (n)
		return n;
	n = readlinkat(at.dirfd, at.name, buf, size);
	if (n < 0)
		n = -errno;
	at_put(l->u, &at);
	return n;
}

ssize_t lower_dirs_getxattr(struct lower *l, uint64_t id, const char *name, void *value,
			    size_t size)
{
	struct dirs_entry *e;
	struct at at;
	ssize_t n = open_at(l, id, &e, &at);

	if (n)
		return n;
	n = xat_get(at.dirfd, at.name, name, value, size);
	at_put(l->u, &at);
	return n;
}

ssize_t lower_dirs_listxattr(struct lower *l, uint64_t id, char *list, size_t size)
{
	struct dirs_entry *e;
	struct at at;
	ssize_t n = open_at(l, id, &e, &at);

	if (n)
		return n;
	n = xat_list(at.dirfd, at.name, list, size);
	at_put(l->u, &at);
	return n;
}

static int open_file(struct lower *l, const struct dirs_entry *e, const struct at *at)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;
	int fd;

	/* Opening a device does things; where others change the lowers it may be one by now. */
	if (!e->is_file)
		return e->is_dir ? -EISDIR : -EINVAL;
	if (l->u->others && fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (l->u->others && !S_ISREG(st.st_mode))
		return -ESTALE;
	fd = openat(at->dirfd, at->name, flags);
	if (fd < 0 && errno == EMFILE) {
		fdcache_shrink(&l->u->fds);
		fd = openat(at->dirfd, at->name, flags);
	}
	return fd < 0 ? -errno : fd;
}

int lower_dirs_data(struct lower *l, uint64_t id, struct lower_data *ret)
{
	struct fdcache *c = &l->u->fds;
	struct fd_ref *r = fdcache_get(c, id, FD_LOWER_FILE);
	struct dirs_entry *e;
	struct stat st;
	struct at at;
	int fd;

	if (!r) {
		fd = open_at(l, id, &e, &at);
		if (fd)
			return fd;
		if (e->meta)
			fd = open_beneath(l, e, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		else
			fd = open_file(l, e, &at);
		at_put(l->u, &at);
		if (fd < 0)
			return fd;
		r = fdcache_add(c, id, FD_LOWER_FILE, fd);
	}
	if (!r)
		return -ENOMEM;
	if (fstat(r->fd, &st) < 0) {
		fd = -errno;
		fdcache_put(c, r);
		return fd;
	}
	*ret = (struct lower_data){
		.size = (uint64_t)st.st_size,
		.fd = r->fd,
		.whole = true,
		.dense = st.st_blocks >= (st.st_size + 511) / 512,
		.ref = r,
	};
	return 0;
}

int lower_dirs_parent(struct lower *l, uint64_t id, uint64_t *ret_parent, char name[256])
{
	struct dirs_entry *e = dirs_find(l, id);

	if (!e || !e->parent)
		return -ESTALE;
	if (str_copy(name, 256, e->name) < 0)
		return -ENAMETOOLONG;
	*ret_parent = e->parent->id;
	return lower_dirs_count(l, e->parent->id, 1, 0);
}

/* ---- the names of a file with several links: all of its layer is walked ---- */

struct links {
	struct lower *l;
	struct dirs_entry *want;
	uint64_t left;
	int (*fn)(void *ctx, uint64_t dir, const char *name);
	void *ctx;
	char **paths; /* directories still to be walked, from the layer's root */
};

/* Whether the stack shows the link at @dir/@name; then @fn has it. */
static int give_link(struct links *k, const char *dir, const char *name)
{
	_free_ char *path = strdup(dir);
	char *save = NULL;
	uint64_t id = UFS_ROOT, next;
	int r = path ? lower_dirs_count(k->l, id, 1, 0) : -ENOMEM;

	if (r)
		return r;
	for (char *s = strtok_r(path, "/", &save); s && !r; s = strtok_r(NULL, "/", &save)) {
		r = lower_dirs_lookup(k->l, id, s, &next);
		lower_dirs_count(k->l, id, -1, 0);
		id = next;
	}
	if (r)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	r = lower_dirs_lookup(k->l, id, name, &next);
	if (!r) {
		if (next == k->want->id)
			r = k->fn(k->ctx, id, name);
		lower_dirs_count(k->l, next, -1, 0);
	}
	lower_dirs_count(k->l, id, -1, 0);
	return r == -ENOENT ? 0 : r;
}

static int visit(struct links *k, const char *dir, const struct dirent *d)
{
	if (streq(d->d_name, ".") || streq(d->d_name, ".."))
		return 0;
	if (d->d_type == DT_DIR)
		return strv_addf(&k->paths, "%s%s%s", dir, *dir ? "/" : "", d->d_name);
	if (d->d_ino != k->want->ino)
		return 0;
	k->left--;
	return give_link(k, dir, d->d_name);
}

static int walk_dir(struct links *k, const char *path)
{
	int fd = fd_open_beneath(k->l->dirs->fds[k->want->parts[0].layer], *path ? path : ".",
				 O_RDONLY | O_DIRECTORY, 0);
	_closedir_ DIR *d = dir_take(fd);
	struct dirent *entry;
	int r = 0;

	if (!d)
		return fd < 0 ? fd : -errno;
	while (!r && k->left && (entry = readdir(d)))
		r = visit(k, path, entry);
	return r;
}

static int walk_links(struct links *k)
{
	int r = strv_add(&k->paths, "");
	size_t n;

	while (!r && k->left && (n = strv_len(k->paths))) {
		_free_ char *path = k->paths[n - 1];

		k->paths[n - 1] = NULL;
		r = walk_dir(k, path);
	}
	strv_free(k->paths);
	return r;
}

int lower_dirs_names(struct lower *l, uint64_t id, int (*fn)(void *, uint64_t, const char *),
		     void *ctx)
{
	struct dirs_entry *e = dirs_find(l, id);
	struct links k = { .l = l, .want = e, .fn = fn, .ctx = ctx };
	struct stat st;
	int r = e && e->parent ? 0 : -ESTALE;

	if (!r && !e->one_name)
		r = lower_dirs_stat(l, id, &st);
	if (r)
		return r;
	if (e->one_name || st.st_nlink <= 1)
		return fn(ctx, e->parent->id, e->name);
	k.left = st.st_nlink;
	return walk_links(&k);
}

/* ---- listing ---- */

/* Foreign whiteouts go to *@marks: they hide names of other layers, none of this one. */
static int add_name(struct lower *l, struct listing *list, int dirfd, dev_t dev,
		    const struct dirent *d, bool xwhiteouts, char ***marks)
{
	const struct at at = { .dirfd = dirfd, .name = d->d_name };
	bool whiteout = false;
	struct stat st;

	if (l->u->foreign && foreign_is_mark(d->d_name))
		return foreign_hides(d->d_name) ? strv_add(marks, foreign_hides(d->d_name)) : 0;
	if (d->d_type == DT_CHR)
		whiteout = fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			   upper_is_whiteout(&st);
	else if (xwhiteouts && d->d_type == DT_REG)
		whiteout = dirs_is_xwhiteout(l, &at);
	return listing_add(list, d->d_name, strlen(d->d_name), d->d_type,
			   dirs_shown_ino(l->dirs, dev, d->d_ino), whiteout);
}

static int add_marks(struct listing *list, char *const *marks)
{
	int r = 0;

	for (; marks && *marks && !r; marks++)
		r = listing_add(list, *marks, strlen(*marks), DT_CHR, 0, true);
	return r;
}

static int list_layer(struct lower *l, struct dirs_entry *e, uint16_t layer, struct listing *list)
{
	char **marks = NULL;
	struct fd_ref *ref;
	struct stat st;
	struct dirent *entry;
	bool xwhiteouts;
	DIR *d;
	int fd, r = dirs_dir_fd(l, e, layer, &ref, &fd);

	if (r)
		return r;
	xwhiteouts = dirs_has_xwhiteouts(l, fd);
	d = fstat(fd, &st) < 0 ? NULL : dir_open(fd, ".");
	if (!d)
		r = errno ? -errno : -EIO;
	while (d && !r && (entry = readdir(d)))
		r = add_name(l, list, fd, st.st_dev, entry, xwhiteouts, &marks);
	if (d)
		closedir(d);
	if (!r)
		r = add_marks(list, marks);
	strv_free(marks);
	fdcache_put(&l->u->fds, ref);
	return r;
}

struct listing *lower_dirs_listing(struct lower *l, uint64_t dir, int *ret_error)
{
	struct dirs_entry *e = dirs_find(l, dir);
	struct listing *list;
	uint64_t stamp;
	int r = 0;

	*ret_error = e ? -ENOTDIR : -ESTALE;
	if (!e || !e->is_dir)
		return NULL;
	list = listing_get(&l->u->listings, dir, false, &stamp);
	if (list)
		return list;
	list = listing_new(dir, false);
	for (uint16_t i = 0; list && !r && i < e->nparts; i++)
		r = list_layer(l, e, e->parts[i].layer, list);
	if (list && !r)
		r = listing_sort(list);
	if (list && !r) {
		listing_keep(&l->u->listings, list, stamp);
		return list;
	}
	if (list)
		listing_put(&l->u->listings, list);
	*ret_error = list ? r : -ENOMEM;
	return NULL;
}
