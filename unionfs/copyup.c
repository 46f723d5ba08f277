/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/copyup.h"

#include "unionfs/made.h"
#include "unionfs/view.h"

#include <errno.h>

static int copy_xattr(struct ufs *u, uint64_t id, const struct at *at, const char *name,
		      char *value)
{
	ssize_t n;
	int e;

	if (upper_hides(u, name))
		return 0;
	n = lower_getxattr(&u->lower, id, name, value, UFS_XATTR_MAX);
	if (n < 0)
		return n == -ENODATA ? 0 : (int)n;
	e = upper_setxattr(u, at, name, value, (size_t)n, 0);
	return e == -EOPNOTSUPP ? 0 : e;
}

int copyup_xattrs(struct ufs *u, uint64_t id, const struct at *at)
{
	_free_ char *list = NULL, *value = NULL;
	ssize_t n = lower_listxattr(&u->lower, id, NULL, 0);
	int e = 0;

	if (n <= 0)
		return n == -EOPNOTSUPP ? 0 : (int)n;
	list = malloc(UFS_XATTR_MAX);
	value = malloc(UFS_XATTR_MAX);
	if (!list || !value)
		return -ENOMEM;
	n = lower_listxattr(&u->lower, id, list, UFS_XATTR_MAX);
	if (n < 0)
		return (int)n;
	for (const char *s = list; !e && s < list + n; s += strlen(s) + 1)
		e = copy_xattr(u, id, at, s, value);
	return e;
}

int copyup_mark_impure(struct ufs *u, struct node *dir)
{
	struct at at;
	int e;

	if (dir->impure || dir == u->nodes.orphans)
		return 0;
	e = node_at(u, dir, &at);
	if (e)
		return e;
	e = upper_mark(u, &at, "overlay.impure");
	at_put(u, &at);
	if (!e)
		dir->impure = true;
	return e;
}

/* Everything about the copy that is not its content. */
static int copy_attributes(struct ufs *u, uint64_t id, const struct stat *st, const struct at *at)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	int e = copyup_xattrs(u, id, at);

	if (!e)
		e = upper_set_origin(u, at, st->st_ino);
	return e ? e : at_set_times(at, times);
}

