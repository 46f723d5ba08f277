/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the upper holds, for `diff` and `commit`. Who reads that knows nothing of redirects: a lower
 * directory at another place is told in full, with all that it shows, and so is what is in it.
 */
#include "unionfs/changes.h"

#include "base/buf.h"
#include "base/dir.h"
#include "base/err.h"
#include "base/str.h"
#include "unionfs/redirect.h"

#include <errno.h>
#include <limits.h>

/* A directory being walked. */
struct level {
	int fd;		/* in the upper, or -1 */
	uint64_t lower; /* that merges with it, held; 0 = none */
	bool full;	/* told in full: the lower's names too */
	char **names;	/* in byte order */
	size_t n, at;
	size_t path_len; /* of the directory's own path */
};

struct walk {
	struct ufs *u;
	int (*fn)(void *ctx, const struct ufs_change *c);
	void *ctx;
	struct level *levels;
	size_t depth, cap;
	char path[PATH_MAX];
};

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char **v;
	size_t n, cap;
};

static int add_name(struct names *s, const char *name, size_t len)
{
	int e = mem_grow(&s->v, &s->cap, s->n + 2, sizeof(*s->v));

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	if (!e && !(s->v[s->n] = strndup(name, len)))
		e = -ENOMEM;
	if (!e)
		s->v[++s->n] = NULL;
	return e;
}

static int add_upper(struct names *s, int fd)
{
	DIR *d = dir_open(fd, ".");
	struct dirent *entry;
	int e = 0;

	if (!d)
		return -errno;
	while (!e && (entry = readdir(d)))
		e = add_name(s, entry->d_name, strlen(entry->d_name));
	closedir(d);
	return e;
}

static int add_lower(struct names *s, struct lower *l, uint64_t dir)
{
	struct lower_entry entry;
	struct lower_iter it;
	int e = lower_iter_init(l, dir, 0, &it);

	if (e)
		return e;
	while ((e = lower_iter_next(l, &it, &entry)) > 0) {
		e = add_name(s, entry.name, entry.namelen);
		if (e)
			break;
	}
	lower_iter_done(l, &it);
	return e;
}

/* Sorted, each once. */
static void tidy(struct names *s)
{
	size_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_bytes);
	for (size_t i = 0; i < s->n; i++) {
		if (n && streq(s->v[n - 1], s->v[i]))
			free(s->v[i]);
		else
			s->v[n++] = s->v[i];
	}
	s->n = n;
	if (s->v)
		s->v[n] = NULL;
}

static int read_names(struct walk *w, struct level *l)
{
	struct names s = { 0 };
	int e = l->fd >= 0 ? add_upper(&s, l->fd) : 0;

	if (!e && l->full && l->lower)
		e = add_lower(&s, &w->u->lower, l->lower);
	tidy(&s);
	if (e) {
		strv_free(s.v);
		return e;
	}
	l->names = s.v;
	l->n = s.n;
	return 0;
}

static void done(struct walk *w, struct level *l)
{
	fd_close(l->fd);
	strv_free(l->names);
	if (l->lower)
		lower_put(&w->u->lower, l->lower);
}

static void leave(struct walk *w)
{
	done(w, &w->levels[--w->depth]);
}

