/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name in a stack of directories: where it is, layer by layer, as Linux fs/overlayfs/namei.c. A
 * directory that was moved (redirect) and a file whose bytes are beneath (metacopy) say where the
 * layers beneath have them: by another name in the same directory, or by a path from the root.
 */
#include "unionfs/lower_dirs.h"

#include "base/str.h"
#include "unionfs/dirs_marks.h"
#include "unionfs/dirs_names.h"
#include "unionfs/foreign.h"

#include <errno.h>
#include <limits.h>

struct looking {
	struct lower *l;
	struct dirs_entry *dir, *found;
	char name[UFS_NAME_MAX + 1]; /* in dir, in the layers that are left */
	char path[PATH_MAX];	     /* or from each layer's root, without a slash in front */
	char here[PATH_MAX];	     /* path in the layer that is looked at; path is for the next */
	bool by_path, renamed;
};

static int follow(struct looking *k, const struct at *at)
{
	char value[PATH_MAX];
	int e = dirs_get_redirect(k->l, at, value);

	if (e || !*value)
		return e;
	if (value[0] == '/') {
		k->by_path = true;
		return str_copy(k->path, sizeof(k->path), value + 1) < 0 ? -EIO : 0;
	}
	/* A path's last name is another one then. */
	if (k->by_path) {
		char *last = strrchr(k->path, '/');
		size_t room;

		last = last ? last + 1 : k->path;
		room = sizeof(k->path) - (size_t)(last - k->path);
		return str_copy(last, room, value) < 0 ? -EIO : 0;
	}
	k->renamed = true;
	return str_copy(k->name, sizeof(k->name), value) < 0 ? -EIO : 0;
}

/* ---- parts ---- */

static int set_path(struct looking *k, struct dirs_part *p, uint16_t layer)
{
	char path[PATH_MAX];
	int e;

	if (!k->by_path && !k->renamed)
		return 0;
	if (k->by_path) {
		p->path = strdup(k->here);
		return p->path ? 0 : -ENOMEM;
	}
	e = dirs_path(k->dir, layer, path);
	if (!e)
		p->path = str_fmt("%s%s%s", path, *path ? "/" : "", k->name);
	return e ? e : p->path ? 0 : -ENOMEM;
}

/* The bytes are beneath: a file that is all hole, and says so. */
static int check_meta(struct looking *k, const struct at *at, const struct stat *st, bool *ret)
{
	ssize_t n;

	*ret = false;
	/* A block of xattrs may be counted; more than one is bytes. */
	if (!S_ISREG(st->st_mode) || !st->st_size || st->st_blocks > 4096 / 512)
		return 0;
	n = dirs_may_be_marked(at) ? dirs_get_mark(k->l, at, "overlay.metacopy", NULL, 0) :
				     -ENODATA;
	*ret = n >= 0;
	return n < 0 && n != -ENODATA ? (int)n : 0;
}

static int add_file(struct looking *k, const struct at *at, const struct stat *st, uint16_t layer)
{
	struct dirs_entry *f = k->found;
	bool meta;
	int e = check_meta(k, at, st, &meta);

	if (e)
		return e;
	if (!f->nparts || !meta) {
		f->parts[f->nparts].layer = layer;
		e = f->nparts ? set_path(k, &f->parts[f->nparts], layer) : 0;
		f->nparts++;
	}
	if (meta)
		f->meta = true;
	return e ? e : meta ? follow(k, at) : 1;
}

/* @more: dir has a part beneath; else only a path from the root can lead on. */
static int add_dir(struct looking *k, const struct at *at, uint16_t layer, bool more, bool hidden)
{
	struct dirs_part *p = &k->found->parts[k->found->nparts];
	bool last = layer + 1 == k->l->dirs->root->nparts, marked;
	int e = set_path(k, p, layer);

	p->layer = layer;
	k->found->nparts++;
	if (e || last || hidden)
		return e ? e : 1;
	marked = dirs_may_be_marked(at);
	if ((more || marked) && dirs_is_opaque(k->l, at, marked))
		return 1;
	return marked ? follow(k, at) : 0;
}

/* Whether @st can be a part of what was found above it. */
static bool fits(const struct dirs_entry *found, const struct stat *st)
{
	if (!found->nparts)
		return true;
	return found->meta ? S_ISREG(st->st_mode) : S_ISDIR(st->st_mode);
}

/*
 * What one layer has at @at; @dir: its directory there, NULL by path; @more: others may have more.
 * 1 = that was all.
 */
static int look_at(struct looking *k, struct dirs_part *dir, const struct at *at, uint16_t layer,
		   bool more)
{
	struct dirs_entry *f = k->found;
	struct stat st;
	int e;

	if (fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
		e = errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
		return !e && more ? dirs_is_hidden(k->l, dir, at->dirfd, at->name) : e;
	}
	if (dirs_is_whiteout(k->l, at, &st) || !fits(f, &st))
		return 1;
	if (!f->nparts) {
		f->dev = st.st_dev;
		f->ino = st.st_ino;
		f->is_dir = S_ISDIR(st.st_mode);
		f->is_file = S_ISREG(st.st_mode);
		f->one_name = st.st_nlink == 1;
	}
	if (!f->is_dir)
		return add_file(k, at, &st, layer);
	return add_dir(k, at, layer, more, more && dirs_is_hidden(k->l, dir, at->dirfd, at->name));
}

/* ---- layer by layer ---- */

