/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/path.h"
#include "builder/source.h"
#include <limits.h>

#define LINKS_MAX 40 /* as the kernel: path_resolution(7) */

/* A folder that is left out: met after all when something below it is not. */
struct pending {
	struct pending *above;
	struct source_item item;
	size_t len; /* of its path in the walk's */
	bool met;
};

struct walk {
	const struct source *s;
	source_fn *fn;
	void *ctx;
	char path[PATH_MAX]; /* from the source's root, for the patterns */
	size_t top;	     /* where the part below the top begins in it */
	unsigned items;
	bool met; /* one at least */
};

static const char *below_top(const struct walk *w)
{
	const char *below = w->path + w->top;

	return below + (*below == '/');
}

static int meet_pending(struct walk *w, struct pending *p)
{
	char saved = w->path[p ? p->len : 0];
	int r;

	if (!p || p->met)
		return 0;
	r = meet_pending(w, p->above);
	if (r < 0)
		return r;
	w->path[p->len] = '\0';
	p->met = true;
	w->met = true;
	r = w->fn(w->ctx, &p->item);
	w->path[p->len] = saved;
	return r;
}

static int walk_item(struct walk *w, int dirfd, const char *name, unsigned depth,
		     struct pending *above);

static int walk_names(struct walk *w, int fd, char *const *names, unsigned depth,
		      struct pending *above)
{
	size_t len = strlen(w->path), room = sizeof(w->path) - len;
	int r = 0;

	for (; r == 0 && names && *names; names++) {
		if ((size_t)snprintf(w->path + len, room, "%s%s", len ? "/" : "", *names) >= room)
			r = err(-ENAMETOOLONG, "%s: a path too long", *names);
		else
			r = walk_item(w, fd, *names, depth + 1, above);
		w->path[len] = '\0';
	}
	return r;
}

static int walk_folder(struct walk *w, int dirfd, const char *name, unsigned depth,
		       struct pending *above)
{
	_strv_free_ char **names = NULL;
	_close_ int fd = -1;
	int r;

	if (depth >= SOURCE_DEPTH_MAX)
		return err(-ELOOP, "%s: folders deeper than %u", w->path, SOURCE_DEPTH_MAX);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys("%s", w->path);
	r = source_list(fd, &names);
	return r < 0 ? r : walk_names(w, fd, names, depth, above);
}

static bool is_excluded(const struct walk *w)
{
	return w->s->ignore && *w->path && dockerignore_excludes(w->s->ignore, w->path);
}

static int walk_item(struct walk *w, int dirfd, const char *name, unsigned depth,
		     struct pending *above)
{
	struct pending p = { .above = above,
			     .len = strlen(w->path),
			     .item = { .path = below_top(w), .dirfd = dirfd, .name = name } };
	bool excluded = is_excluded(w);
	int r;

