/* SPDX-License-Identifier: Apache-2.0 */
/* What the upper holds, for `diff` and `commit`. */
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "unionfs/metacopy.h"
#include "unionfs/redirect.h"
#include "unionfs/union.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

/* A directory being walked. */
struct level {
	int fd;
	char **names; /* in byte order */
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

struct thing {
	struct ufs *u;
	struct at at;
};

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(int fd, char ***ret, size_t *ret_n)
{
	DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t cap = 0, n = 0;
	struct dirent *entry;
	char **v = NULL;
	int e = 0;

	if (!d)
		return -errno;
	while (!e && (entry = readdir(d))) {
		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		e = mem_grow(&v, &cap, n + 2, sizeof(*v));
		if (!e && !(v[n] = strdup(entry->d_name)))
			e = -ENOMEM;
		if (!e)
			v[++n] = NULL;
	}
	closedir(d);
	if (e) {
		strv_free(v);
		return e;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_bytes);
	*ret = v;
	*ret_n = n;
	return 0;
}

static void leave(struct walk *w)
{
	struct level *l = &w->levels[--w->depth];

	fd_close(l->fd);
	strv_free(l->names);
}

static int enter(struct walk *w, int dirfd, const char *name)
{
	struct level l = { .path_len = strlen(w->path) };
	int e;

	if (mem_grow(&w->levels, &w->cap, w->depth + 1, sizeof(*w->levels)) < 0)
		return -ENOMEM;
	l.fd = openat(dirfd, *name ? name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l.fd < 0)
		return -errno;
	e = read_names(l.fd, &l.names, &l.n);
	if (e)
		fd_close(l.fd);
	else
		w->levels[w->depth++] = l;
	return e;
}

static int thing_getxattr(const struct ufs_change *c, const char *name, void *value, size_t size)
{
	const struct thing *t = c->priv;

	return (int)upper_getxattr(t->u, &t->at, name, value, size);
}

/* The lower file that has the bytes of what the walk is at, held; 0: it has them itself. */
static int find_data(struct walk *w, const struct at *at, uint64_t *ret)
{
	const char *slash = strrchr(w->path, '/');
	uint64_t dir = 0;
	char parent[PATH_MAX];
	int e;

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - w->path) : 0, w->path);
	e = redirect_walk(w->u, parent, &dir);
	if (e && e != -ENOENT)
		return e;
	e = metacopy_find(w->u, dir, at, ret);
	if (dir)
		lower_put(&w->u->lower, dir);
	return e;
}

/* A file without a name, with those bytes: the top itself stays as it is. */
static int copy_of_data(struct ufs *u, uint64_t id)
{
	_close_ int fd = openat(u->upper.tmp, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int e;

	if (fd < 0)
		fd = memfd_create("strata-data", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	e = metacopy_copy(u, id, fd);
	return e ? e : take_fd(fd);
}

static int open_data(struct walk *w, const struct at *at)
{
	uint64_t id;
	int fd, e = find_data(w, at, &id);

	if (e)
		return err(e, "%s: its content is not in the image", w->path);
	if (id) {
		fd = copy_of_data(w->u, id);
		lower_put(&w->u->lower, id);
		return fd;
	}
	fd = openat(at->dirfd, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Fills in what needs more calls than one, and gives it to the caller. */
static int give(struct walk *w, const struct thing *t, struct ufs_change *c)
{
	_free_ char *list = malloc(UFS_XATTR_MAX);
	_close_ int fd = -1;
	char target[UFS_TARGET_MAX + 1];
	ssize_t n = list ? upper_listxattr(w->u, &t->at, list, UFS_XATTR_MAX) : -ENOMEM;

	if (n < 0 && n != -EOPNOTSUPP)
		return (int)n;
	c->xattrs = list;
	c->xattrs_len = n < 0 ? 0 : (size_t)n;
	c->getxattr = thing_getxattr;
	c->priv = t;
	if (S_ISLNK(c->mode)) {
		n = upper_readlink(w->u, &t->at, target, UFS_TARGET_MAX);
		if (n < 0)
			return (int)n;
		target[n] = 0;
		c->target = target;
	} else if (S_ISREG(c->mode)) {
		fd = open_data(w, &t->at);
		if (fd < 0)
			return fd;
		c->fd = fd;
	} else if (S_ISDIR(c->mode)) {
		if (redirect_is(w->u, &t->at))
			return err(-EXDEV, "%s: a directory of the image that was moved", w->path);
		c->opaque = upper_marked(w->u, &t->at, "overlay.opaque");
	}
	return w->fn(w->ctx, c);
}

static int visit(struct walk *w, int dirfd, const char *name, bool *ret_dir)
{
	struct thing t = { w->u, { .dirfd = dirfd, .name = name } };
	struct ufs_change c = { .kind = UFS_CHANGE_PUT, .path = w->path, .fd = -1 };
	struct stat st;
	struct perm p;
	int e = upper_load(w->u, &t.at, &st, &p);

	*ret_dir = false;
	if (e)
		return e;
	if (upper_is_whiteout(&st)) {
		c.kind = UFS_CHANGE_DELETE;
		return w->fn(w->ctx, &c);
	}
	*ret_dir = S_ISDIR(p.mode);
	c.mode = p.mode;
	c.uid = p.uid;
	c.gid = p.gid;
	c.rdev = p.rdev;
	c.size = S_ISREG(p.mode) || S_ISLNK(p.mode) ? (uint64_t)st.st_size : 0;
	c.ino = st.st_ino;
	c.nlink = (uint32_t)st.st_nlink;
	c.mtime_sec = st.st_mtim.tv_sec;
	c.mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
	return give(w, &t, &c);
}

static int step(struct walk *w)
{
	struct level *l = &w->levels[w->depth - 1];
	size_t room = sizeof(w->path) - l->path_len;
	const char *name = l->names[l->at++];
	bool dir;
	int e;

	if ((size_t)snprintf(w->path + l->path_len, room, "%s%s", l->path_len ? "/" : "", name) >=
	    room)
		return -ENAMETOOLONG;
	e = visit(w, l->fd, name, &dir);
	return e || !dir ? e : enter(w, l->fd, name);
}

int ufs_changes(struct ufs *u, int (*fn)(void *ctx, const struct ufs_change *c), void *ctx)
{
	struct walk w = { .u = u, .fn = fn, .ctx = ctx };
	bool dir;
	int e;

	if (u->mode == UFS_UPPER_NONE || u->mode == UFS_UPPER_PLAIN)
		return 0;
	e = visit(&w, u->upper.root, "", &dir);
	if (!e)
		e = enter(&w, u->upper.root, "");
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
