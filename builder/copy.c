/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/copy.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/path.h"
#include <limits.h>

/* A folder that is being filled; dressed when all is in it. */
struct level {
	int fd;
	size_t len; /* of its path below the top */
	struct stat st;
	bool dress;
};

struct copier {
	const struct copy *c;
	const char *source, *dst;
	bool into;
	struct level levels[SOURCE_DEPTH_MAX + 2];
	size_t depth;
};

static struct owner owner_of(const struct copy *c, const struct stat *st)
{
	return c->keep_owner ? (struct owner){ st->st_uid, st->st_gid } : c->owner;
}

static mode_t mode_of(const struct copy *c, const struct stat *st)
{
	return c->mode >= 0 ? (mode_t)c->mode : st->st_mode;
}

/* ---- folders ---- */

static int push(struct copier *k, int fd, size_t len, const struct stat *st, bool dress)
{
	if (k->depth == ARRAY_SIZE(k->levels)) {
		fd_close(fd);
		return err(-ELOOP, "folders deeper than %u", SOURCE_DEPTH_MAX);
	}
	k->levels[k->depth++] = (struct level){ .fd = fd, .len = len, .st = *st, .dress = dress };
	return 0;
}

static int pop(struct copier *k)
{
	struct level *l = &k->levels[--k->depth];
	struct owner owner = owner_of(k->c, &l->st);
	int r = l->dress ? place_dress(l->fd, "a folder", &owner, mode_of(k->c, &l->st),
				       &l->st.st_mtim) :
			   0;

	fd_close(l->fd);
	return r;
}

static int copy_top_folder(struct copier *k, const struct source_item *i)
{
	bool made;
	int fd = place_folder(k->c->root_fd, k->dst, &k->c->owner, &made);

	return fd < 0 ? fd : push(k, fd, 0, &i->st, made);
}

/*
 * In the folder @dirfd; a link to a folder that the image has there is followed, and keeps what
 * it is.
 */
static int copy_folder(struct copier *k, const struct source_item *i, int dirfd, const char *name)
{
	_free_ char *path = str_fmt("%s/%s", k->dst, i->path);
	bool made = mkdirat(dirfd, name, 0700) == 0;
	struct stat st;
	int fd;

	if (!path)
		return -ENOMEM;
	if (!made && errno != EEXIST)
		return err_sys("/%s", path);
	fd = fd_open_in_root(k->c->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err(fd, "/%s: %s", path,
			   fd == -ENOTDIR ? "is no folder there" : strerror(-fd));
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		fd_close(fd);
		return err_sys("/%s", path);
	}
	return push(k, fd, strlen(i->path), &i->st, S_ISDIR(st.st_mode));
}

/* ---- the rest ---- */

/* The kernel copies, or shares the blocks, where it can. */
static int copy_bytes(int from, int to)
{
	char buf[64 << 10];
	ssize_t n;
	int r = 0;

	while ((n = copy_file_range(from, NULL, to, NULL, 1u << 30, 0)) > 0)
		;
	if (n == 0 && lseek(from, 0, SEEK_CUR) > 0)
		return 0;
	/* Not here, or a file system that says 0 for what it cannot do: from where it stopped. */
	while (r == 0 && (n = fd_read_full(from, buf, sizeof(buf))) > 0)
		r = fd_write_full(to, buf, n);
	return n < 0 ? (int)n : r;
}

