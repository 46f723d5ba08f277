/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <sys/stat.h>

#define NAME_MAX_ 255

/* A directory that has been entered; levels[0] is the writer's @to. */
struct tree_level {
	int fd;
	bool made; /* by us, so its attributes are the source's */
	struct tree_attr attr;
	char name[NAME_MAX_ + 1];
};

static int failed(int e, const char *name)
{
	char shown[256];

	str_printable(shown, sizeof(shown), name);
	return err(e, "copy: %s: %s", shown, strerror(-e));
}

static int here(const struct tree_writer *w)
{
	return w->depth ? w->levels[w->depth - 1].fd : w->to;
}

/* The node's own name is @as. */
static const char *named(const struct tree_writer *w, const char *name)
{
	return *name ? name : w->as;
}

static mode_t mode_of(const struct tree_writer *w, const struct tree_attr *a)
{
	return a->mode & (w->to_host ? 01777 : 07777);
}

/*
 * Of a file or directory, which is ours by its descriptor whatever has become of its name. Owner
 * before mode: chown(2) takes set-user-ID away.
 */
static int fd_attr(const struct tree_writer *w, int fd, const struct tree_attr *a)
{
	struct timespec times[2] = { a->mtime, a->mtime };

	if (w->archive && fchown(fd, a->uid, a->gid) < 0)
		return -errno;
	if (fchmod(fd, mode_of(w, a)) < 0 || futimens(fd, times) < 0)
		return -errno;
	return 0;
}

/* Of what cannot be opened, by name. */
static int name_attr(const struct tree_writer *w, int dir, const char *name,
		     const struct tree_attr *a)
{
	struct timespec times[2] = { a->mtime, a->mtime };

	if (w->archive && fchownat(dir, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(a->mode)) {
		_close_ int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct stat is;

		/* Still what we made, and no link that somebody has put there. */
		if (fd < 0 || fstat(fd, &is) < 0)
			return -errno;
		if ((is.st_mode & S_IFMT) != (a->mode & S_IFMT))
			return -ESTALE;
		if (chmod(fd_path(fd).s, mode_of(w, a)) < 0)
			return -errno;
	}
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int remove_old(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- directories ---- */

static int make_levels(struct tree_writer *w)
{
	if (!w->levels)
		w->levels = mem_new(TREE_DEPTH_MAX + 1, sizeof(*w->levels));
	return w->levels ? 0 : -ENOMEM;
}

static int enter_at(struct tree_writer *w, const char *name, const struct tree_attr *a)
{
	struct tree_level *l = &w->levels[w->depth];
	int dir = here(w);

	l->made = mkdirat(dir, name, 0700) == 0;
	if (!l->made && errno != EEXIST)
		return -errno;
	l->fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->fd < 0)
		return -errno;
	l->attr = *a;
	snprintf(l->name, sizeof(l->name), "%s", name);
	w->depth++;
	return 0;
}

static int enter(void *ctx, const char *name, const struct tree_attr *a)
{
	struct tree_writer *w = ctx;
	const char *as = named(w, name);
	int r = make_levels(w);

	if (r == 0 && w->depth > TREE_DEPTH_MAX)
		r = -ELOOP;
	if (r < 0)
		return failed(r, as ? as : ".");
	if (as) {
		r = enter_at(w, as, a);
		return r < 0 ? failed(r, as) : 0;
	}
	w->levels[0] = (struct tree_level){ .fd = fcntl(w->to, F_DUPFD_CLOEXEC, 0) };
	w->depth = 1;
	return w->levels[0].fd < 0 ? failed(-errno, ".") : 0;
}

static int leave(void *ctx)
{
	struct tree_writer *w = ctx;
	struct tree_level *l = &w->levels[--w->depth];
	int r;

	r = l->made ? fd_attr(w, l->fd, &l->attr) : 0;
	l->fd = fd_close(l->fd);
	return r < 0 ? failed(r, l->name) : 0;
}

/* ---- files ---- */

static int open_file(struct tree_writer *w, const char *name)
{
	int r = remove_old(here(w), name);

	if (r < 0)
		return r;
	w->out = openat(here(w), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return w->out < 0 ? -errno : 0;
}

static int file(void *ctx, const char *name, const struct tree_attr *a)
{
	struct tree_writer *w = ctx;
	const char *as = named(w, name);
	int r = as ? 0 : -ENOTDIR;

	if (r == 0 && !w->file && !(w->file = new0(struct tree_level)))
		r = -ENOMEM;
	if (r == 0)
		r = open_file(w, as);
	if (r < 0)
		return failed(r, as ? as : ".");
	w->file->attr = *a;
	snprintf(w->file->name, sizeof(w->file->name), "%s", as);
	return 0;
}

static int data(void *ctx, const void *data, size_t len)
{
	struct tree_writer *w = ctx;
	int r = fd_write_full(w->out, data, len);

	return r < 0 ? failed(r, w->file->name) : 0;
}

static int end(void *ctx)
{
	struct tree_writer *w = ctx;
	int r = fd_attr(w, w->out, &w->file->attr);

	w->out = fd_close(w->out);
	return r < 0 ? failed(r, w->file->name) : 0;
}

/* ---- all else ---- */

static int link_(void *ctx, const char *name, const struct tree_attr *a, const char *target)
{
	struct tree_writer *w = ctx;
	const char *as = named(w, name);
	int r = as ? remove_old(here(w), as) : -ENOTDIR;

	if (r == 0 && symlinkat(target, here(w), as) < 0)
		r = -errno;
	if (r == 0)
		r = name_attr(w, here(w), as, a);
	return r < 0 ? failed(r, as ? as : ".") : 0;
}

static int special(void *ctx, const char *name, const struct tree_attr *a)
{
	struct tree_writer *w = ctx;
	const char *as = named(w, name);
	int r = as ? 0 : -ENOTDIR;

	if (r == 0 && !S_ISFIFO(a->mode) && w->to_host)
		r = -EPERM;
	if (r == 0)
		r = remove_old(here(w), as);
	if (r == 0 && mknodat(here(w), as, (a->mode & S_IFMT) | 0600, a->rdev) < 0)
		r = -errno;
	if (r == 0)
		r = name_attr(w, here(w), as, a);
	return r < 0 ? failed(r, as ? as : ".") : 0;
}

const struct tree_sink tree_writer_sink = {
	.enter = enter,
	.leave = leave,
	.file = file,
	.data = data,
	.end = end,
	.link = link_,
	.special = special,
};

void tree_writer_done(struct tree_writer *w)
{
	while (w->depth)
		fd_close(w->levels[--w->depth].fd);
	fd_close(w->out);
	fd_close(w->to);
	free(w->levels);
	free(w->file);
	*w = TREE_WRITER_NONE;
}