/* @lower is the level's from now on. */
static int enter(struct walk *w, const struct at *at, uint64_t lower, bool full)
{
	struct level l = { .fd = -1, .lower = lower, .full = full, .path_len = strlen(w->path) };
	int e = mem_grow(&w->levels, &w->cap, w->depth + 1, sizeof(*w->levels)) < 0 ? -ENOMEM : 0;

	if (!e && at->dirfd >= 0) {
		l.fd = openat(at->dirfd, *at->name ? at->name : ".",
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		e = l.fd < 0 ? -errno : 0;
	}
	if (!e)
		e = read_names(w, &l);
	if (e)
		done(w, &l);
	else
		w->levels[w->depth++] = l;
	return e;
}

/* Whether lower directory @dir has that name: else there is nothing to hide. 1, 0, -errno. */
static int has_beneath(struct walk *w, uint64_t dir, const char *name)
{
	uint64_t id;
	int e = dir ? lower_lookup(&w->u->lower, dir, name, &id) : -ENOENT;

	if (!e)
		lower_put(&w->u->lower, id);
	return e == -ENOENT ? 0 : e ? e : 1;
}

/*
 * A directory: whether it is told in full, and whether it hides what the lowers have there. New
 * directories of overlayfs' say so always; beneath the new place of a moved one there may be one.
 */
static int look_at_dir(struct walk *w, const struct thing *t, bool over_full, uint64_t dir,
		       bool *ret_full, bool *ret_opaque)
{
	bool in_upper = t->at.dirfd >= 0, moved;
	int e = 0;

	moved = in_upper && *t->at.name && redirect_is(w->u, &t->at);
	*ret_full = over_full || moved;
	*ret_opaque = in_upper && upper_marked(w->u, &t->at, "overlay.opaque");
	if (over_full)
		*ret_opaque = false;
	else if (*t->at.name && (moved || *ret_opaque)) {
		e = has_beneath(w, dir, t->at.name);
		*ret_opaque = e > 0;
	}
	return e < 0 ? e : 0;
}

/* Tells of it; a directory is entered. */
static int tell(struct walk *w, struct thing *t, bool over_full, uint64_t dir)
{
	struct ufs_change c = { .kind = UFS_CHANGE_PUT, .path = w->path, .fd = -1 };
	bool gone, full = false;
	int e = thing_load(t, dir, &c, &gone);

	if (e)
		return e;
	if (gone) {
		c.kind = UFS_CHANGE_DELETE;
		e = over_full ? 0 : has_beneath(w, dir, t->at.name);
		return e > 0 ? w->fn(w->ctx, &c) : e;
	}
	if (S_ISDIR(c.mode))
		e = look_at_dir(w, t, over_full, dir, &full, &c.opaque);
	if (!e)
		e = thing_give(t, &c, w->fn, w->ctx);
	if (e || !S_ISDIR(c.mode))
		return e;
	e = enter(w, &t->at, t->lower, full);
	t->lower = 0;
	return e;
}

static int step(struct walk *w)
{
	const struct level *l = &w->levels[w->depth - 1];
	const size_t room = sizeof(w->path) - l->path_len;
	const char *name = l->names[w->levels[w->depth - 1].at++];
	struct thing t = { .u = w->u, .path = w->path, .at = { .dirfd = l->fd, .name = name } };
	struct stat st;
	int e;

	if ((size_t)snprintf(w->path + l->path_len, room, "%s%s", l->path_len ? "/" : "", name) >=
	    room)
		return -ENAMETOOLONG;
	if (l->fd >= 0 && fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
		if (errno != ENOENT)
			return -errno;
		t.at.dirfd = -1;
	}
	e = tell(w, &t, l->full, l->lower);
	if (t.lower)
		lower_put(&w->u->lower, t.lower);
	return e;
}

static int begin(struct walk *w)
{
	struct thing t = { .u = w->u,
			   .path = w->path,
			   .at = { .dirfd = w->u->upper.root, .name = "" } };
	int e = 0;

	if (!upper_marked(w->u, &t.at, "overlay.opaque"))
		e = lower_get(&w->u->lower, UFS_ROOT);
	else
		return tell(w, &t, false, 0);
	if (e)
		return e;
	t.lower = UFS_ROOT;
	e = tell(w, &t, false, 0);
	if (t.lower)
		lower_put(&w->u->lower, t.lower);
	return e;
}

int ufs_changes(struct ufs *u, int (*fn)(void *ctx, const struct ufs_change *c), void *ctx)
{
	struct walk w = { .u = u, .fn = fn, .ctx = ctx };
	int e;

	if (u->mode == UFS_UPPER_NONE || u->mode == UFS_UPPER_PLAIN)
		return 0;
	e = begin(&w);
	while (!e && w.depth) {
		if (w.levels[w.depth - 1].at < w.levels[w.depth - 1].n)
			e = step(&w);
		else
			leave(&w);
	}
	while (w.depth)
		leave(&w);
	free(w.levels);
	return e;
}
