/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/view.h"

#include "unionfs/copyup.h"
#include "unionfs/metacopy.h"
#include "unionfs/readdir.h"
#include "unionfs/redirect.h"
#include "unionfs/upper_plain.h"

#include <errno.h>

uint64_t view_lower_dir(const struct inode *dir)
{
	return dir->node ? dir->node->lower : dir->lower;
}

int view_upper(struct ufs *u, const struct at *at, enum upper_kind *ret)
{
	struct stat st;

	*ret = UPPER_ABSENT;
	if (fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : -errno;
	*ret = u->mode != UFS_UPPER_PLAIN && upper_is_whiteout(&st) ? UPPER_WHITEOUT : UPPER_THING;
	return 0;
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
static int lower_beneath(struct ufs *u, struct node *dir, const struct at *at, uint64_t *ret)
{
	struct stat st;
	uint64_t id;
	int e;

	*ret = 0;
	if ((!dir->lower && !redirect_is(u, at)) || upper_marked(u, at, "overlay.opaque"))
		return 0;
	e = redirect_lower(u, dir->lower, at, &id);
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
	} else {
		like->id = NODE_UPPER_BIT | like->ino;
	}
	if (!has_origin)
		like->shown = like->lower && index ? like->lower : like->ino | u->upper.ino_bit;
}

int view_node(struct ufs *u, struct node *dir, const struct at *at, struct node **ret)
{
	struct node like = { .parent = dir, .name = (char *)at->name, .fixed_fd = -1 };
	struct stat st;
	bool has_origin;
	int e;

	if (fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return -errno;
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
	e = upper_load(u, at, &st, &like.perm);
	if (e)
		return e;
	like.ino = st.st_ino;
	like.type = st.st_mode & S_IFMT;
	has_origin = upper_origin(u, at, &like.shown) == 0;
	if (S_ISDIR(st.st_mode)) {
		e = lower_beneath(u, dir, at, &like.lower);
		if (e)
			return e;
		like.impure = upper_marked(u, at, "overlay.impure");
	} else if (S_ISREG(st.st_mode)) {
		uint64_t data;

		e = metacopy_find(u, dir->lower, at, &data);
		if (e)
			return e;
		like.data = data;
	}
	number(u, &like, has_origin);
	*ret = node_add(u, &like);
	return *ret ? 0 : -ENOMEM;
}

/* A file that was copied up under another of its names, or while we looked. */
static int lookup_lower(struct ufs *u, uint64_t dir, const char *name, struct inode *ret)
{
	uint64_t id;
	int e = lower_lookup(&u->lower, dir, name, &id);
	struct node *n;

	if (e)
		return e;
	n = u->mode == UFS_UPPER_NONE ? NULL : node_get(u, id);
	if (n)
		lower_put(&u->lower, id);
	*ret = (struct inode){ .node = n, .lower = n ? n->lower : id };
	return 0;
}

int view_lookup(struct ufs *u, const struct inode *dir, const char *name, struct inode *ret)
{
	enum upper_kind kind = UPPER_ABSENT;
	struct node *n;
	struct at at;
	int e;

	if (!dir->node)
		return lookup_lower(u, dir->lower, name, ret);
	if (!S_ISDIR(dir->node->type))
		return -ENOTDIR;
	e = node_at_child(u, dir->node, name, &at);
	if (e)
		return e;
	e = view_upper(u, &at, &kind);
	if (!e && kind == UPPER_THING) {
		e = view_node(u, dir->node, &at, &n);
		if (!e)
			*ret = (struct inode){ .node = n, .lower = n->lower };
	}
	at_put(u, &at);
	if (e || kind == UPPER_THING)
		return e;
	if (kind == UPPER_WHITEOUT || !dir->node->lower)
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
	return d->namelen <= 2 && memcmp(d->name, "..", d->namelen) == 0 ? 0 : 1;
}

int view_check_empty(struct ufs *u, const struct inode *dir)
{
	int r = dir_walk(u, dir, 0, has_entry, NULL);

	return r == 1 ? -ENOTEMPTY : r;
}
