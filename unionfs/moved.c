/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/moved.h"

#include "base/dir.h"
#include "base/str.h"
#include "unionfs/view.h"

#include <errno.h>

struct search {
	struct ufs *u;
	struct node **todo; /* pinned */
	size_t n, cap;
	int (*fn)(void *ctx, const struct at *at); /* NULL: nobody wants them */
	void *ctx;
};

static int add(struct search *s, struct node *n)
{
	if (mem_grow(&s->todo, &s->cap, s->n + 1, sizeof(*s->todo)) < 0) {
		node_put(s->u, n);
		return -ENOMEM;
	}
	s->todo[s->n++] = n;
	return 0;
}

static int look(struct search *s, struct node *dir, int dirfd, const struct dirent *d)
{
	const struct at at = { .dirfd = dirfd, .name = d->d_name };
	struct node *n;
	int e;

	if (streq(d->d_name, ".") || streq(d->d_name, ".."))
		return 0;
	e = s->fn ? s->fn(s->ctx, &at) : 0;
	if (e || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN))
		return e;
	e = view_node(s->u, dir, &at, &n);
	/* One that is damaged, or a mount that someone made there, is nobody's way. */
	if (e)
		return e == -ENOMEM ? e : 0;
	if (S_ISDIR(n->type))
		return add(s, n);
	node_put(s->u, n);
	return 0;
}

static int visit(struct search *s, struct node *dir)
{
	struct dirent *entry;
	struct at at;
	DIR *d;
	int e = node_at_child(s->u, dir, ".", &at);

	if (e)
		return e;
	d = dir_open(at.dirfd, ".");
	if (!d)
		e = -errno;
	while (d && !e && (entry = readdir(d)))
		e = look(s, dir, at.dirfd, entry);
	if (d)
		closedir(d);
	at_put(s->u, &at);
	return e;
}

int moved_find(struct ufs *u)
{
	return moved_walk(u, NULL, NULL);
}

int moved_walk(struct ufs *u, int (*fn)(void *ctx, const struct at *at), void *ctx)
{
	struct search s = { .u = u, .fn = fn, .ctx = ctx };
	int e;

	node_ref(u, u->nodes.root);
	e = add(&s, u->nodes.root);
	while (s.n) {
		struct node *dir = s.todo[--s.n];

		if (!e)
			e = visit(&s, dir);
		node_put(u, dir);
	}
	free(s.todo);
	if (!e)
		u->moved_known = true;
	return e;
}
