/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/view.h"

#include "base/str.h"
#include "unionfs/copyup.h"
#include "unionfs/foreign.h"
#include "unionfs/metacopy.h"
#include "unionfs/protect.h"
#include "unionfs/readdir.h"
#include "unionfs/redirect.h"
#include "unionfs/upper_plain.h"

#include <errno.h>

uint64_t view_lower_dir(const struct inode *dir)
{
	return dir->node ? dir->node->lower : dir->lower;
}

static int stat_name(const struct at *at, struct stat *ret)
{
	return fstatat(at->dirfd, at->name, ret, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ?
		       -errno :
		       0;
}

/* @st: the file's own; of UPPER_ABSENT nothing. */
static int look_upper(struct ufs *u, const struct at *at, enum upper_kind *ret, struct stat *st)
{
	int e = stat_name(at, st);

	*ret = UPPER_ABSENT;
	if (e)
		return e == -ENOENT ? 0 : e;
	*ret = u->mode != UFS_UPPER_PLAIN && upper_is_whiteout(st) ? UPPER_WHITEOUT : UPPER_THING;
	return 0;
}

int view_upper(struct ufs *u, const struct at *at, enum upper_kind *ret)
{
	struct stat st;

	return look_upper(u, at, ret, &st);
}

int view_beneath(struct ufs *u, const struct inode *dir, const char *name, bool *ret)
{
	uint64_t lower = view_lower_dir(dir), id;
	int e = lower ? lower_lookup(&u->lower, lower, name, &id) : -ENOENT;

	*ret = !e;
	if (!e)
		lower_put(&u->lower, id);
	return e == -ENOENT ? 0 : e;
}

/* The lower directory that merges with the upper directory at @at, held; 0: none. */
static int lower_beneath(struct ufs *u, struct node *dir, const struct at *at, unsigned int marks,
			 uint64_t *ret)
{
	struct stat st;
	uint64_t id;
	int e;

	*ret = 0;
	if (!dir->lower && !(marks & MARK_REDIRECT))
		return 0;
	if ((marks & MARK_OPAQUE) && upper_marked(u, at, "overlay.opaque"))
		return 0;
	if (marks & MARK_REDIRECT)
		e = redirect_lower(u, dir->lower, at, &id);
	else
		e = lower_lookup(&u->lower, dir->lower, at->name, &id);
	if (e)
		return e == -ENOENT ? 0 : e;
	e = lower_stat(&u->lower, id, &st);
	if (!e && S_ISDIR(st.st_mode))
		*ret = id;
	else
		lower_put(&u->lower, id);
	return e;
}

/* A nodeid for what was found in the upper: its lower's, when it has one. */
static void number(struct ufs *u, struct node *like, bool has_origin)
{
	bool index = u->lower.kind == UFS_LOWER_INDEX;

	if (like->lower) {
		like->id = like->lower;
		like->kept = true;
	} else if (has_origin && index && like->shown < NODE_UPPER_BIT && !S_ISDIR(like->type)) {
		like->id = like->shown;
		like->kept = true;
	} else if (has_origin && index && like->shown >= NODE_UPPER_BIT) {
		/* It came with a copy of the top that it was born in. */
		like->id = like->shown;
	} else {
		like->id = upper_nodeid(u, like->ino);
	}
	if (!has_origin)
		like->shown = like->lower && index ? like->lower : like->ino | u->upper.ino_bit;
}

/* view_node() where @st, the file's own, is known. */
static int node_found(struct ufs *u, struct node *dir, const struct at *at, struct stat st,
		      struct node **ret)
{
	struct node like = { .parent = dir, .name = (char *)at->name, .fixed_fd = -1 };
	unsigned int marks;
	bool has_origin;
	int e;

	if (st.st_dev != u->upper.dev)
		return -EXDEV;
	*ret = node_get_by_ino(u, st.st_ino);
	if (*ret && u->mode == UFS_UPPER_PLAIN) {
		e = plain_settle(u, ret, dir, at, st.st_mode & S_IFMT);
		if (e)
			return e;
	}
	if (*ret)
		return 0;
	e = upper_load_found(u, at, &st, &like.perm);
	if (e)
		return e;
	like.ino = st.st_ino;
	like.counted = quota_cost(&st);
	like.type = st.st_mode & S_IFMT;
	if (S_ISDIR(st.st_mode) && u->foreign) {
		e = foreign_adopt(u, at);
		if (e)
			return e;
	}
	marks = upper_marks(u, at);
	has_origin = (marks & MARK_ORIGIN) && upper_origin(u, at, &like.shown) == 0;
	if (S_ISDIR(st.st_mode)) {
		e = lower_beneath(u, dir, at, marks, &like.lower);
		if (e)
			return e;
		like.impure = (marks & MARK_IMPURE) && upper_marked(u, at, "overlay.impure");
	} else if (S_ISREG(st.st_mode) && (marks & MARK_METACOPY)) {
		uint64_t data;

		e = metacopy_find(u, dir->lower, at, &data);
		if (e)
			return e;
		like.data = data;
	}
	number(u, &like, has_origin);
	/* Only then its lower is known. */
	like.linking = (marks & MARK_LINKING) && like.id < NODE_UPPER_BIT &&
		       upper_marked(u, at, "strata.linking");
	*ret = node_add(u, &like);
	if (!*ret)
		return -ENOMEM;
	if (marks & MARK_PROTECT)
		protect_node(u, *ret, protect_load(u, at));
	return 0;
}

int view_node(struct ufs *u, struct node *dir, const struct at *at, struct node **ret)
{
	struct stat st;
	int e = stat_name(at, &st);

	return e ? e : node_found(u, dir, at, st, ret);
}

/* view_node() of what has no mark. */
static int node_made(struct ufs *u, struct node *dir, const struct at *at, struct stat st,
		     struct node **ret)
{
	struct node like = { .parent = dir, .name = (char *)at->name, .fixed_fd = -1 };
	int e = upper_load_found(u, at, &st, &like.perm);

	if (e)
		return e;
	like.ino = st.st_ino;
	like.counted = quota_cost(&st);
	like.type = st.st_mode & S_IFMT;
	number(u, &like, false);
	*ret = node_add(u, &like);
	return *ret ? 0 : -ENOMEM;
}

int view_made(struct ufs *u, struct node *dir, const struct at *at, struct node **ret,
	      struct stat *st)
{
	struct node *n;
	int e = st->st_ino ? 0 : stat_name(at, st);

	if (!e && u->mode == UFS_UPPER_PLAIN)
		e = node_found(u, dir, at, *st, &n);
	else if (!e)
		e = node_made(u, dir, at, *st, &n);
	if (e)
		return e;
	upper_show(u, n, st);
	*ret = n;
	return 0;
}

int view_lower(struct ufs *u, uint64_t id, struct found *ret)
{
	/* A file that was copied up under another of its names, or while we looked. */
	struct node *n = u->mode == UFS_UPPER_NONE ? NULL : node_get(u, id);
	int e;

	if (n)
		lower_put(&u->lower, id);
	ret->kind = UPPER_ABSENT;
	ret->inode = (struct inode){ .node = n, .lower = n ? n->lower : id };
	e = inode_stat(u, &ret->inode, &ret->st);
	if (e)
		inode_unpin(u, &ret->inode);
	return e;
}

static int lookup_lower(struct ufs *u, uint64_t dir, const char *name, struct found *ret)
{
	uint64_t id;
	int e = lower_lookup(&u->lower, dir, name, &id);

	return e ? e : view_lower(u, id, ret);
}

int view_lookup(struct ufs *u, const struct inode *dir, const char *name, struct found *ret)
{
	struct node *n;
	struct at at;
	int e;

	ret->kind = UPPER_ABSENT;
	if (!dir->node)
		return lookup_lower(u, dir->lower, name, ret);
	if (!S_ISDIR(dir->node->type))
		return -ENOTDIR;
	e = node_at_child(u, dir->node, name, &at);
	if (e)
		return e;
	e = look_upper(u, &at, &ret->kind, &ret->st);
	if (!e && ret->kind == UPPER_THING)
		e = node_found(u, dir->node, &at, ret->st, &n);
	at_put(u, &at);
	if (e)
		return e;
	if (ret->kind == UPPER_THING) {
		upper_show(u, n, &ret->st);
		ret->inode = (struct inode){ .node = n, .lower = n->lower };
		return 0;
	}
	if (ret->kind == UPPER_WHITEOUT || !dir->node->lower)
		return -ENOENT;
	return lookup_lower(u, dir->node->lower, name, ret);
}

void view_remember(struct ufs *u, const struct inode *i)
{
	uint64_t id = inode_id(i);

	if (i->node)
		node_remember(u, i->node);
	if (id < NODE_UPPER_BIT)
		lower_remember(&u->lower, id);
}

int view_dir_up(struct ufs *u, const struct inode *dir, struct node **ret)
{
	if (!dir->node)
		return copyup_dir(u, dir->lower, ret);
	if (!S_ISDIR(dir->node->type))
		return -ENOTDIR;
	if (dir->node->orphan)
		return -ENOENT;
	node_ref(u, dir->node);
	*ret = dir->node;
	return 0;
}

static int has_entry(void *ctx, const struct dir_entry *d)
{
	(void)ctx;
	return str_is_dots(d->name, d->namelen) ? 0 : 1;
}

int view_check_empty(struct ufs *u, const struct inode *dir)
{
	int r = dir_walk(u, dir, 0, has_entry, NULL);

	return r == 1 ? -ENOTEMPTY : r;
}