static int copy_file(struct copier *k, const struct source_item *i, int dirfd, const char *name)
{
	_close_ int from = openat(i->dirfd, i->name,
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
		    to = -1;
	struct owner owner = owner_of(k->c, &i->st);
	int r;

	if (from < 0)
		return err_sys("%s", i->path);
	to = place_file(dirfd, name);
	if (to < 0)
		return to;
	r = copy_bytes(from, to);
	if (r < 0)
		return err(r, "%s: %s", i->path, strerror(-r));
	return place_dress(to, i->path, &owner, mode_of(k->c, &i->st), &i->st.st_mtim);
}

static int copy_link(const struct source_item *i, int dirfd, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(i->dirfd, i->name, target, sizeof(target));

	if (n < 0 || n == sizeof(target))
		return n < 0 ? err_sys("%s", i->path) :
			       err(-ENAMETOOLONG, "%s: a link too long", i->path);
	target[n] = '\0';
	return place_symlink(dirfd, name, target);
}

static int copy_other(struct copier *k, const struct source_item *i, int dirfd, const char *name)
{
	struct owner owner = owner_of(k->c, &i->st);
	int r;

	if (S_ISLNK(i->st.st_mode))
		r = copy_link(i, dirfd, name);
	else if (k->c->special)
		r = place_node(dirfd, name, i->st.st_mode, i->st.st_rdev);
	else
		r = err(-EINVAL, "%s: neither a file, a folder nor a symbolic link", i->path);
	if (r < 0)
		return r;
	return place_dress_at(dirfd, name, &owner,
			      S_ISLNK(i->st.st_mode) ? S_IFLNK : mode_of(k->c, &i->st),
			      &i->st.st_mtim);
}

static int copy_item(struct copier *k, const struct source_item *i, int dirfd, const char *name)
{
	if (S_ISDIR(i->st.st_mode))
		return copy_folder(k, i, dirfd, name);
	return S_ISREG(i->st.st_mode) ? copy_file(k, i, dirfd, name) :
					copy_other(k, i, dirfd, name);
}

/* Where something that is no folder goes: the folder, open, and the name. */
static int open_place(const struct copy *c, const char *own_name, const char *dst, bool into,
		      const char **ret_name)
{
	_free_ char *folder = into ? strdup(dst) : path_parent(dst);

	*ret_name = into ? own_name : path_name(dst);
	if (!folder)
		return -ENOMEM;
	if (!**ret_name)
		return err(-EINVAL, "the destination has no name");
	return place_folder(c->root_fd, folder, &c->owner, NULL);
}

static int copy_top_file(struct copier *k, const struct source_item *i)
{
	struct source_item item = *i;
	const char *name;
	_close_ int dirfd = open_place(k->c, path_name(k->source), k->dst, k->into, &name);

	item.path = k->source;
	return dirfd < 0 ? dirfd : copy_item(k, &item, dirfd, name);
}

/*
 * The walk gives parents first, so that the levels are the way from the top to the last folder
 * met.
 */
static int on_item(void *ctx, const struct source_item *i)
{
	struct copier *k = ctx;
	const char *slash = strrchr(i->path, '/');
	size_t parent = slash ? (size_t)(slash - i->path) : 0;

	if (!*i->path)
		return S_ISDIR(i->st.st_mode) ? copy_top_folder(k, i) : copy_top_file(k, i);
	while (k->levels[k->depth - 1].len > parent) {
		int r = pop(k);

		if (r < 0)
			return r;
	}
	return copy_item(k, i, k->levels[k->depth - 1].fd, path_name(i->path));
}

int copy_source(const struct copy *c, const struct source *s, const char *path, const char *dst,
		bool into)
{
	_free_ struct copier *k = new0(struct copier);
	int r;

	if (!k)
		return -ENOMEM;
	k->c = c;
	k->source = path;
	k->dst = dst;
	k->into = into;
	r = source_walk(s, path, on_item, k);
	while (k->depth) {
		int e = pop(k);

		r = r < 0 ? r : e;
	}
	return r;
}

int copy_text(const struct copy *c, const char *name, const char *text, const char *dst, bool into,
	      const struct timespec *mtime)
{
	_close_ int dirfd = open_place(c, name, dst, into, &name), fd = -1;
	int r;

	if (dirfd < 0)
		return dirfd;
	fd = place_file(dirfd, name);
	if (fd < 0)
		return fd;
	r = fd_write_full(fd, text, strlen(text));
	if (r < 0)
		return err(r, "%s: %s", name, strerror(-r));
	return place_dress(fd, name, &c->owner, c->mode >= 0 ? (mode_t)c->mode : 0644, mtime);
}