	if (excluded && !w->s->ignore->any_negated)
		return 0;
	if (++w->items > SOURCE_ITEMS_MAX)
		return err(-EFBIG, "more than %u files", SOURCE_ITEMS_MAX);
	if (fstatat(dirfd, name, &p.item.st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys("%s", w->path);
	r = excluded ? 0 : meet_pending(w, &p);
	return r != 0 || !S_ISDIR(p.item.st.st_mode) ? r : walk_folder(w, dirfd, name, depth, &p);
}

/* ---- the top ---- */

struct place_of {
	int dirfd;
	char name[NAME_MAX + 1];
};

/* One link of the way: *path becomes what @name in @dirfd leads to. 0 when that is no link. */
static int follow_link(int dirfd, const char *name, const char *parent, char **path)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	char *next;

	if (n < 0)
		return errno == EINVAL ? 0 : err_sys("%s", *path);
	target[n] = '\0';
	/* Not cleaned: what stands before a ".." may be a link, which the kernel follows. */
	next = str_fmt("%s/%s", *target == '/' ? "" : parent, target);
	if (!next)
		return -ENOMEM;
	free(*path);
	*path = next;
	return 1;
}

/*
 * A file is wanted with the folder that holds it, so links at the end are followed one at a time.
 */
static int resolve_file(const struct source *s, const char *given, struct place_of *ret)
{
	_free_ char *path = strdup(given);

	for (unsigned links = 0; path && links < LINKS_MAX; links++) {
		_free_ char *parent = path_parent(path);
		_close_ int dirfd = parent ? source_open(s, parent, O_PATH | O_DIRECTORY) : -ENOMEM;
		int r = dirfd < 0 ? err(dirfd, "%s: %s", given, strerror(-dirfd)) :
				    str_copy(ret->name, sizeof(ret->name), path_name(path));

		if (r == 0)
			r = follow_link(dirfd, ret->name, parent, &path);
		if (r == 0)
			ret->dirfd = take_fd(dirfd);
		if (r <= 0)
			return r;
	}
	return path ? err(-ELOOP, "%s: too many symbolic links", given) : -ENOMEM;
}

static int resolve(const struct source *s, const char *path, struct place_of *ret)
{
	_close_ int fd = source_open(s, path, O_PATH);
	struct stat st;

	if (fd < 0)
		return err(fd, "%s: %s", path, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return err_sys("%s", path);
	if (!S_ISDIR(st.st_mode))
		return resolve_file(s, path, ret);
	ret->dirfd = take_fd(fd);
	return str_copy(ret->name, sizeof(ret->name), ".");
}

int source_walk(const struct source *s, const char *path, source_fn *fn, void *ctx)
{
	struct walk w = { .s = s, .fn = fn, .ctx = ctx, .top = strlen(path) };
	struct place_of top = { .dirfd = -1 };
	int r = str_copy(w.path, sizeof(w.path), path);

	if (r == 0)
		r = resolve(s, path, &top);
	if (r == 0)
		r = walk_item(&w, top.dirfd, top.name, 0, NULL);
	fd_close(top.dirfd);
	if (r == 0 && !w.met)
		r = err(-ENOENT, "'%s' is left out by .dockerignore", path);
	return r;
}

/* ---- hashing ---- */

static int hash_content(struct sha256 *h, const struct source_item *i)
{
	_close_ int fd = openat(i->dirfd, i->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char buf[64 << 10];
	off_t left = i->st.st_size;
	ssize_t n = 0;

	if (fd < 0)
		return err_sys("%s", i->name);
	/* Not a byte more than the size, which is hashed before them. */
	for (; left > 0 && (n = fd_read_full(fd, buf, MIN(left, (off_t)sizeof(buf)))) > 0;
	     left -= n)
		sha256_update(h, buf, n);
	return n < 0 ? err((int)n, "%s: %s", i->name, strerror((int)-n)) : 0;
}

static int hash_target(struct sha256 *h, const struct source_item *i)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(i->dirfd, i->name, target, sizeof(target));

	if (n < 0)
		return err_sys("%s", i->name);
	sha256_update(h, target, n);
	return 0;
}

struct hashing {
	struct sha256 *h;
	bool owners;
};

static int hash_item(void *ctx, const struct source_item *i)
{
	const struct hashing *x = ctx;
	unsigned long long size = S_ISREG(i->st.st_mode) || S_ISLNK(i->st.st_mode) ? i->st.st_size :
										     0;
	unsigned long long rdev = S_ISCHR(i->st.st_mode) || S_ISBLK(i->st.st_mode) ? i->st.st_rdev :
										     0;
	char head[128];
	int n = snprintf(head, sizeof(head), "%o %llu %llu %u:%u", i->st.st_mode, size, rdev,
			 x->owners ? i->st.st_uid : 0, x->owners ? i->st.st_gid : 0);

	sha256_update(x->h, i->path, strlen(i->path) + 1);
	sha256_update(x->h, head, n + 1);
	if (S_ISREG(i->st.st_mode))
		return hash_content(x->h, i);
	return S_ISLNK(i->st.st_mode) ? hash_target(x->h, i) : 0;
}

int source_hash(const struct source *s, const char *path, struct sha256 *h)
{
	struct hashing x = { h, s->owners };

	return source_walk(s, path, hash_item, &x);
}
