/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/copyup.h"

#include "unionfs/metacopy.h"
#include "unionfs/protect.h"
#include "unionfs/view.h"

#include <errno.h>

static int copy_xattr(struct ufs *u, uint64_t id, const struct at *at, const char *name,
		      char *value)
{
	char shown[256];
	ssize_t n;
	int e;

	if (!xname_show(u, name, shown))
		return 0;
	n = lower_getxattr(&u->lower, id, name, value, UFS_XATTR_MAX);
	if (n < 0)
		return n == -ENODATA ? 0 : (int)n;
	e = upper_setxattr(u, at, shown, value, (size_t)n, 0);
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

/* Linux lets nobody set user.* on links, devices, fifos and sockets. */
static bool takes_no_marks(const struct ufs *u, const struct stat *st)
{
	return u->mode == UFS_UPPER_NATIVE && u->upper.user && !S_ISREG(st->st_mode) &&
	       !S_ISDIR(st->st_mode);
}

/* Everything about the copy that is not its content. */
static int copy_attributes(struct ufs *u, uint64_t id, const struct stat *st, struct made *m)
{
	const struct at at = made_at(u, m);
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	int e = copyup_xattrs(u, id, &at);

	if (!e && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		m->protect = lower_protection(&u->lower, id);
	if (!e && m->protect)
		e = protect_store(u, &at, m->protect);
	if (!e)
		e = upper_set_origin(u, &at, st->st_ino);
	/* A number that changes with a remount. */
	if (e == -EPERM && takes_no_marks(u, st))
		e = 0;
	return e ? e : at_set_times(&at, times);
}

static int copy_data(struct ufs *u, uint64_t id, const struct stat *st, const struct made *m,
		     uint64_t limit)
{
	_close_ int opened =
		m->fd >= 0 ? -1 : openat(u->upper.tmp, m->tmp.s, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int fd = m->fd >= 0 ? m->fd : opened, e;
	struct lower_data d;
	uint64_t want;

	if (fd < 0)
		return -errno;
	if (limit == COPYUP_META)
		return metacopy_begin(u, fd, id);
	e = lower_data_get(&u->lower, id, &d);
	if (e)
		return e;
	want = quota_need(st, limit);
	e = quota_take(u, want);
	if (!e) {
		e = copy_content(u, &d, fd, limit);
		if (!e && !u->is_volatile && d.size && limit && fdatasync(fd) < 0)
			e = -errno;
		if (e)
			quota_give(u, want);
		else
			e = quota_copied(u, fd, want);
	}
	lower_data_put(&u->lower, &d);
	return e;
}

int copyup_make(struct ufs *u, uint64_t id, const struct stat *st, uint64_t limit, struct made *ret)
{
	const struct perm p = {
		.mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .rdev = st->st_rdev
	};
	char target[UFS_TARGET_MAX + 1];
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
	if (S_ISREG(st->st_mode))
		e = copy_data(u, id, st, ret, limit);
	if (!e)
		e = copy_attributes(u, id, st, ret);
	if (e)
		made_drop(u, ret);
	return e;
}

int copyup_put(struct ufs *u, struct made *m, const struct at *at)
{
	struct stat st;
	int e = fstat(at->dirfd, &st) < 0 ? -errno : made_put(u, m, at, false, false);

	if (!e)
		futimens(at->dirfd, (const struct timespec[2]){ st.st_atim, st.st_mtim });
	return e;
}

/* ---- files ---- */

struct placing {
	struct ufs *u;
	uint64_t id;
	const struct stat *st;
	struct made *made;
	bool meta;	   /* its bytes stay in the lower */
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
	like.counted = quota_cost(&st);
	if (p->meta && lower_get(&p->u->lower, p->id) == 0)
		like.data = p->id;
	p->node = node_add(p->u, &like);
	if (!p->node)
		return -ENOMEM;
	protect_node(p->u, p->node, p->made->protect);
	return 0;
}

static int place_first(struct placing *p, struct node *dir, const struct at *at)
{
	int e = copyup_mark_impure(p->u, dir);

	if (!e)
		e = copyup_put(p->u, p->made, at);
	if (e)
		return e;
	e = add_node(p, dir, at);
	/* By its number the client would still find the lower's. */
	if (e)
		made_take_back(p->u, at, false);
	return e;
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

/* Which names it has by now is for a mark to say: a file of several gets them one by one. */
static bool has_linking_mark(const struct ufs *u, const struct stat *st)
{
	return st->st_nlink > 1 && u->lower.kind == UFS_LOWER_INDEX && !takes_no_marks(u, st);
}

static int mark_linking(struct ufs *u, const struct stat *st, const struct made *m)
{
	const struct at at = made_at(u, m);

	return has_linking_mark(u, st) ? upper_mark(u, &at, "strata.linking") : 0;
}

static int unmark_linking(struct ufs *u, struct node *n)
{
	struct at at;
	int e = node_at(u, n, &at);

	if (e)
		return e;
	e = upper_unmark(u, &at, "strata.linking");
	at_put(u, &at);
	if (!e)
		n->linking = false;
	return e;
}

int copyup_links(struct ufs *u, struct node *n)
{
	struct placing p = { .u = u, .id = n->id, .node = n };
	int e = n->linking ? lower_names(&u->lower, n->id, place_name, &p) : 0;

	return !e && n->linking ? unmark_linking(u, n) : e;
}

static int complete_links(struct ufs *u, struct node *n)
{
	int e;

	pthread_rwlock_wrlock(&u->tree);
	e = copyup_links(u, n);
	pthread_rwlock_unlock(&u->tree);
	return e;
}

/* The copy's descriptor serves its data from now on. */
static void keep_descriptor(struct ufs *u, struct node *n, struct made *m)
{
	if (m->fd >= 0 && S_ISREG(n->type))
		fdcache_put(&u->fds, fdcache_add(&u->fds, n->id, FD_UPPER_FILE, take_fd(m->fd)));
}

/* Who has it mapped sees its own bytes from now on, or none. */
static void switch_mappings(struct ufs *u, struct node *n)
{
	struct fd_ref *file = NULL;

	if (!dax_has(&u->dax) || !S_ISREG(n->type))
		return;
	if (node_fd(u, n, &file) < 0)
		file = NULL;
	dax_switch(&u->dax, n->id, file ? file->fd : -1);
	fdcache_put(&u->fds, file);
}

static int copy_file(struct ufs *u, struct inode *i, uint64_t limit)
{
	struct placing p = { .u = u, .id = i->lower };
	struct made m;
	struct stat st;
	int e = lower_stat(&u->lower, i->lower, &st);

	p.meta = !e && limit == COPYUP_META && u->metacopy && S_ISREG(st.st_mode) && st.st_size;
	if (!e)
		e = copyup_make(u, i->lower, &st,
				p.meta		     ? COPYUP_META :
				limit == COPYUP_META ? COPYUP_ALL :
						       limit,
				&m);
	if (e)
		return e;
	p.st = &st;
	p.made = &m;
	e = mark_linking(u, &st, &m);
	pthread_rwlock_wrlock(&u->tree);
	if (!e)
		e = place(&p);
	if (p.node && has_linking_mark(u, &st)) {
		p.node->linking = true;
		e = e ? e : unmark_linking(u, p.node);
	}
	pthread_rwlock_unlock(&u->tree);
	if (p.node)
		keep_descriptor(u, p.node, &m);
	if (p.node && !p.meta)
		switch_mappings(u, p.node);
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
		return i->node->linking ? complete_links(u, i->node) : 0;
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
	int e;

	if (i->node)
		return i->node->linking ? complete_links(u, i->node) : 0;
	if (!lower_is_dir(&u->lower, i->lower))
		return copyup_file(u, i, limit);
	pthread_rwlock_rdlock(&u->tree);
	e = copyup_dir(u, i->lower, &n);
	pthread_rwlock_unlock(&u->tree);
	if (e)
		return e;
	lower_put(&u->lower, i->lower);
	*i = (struct inode){ .node = n, .lower = n->lower };
	return 0;
}