static int look_in_dir(struct looking *k, struct dirs_part *part, bool more)
{
	struct at at = { .name = k->name };
	char name[UFS_NAME_MAX + 1];
	int e = dirs_dir_fd(k->l, k->dir, part->layer, &at.ref, &at.dirfd);

	if (e)
		return e;
	/* A redirect that is found there changes k->name. */
	memcpy(name, k->name, sizeof(name));
	at.name = name;
	e = look_at(k, part, &at, part->layer, more);
	fdcache_put(&k->l->u->fds, at.ref);
	return e;
}

/*
 * What is on the way was moved too: in the layers beneath @rest is below where it was. k->path ends
 * in its name and @rest, behind where those above it were.
 */
static int follow_above(struct looking *k, const struct at *at, const char *rest)
{
	char value[PATH_MAX], path[PATH_MAX];
	int n, above, e;

	if (!dirs_may_be_marked(at))
		return 0;
	e = dirs_get_redirect(k->l, at, value);
	if (e || !*value)
		return e;
	above = (int)(strlen(k->path) - strlen(rest) - strlen(at->name)) - 1;
	if (value[0] == '/')
		n = snprintf(path, sizeof(path), "%s/%s", value + 1, rest);
	else
		n = snprintf(path, sizeof(path), "%.*s%s/%s", above, k->path, value, rest);
	if (n >= (int)sizeof(path))
		return -EIO;
	memcpy(k->path, path, (size_t)n + 1);
	return 0;
}

/*
 * Into the directory at @at, on the way to @rest. 1: a whiteout or a file is in the way; 2: it is
 * not there; *@ret_last: it hides what is beneath.
 */
static int step_into(struct looking *k, const struct at *at, const char *rest, int *ret_fd,
		     bool *ret_last)
{
	_close_ int fd = openat(at->dirfd, at->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int e = fd < 0 ? errno : 0;

	if (e && e != ENOENT)
		return e == ENOTDIR || e == ELOOP ? 1 : -e;
	if (dirs_is_hidden(k->l, NULL, at->dirfd, at->name) ||
	    (!e && dirs_is_opaque(k->l, at, true)))
		*ret_last = true;
	if (e)
		return *ret_last ? 1 : 2;
	e = *ret_last ? 0 : follow_above(k, at, rest);
	if (!e)
		*ret_fd = take_fd(fd);
	return e;
}

/*
 * The directory that holds k->path in a layer, into *@ret_fd, and its last name; k->path becomes
 * what it is beneath. 1, 2 and *@ret_last as step_into().
 */
static int open_above(struct looking *k, uint16_t layer, int *ret_fd, char name[256],
		      bool *ret_last)
{
	_close_ int fd = openat(k->l->dirs->fds[layer], ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *path = k->here;

	if (fd < 0)
		return -errno;
	memcpy(k->here, k->path, sizeof(k->here));
	while (true) {
		const struct at at = { .dirfd = fd, .name = name };
		size_t len = strcspn(path, "/");
		int next, e;

		memcpy(name, path, len);
		name[len] = 0;
		if (!path[len])
			break;
		path += len + 1;
		e = step_into(k, &at, path, &next, ret_last);
		if (e)
			return e;
		fd_close(fd);
		fd = next;
	}
	*ret_fd = take_fd(fd);
	return 0;
}

static int look_by_path(struct looking *k, uint16_t layer)
{
	char name[UFS_NAME_MAX + 1];
	_close_ int fd = -1;
	struct at at = { .name = name };
	bool last = false;
	int e = open_above(k, layer, &fd, name, &last);

	if (e)
		return e == 2 ? last : e;
	at.dirfd = fd;
	e = look_at(k, NULL, &at, layer, !last);
	return e ? e : last;
}

static int look(struct looking *k)
{
	uint16_t layer = 0, n = k->dir->nparts;
	int r = 0;

	for (uint16_t i = 0; !r && !k->by_path && i < n; i++) {
		layer = k->dir->parts[i].layer;
		r = look_in_dir(k, &k->dir->parts[i], i + 1 < n);
	}
	/* A path may lead on where the directory itself has no part. */
	for (layer++; !r && k->by_path && layer < k->l->dirs->root->nparts; layer++)
		r = look_by_path(k, layer);
	return r < 0 ? r : k->found->nparts ? 0 : -ENOENT;
}

static int look_up(struct lower *l, struct dirs_entry *dir, const char *name, uint64_t *ret_id)
{
	struct looking k = { .l = l, .dir = dir };
	struct dirs_entry *e;
	int r;

	if (str_copy(k.name, sizeof(k.name), name) < 0)
		return -ENAMETOOLONG;
	k.found = dirs_new(k.dir, name, l->dirs->root->nparts);
	if (!k.found)
		return -ENOMEM;
	r = look(&k);
	if (r) {
		dirs_free(l, k.found);
		if (r == -ENOENT && !l->u->others)
			dirs_names_missed(l, k.dir);
		return r;
	}
	e = dirs_intern(l, k.found);
	if (e)
		*ret_id = e->id;
	return e ? 0 : -ENOMEM;
}

int lower_dirs_lookup(struct lower *l, uint64_t dir_id, const char *name, uint64_t *ret_id)
{
	struct dirs_entry *dir = dirs_find(l, dir_id);

	if (!dir || !dir->is_dir)
		return dir ? -ENOTDIR : -ESTALE;
	if ((l->u->foreign && foreign_is_mark(name)) || dirs_names_lack(dir, name))
		return -ENOENT;
	return look_up(l, dir, name, ret_id);
}