static int copy_data(struct ufs *u, uint64_t id, const struct made *m, uint64_t limit)
{
	_close_ int opened = -1;
	int fd = m->fd, e;
	struct lower_data d;

	if (fd < 0)
		fd = opened = openat(u->upper.tmp, m->tmp.s, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	e = lower_data_get(&u->lower, id, &d);
	if (e)
		return e;
	e = copy_content(&d, fd, limit);
	if (!e && !u->is_volatile && d.size && limit && fdatasync(fd) < 0)
		e = -errno;
	lower_data_put(&u->lower, &d);
	return e;
}

/* The whole copy, without a place yet. */
static int make_copy(struct ufs *u, uint64_t id, const struct stat *st, uint64_t limit,
		     struct made *ret)
{
	const struct perm p = {
		.mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .rdev = st->st_rdev
	};
	char target[UFS_TARGET_MAX + 1];
	struct at at;
	ssize_t n = 0;
	int e;

	if (S_ISLNK(st->st_mode))
		n = lower_readlink(&u->lower, id, target, sizeof(target) - 1);
	if (n < 0)
		return (int)n;
	target[n] = 0;
	e = made_new(u, u->upper.tmp, &p, target, ret);
	if (e)
		return e;
	at = made_at(u, ret);
	if (S_ISREG(st->st_mode))
		e = copy_data(u, id, ret, limit);
	if (!e)
		e = copy_attributes(u, id, st, &at);
	if (e)
		made_drop(u, ret);
	return e;
}

/*
 * Puts a finished thing at a place without the directory's times showing it: the client did not
 * change that.
 */
static int put_in_place(struct ufs *u, struct made *m, const struct at *at)
{
	struct stat st;
	int e = fstat(at->dirfd, &st) < 0 ? -errno : made_put(u, m, at, false, false);

	if (!e)
		futimens(at->dirfd, (const struct timespec[2]){ st.st_atim, st.st_mtim });
	return e;
}

/* ---- directories ---- */

static int make_dir(struct ufs *u, struct node *parent, uint64_t id, const struct at *at)
{
	struct made m;
	struct stat st;
	int e = lower_stat(&u->lower, id, &st);

	if (!e)
		e = copyup_mark_impure(u, parent);
	if (!e)
		e = make_copy(u, id, &st, 0, &m);
	if (e)
		return e;
	e = put_in_place(u, &m, at);
	made_drop(u, &m);
	/* Another thread was first. */
	return e == -EEXIST ? 0 : e;
}

static int dir_step(struct ufs *u, struct node *parent, uint64_t id, const char *name,
		    struct node **ret)
{
	enum upper_kind kind;
	struct node *n = NULL;
	struct at at;
	int e = node_at_child(u, parent, name, &at);

	if (e)
		return e;
	e = view_upper(u, &at, &kind);
	if (!e && kind == UPPER_WHITEOUT)
		e = -ENOENT;
	if (!e && kind == UPPER_ABSENT)
		e = make_dir(u, parent, id, &at);
	if (!e)
		e = view_node(u, parent, &at, &n);
	if (!e && kind == UPPER_ABSENT)
		n->fresh = true;
	at_put(u, &at);
	if (!e && n->lower != id) {
		node_put(u, n);
		e = -ENOENT;
	}
	if (!e)
		*ret = n;
	return e;
}

struct step {
	uint64_t id;
	char name[256];
};

/* The directories from @id up to the first that has a node, nearest to it last; holds each id. */
static int steps_up(struct ufs *u, uint64_t id, struct step **steps, size_t *n, struct node **ret)
{
	size_t cap = 0;
	struct node *dir;
	int e = lower_get(&u->lower, id);

	while (!e && !(dir = node_get(u, id))) {
		struct step *s;

		if (mem_grow(steps, &cap, *n + 1, sizeof(**steps)) < 0) {
			lower_put(&u->lower, id);
			return -ENOMEM;
		}
		s = &(*steps)[*n];
		s->id = id;
		(*n)++;
		e = lower_parent(&u->lower, s->id, &id, s->name);
	}
	if (e)
		return e;
	lower_put(&u->lower, id);
	*ret = dir;
	return 0;
}

int copyup_dir(struct ufs *u, uint64_t id, struct node **ret)
{
	_free_ struct step *steps = NULL;
	struct node *dir = NULL, *next;
	uint64_t over = 0;
	size_t n = 0;
	int e = steps_up(u, id, &steps, &n, &dir);

	for (size_t i = n; !e && i--; dir = next) {
		next = NULL;
		/* The directory above is another one by now, or opaque. */
		e = dir->orphan || (over && dir->lower != over) || !dir->lower ? -ENOENT : 0;
		if (!e)
			e = dir_step(u, dir, steps[i].id, steps[i].name, &next);
		over = steps[i].id;
		node_put(u, dir);
	}
	for (size_t i = 0; i < n; i++)
		lower_put(&u->lower, steps[i].id);
	if (!e && (dir->orphan || !S_ISDIR(dir->type))) {
		e = dir->orphan ? -ENOENT : -ENOTDIR;
		node_put(u, dir);
	}
	if (!e)
		*ret = dir;
	return e;
}

/* ---- files ---- */

struct placing {
	struct ufs *u;
	uint64_t id;
	const struct stat *st;
	struct made *made;
	struct node *node; /* once it has its first name */
};

/* The copy has a place now: its node, under the number that the client knows. */
static int add_node(struct placing *p, struct node *dir, const struct at *at)
{
	struct node like = {
		.id = p->id,
		.shown = p->st->st_ino,
		.parent = dir,
		.name = (char *)at->name,
		.kept = true,
		.orphan = dir == p->u->nodes.orphans,
		.lookups = 1, /* at least: uncounted until now */
		.fresh = true,
		.fixed_fd = -1,
	};
	struct stat st;
	int e = upper_load(p->u, at, &st, &like.perm);

	if (e)
		return e;
	like.ino = st.st_ino;
	p->node = node_add(p->u, &like);
	return p->node ? 0 : -ENOMEM;
}

static int place_first(struct placing *p, struct node *dir, const struct at *at)
{
	int e = copyup_mark_impure(p->u, dir);

	if (!e)
		e = put_in_place(p->u, p->made, at);
	return e ? e : add_node(p, dir, at);
}

/* Another name of the same file. */
static int place_link(struct placing *p, struct node *dir, const struct at *at)
{
	struct stat st;
	struct at from;
	int e = copyup_mark_impure(p->u, dir);

	if (!e)
		e = node_at(p->u, p->node, &from);
	if (e)
		return e;
	if (fstat(at->dirfd, &st) < 0 || linkat(from.dirfd, from.name, at->dirfd, at->name, 0) < 0)
		e = -errno;
	else
		futimens(at->dirfd, (const struct timespec[2]){ st.st_atim, st.st_mtim });
	at_put(p->u, &from);
	return e;
}

static int place_at(struct placing *p, struct node *dir, const char *name)
{
	enum upper_kind kind;
	struct at at;
	int e = node_at_child(p->u, dir, name, &at);

	if (e)
		return e;
	e = view_upper(p->u, &at, &kind);
	if (!e && kind == UPPER_ABSENT)
		e = p->node ? place_link(p, dir, &at) : place_first(p, dir, &at);
	at_put(p->u, &at);
	return e;
}

/* One of the names that the lower has: if the client still sees it, it becomes the copy's. */
static int place_name(void *ctx, uint64_t lower_dir, const char *name)
{
	struct placing *p = ctx;
	struct node *dir;
	int e = copyup_dir(p->u, lower_dir, &dir);

	if (e)
		return e == -ENOENT ? 0 : e;
	if (dir->lower == lower_dir)
		e = place_at(p, dir, name);
	node_put(p->u, dir);
	return e;
}

static int place(struct placing *p)
{
	char name[24];
	int e = lower_names(&p->u->lower, p->id, place_name, p);

	if (e || p->node)
		return e;
	/* Open, but without a name by now. */
	snprintf(name, sizeof(name), "%llx", (unsigned long long)p->id);
	return place_at(p, p->u->nodes.orphans, name);
}

/* The copy's descriptor serves its data from now on. */
static void keep_descriptor(struct ufs *u, struct node *n, struct made *m)
{
	if (m->fd >= 0 && S_ISREG(n->type))
		fdcache_put(&u->fds, fdcache_add(&u->fds, n->id, FD_UPPER_FILE, take_fd(m->fd)));
}

static int copy_file(struct ufs *u, struct inode *i, uint64_t limit)
{
	struct placing p = { .u = u, .id = i->lower };
	struct made m;
	struct stat st;
	int e = lower_stat(&u->lower, i->lower, &st);

	if (!e)
		e = make_copy(u, i->lower, &st, limit, &m);
	if (e)
		return e;
	p.st = &st;
	p.made = &m;
	pthread_rwlock_wrlock(&u->tree);
	e = place(&p);
	pthread_rwlock_unlock(&u->tree);
	if (p.node)
		keep_descriptor(u, p.node, &m);
	made_drop(u, &m);
	/* A failure behind the first name leaves that one, with the old content. */
	if (!p.node)
		return e ? e : -EIO;
	lower_put(&u->lower, i->lower);
	*i = (struct inode){ .node = p.node, .lower = p.node->lower };
	return e;
}

int copyup_file(struct ufs *u, struct inode *i, uint64_t limit)
{
	pthread_mutex_t *stripe;
	struct node *n;
	int e = 0;

	if (i->node)
		return 0;
	stripe = ufs_stripe(u, i->lower);
	pthread_mutex_lock(stripe);
	n = node_get(u, i->lower);
	if (n) {
		lower_put(&u->lower, i->lower);
		*i = (struct inode){ .node = n, .lower = n->lower };
	} else {
		e = copy_file(u, i, limit);
	}
	pthread_mutex_unlock(stripe);
	return e;
}

int copyup(struct ufs *u, struct inode *i, uint64_t limit)
{
	struct node *n;
	struct stat st;
	int e;

	if (i->node)
		return 0;
	e = lower_stat(&u->lower, i->lower, &st);
	if (e || !S_ISDIR(st.st_mode))
		return e ? e : copyup_file(u, i, limit);
	pthread_rwlock_rdlock(&u->tree);
	e = copyup_dir(u, i->lower, &n);
	pthread_rwlock_unlock(&u->tree);
	if (e)
		return e;
	lower_put(&u->lower, i->lower);
	*i = (struct inode){ .node = n, .lower = n->lower };
	return 0;
}
