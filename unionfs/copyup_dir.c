/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of a lower get their places in the upper. */
#include "unionfs/copyup.h"
#include "unionfs/moved.h"
#include "unionfs/view.h"

#include <errno.h>

static int make_dir(struct ufs *u, struct node *parent, uint64_t id, const struct at *at)
{
	struct made m;
	struct stat st;
	int e = lower_stat(&u->lower, id, &st);

	if (!e)
		e = copyup_mark_impure(u, parent);
	if (!e)
		e = copyup_make(u, id, &st, 0, &m);
	if (e)
		return e;
	e = copyup_put(u, &m, at);
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

static int find_or_copy(struct ufs *u, uint64_t id, struct node **ret)
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

int copyup_dir(struct ufs *u, uint64_t id, struct node **ret)
{
	int e = find_or_copy(u, id, ret);

	/* It may have been moved before this union began, and nobody has looked there yet. */
	if (e != -ENOENT || u->moved_known)
		return e;
	e = moved_find(u);
	return e ? e : find_or_copy(u, id, ret);
}
