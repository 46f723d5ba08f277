/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/source.h"
#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/path.h"

/* A strv that grows by doubling: a folder may hold a hundred thousand names. */
struct names {
	char **v;
	size_t n, cap;
};

static void names_done(struct names *l)
{
	strv_free(l->v);
}

/* Takes @name over. */
static int names_add(struct names *l, char *name)
{
	if (!name || mem_grow(&l->v, &l->cap, l->n + 2, sizeof(*l->v)) < 0) {
		free(name);
		return -ENOMEM;
	}
	l->v[l->n++] = name;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int source_list(int dirfd, char ***ret)
{
	_cleanup_(names_done) struct names l = { 0 };
	_closedir_ DIR *d = dir_open(dirfd, ".");
	struct dirent *e;
	int r = 0;

	if (!d)
		return err_sys("a folder");
	while (r == 0 && (e = dir_next(d)))
		r = names_add(&l, strdup(e->d_name));
	if (r == 0 && errno)
		r = err_sys("a folder");
	if (r < 0)
		return r;
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), compare);
	*ret = take_ptr(l.v);
	return 0;
}

int source_open(const struct source *s, const char *path, uint64_t flags)
{
	return fd_open_in_root(s->root_fd, *path ? path : ".", flags, 0);
}

/* ---- finding ---- */

static int exists(const struct source *s, const char *path)
{
	int fd = source_open(s, path, O_PATH);

	if (fd < 0)
		return fd;
	fd_close(fd);
	return 0;
}

/* Adds to @next the names in the folder @base that fit @part. */
static int extend_one(const struct source *s, const char *base, const char *part,
		      struct names *next)
{
	_strv_free_ char **names = NULL;
	_close_ int fd = source_open(s, base, O_RDONLY | O_DIRECTORY);
	int r;

	if (fd < 0) /* a file on the way fits nothing below it */
		return fd == -ENOTDIR || fd == -ENOENT || fd == -ELOOP ?
			       0 :
			       err(fd, "%s: %s", base, strerror(-fd));
	r = source_list(fd, &names);
	for (char **n = names; r == 0 && n && *n; n++)
		if (pattern_match(part, *n))
			r = names_add(next, str_fmt("%s%s%s", base, *base ? "/" : "", *n));
	return r;
}

/* Extends each path of @found. */
static int extend(const struct source *s, struct names *found, const char *part)
{
	_cleanup_(names_done) struct names next = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < found->n; i++)
		r = extend_one(s, found->v[i], part, &next);
	if (r < 0)
		return r;
	strv_free(found->v);
	*found = next;
	next = (struct names){ 0 };
	return 0;
}

static int stop(_unused_ void *ctx, _unused_ const struct source_item *i)
{
	return 1;
}

/* 1 when @path is not left out, or something below it is not; 0 or -errno. */
static int wanted(const struct source *s, const char *path)
{
	int r;

	if (!s->ignore || !*path || !dockerignore_excludes(s->ignore, path))
		return 1;
	if (!s->ignore->any_negated)
		return 0;
	r = source_walk(s, path, stop, NULL);
	if (r != -ENOENT)
		return r;
	err_clear();
	return 0;
}

static int keep_wanted(const struct source *s, const struct names *found, char ***ret)
{
	_cleanup_(names_done) struct names kept = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < found->n; i++) {
		r = wanted(s, found->v[i]);
		if (r > 0)
			r = names_add(&kept, strdup(found->v[i]));
	}
	if (r == 0 && !kept.n)
		r = -ENOENT;
	if (r == 0)
		*ret = take_ptr(kept.v);
	return r;
}

static int find_wild(const struct source *s, const char *pattern, char ***ret)
{
	_cleanup_(names_done) struct names found = { 0 };
	int r = names_add(&found, strdup(""));

	while (r == 0 && *pattern) {
		size_t len = strcspn(pattern, "/");
		_free_ char *part = strndup(pattern, len);

		r = part ? extend(s, &found, part) : -ENOMEM;
		pattern += len;
		pattern += *pattern == '/';
	}
	return r < 0 ? r : keep_wanted(s, &found, ret);
}

static int find_one(const struct source *s, const char *path, const char *pattern, char ***ret)
{
	int r = exists(s, path);

	if (r == 0)
		r = wanted(s, path);
	if (r == 0)
		return err(-ENOENT, "'%s' is left out by .dockerignore", pattern);
	return r < 0 ? r : strv_add(ret, path);
}

int source_find(const struct source *s, const char *pattern, char ***ret)
{
	_strv_free_ char **found = NULL;
	_free_ char *path = NULL;
	bool above;
	int r = path_clean(pattern, &path, &above);

	if (r < 0)
		return r;
	if (above)
		return err(-EINVAL, "'%s' leads out of what is copied from", pattern);
	if (strpbrk(path, "*?["))
		r = find_wild(s, path, &found);
	else
		r = find_one(s, path, pattern, &found);
	if (r < 0)
		return err(r, "'%s': %s", pattern, r == -ENOENT ? "not there" : strerror(-r));
	*ret = take_ptr(found);
	return 0;
}
