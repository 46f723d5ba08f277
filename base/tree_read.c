/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <sys/stat.h>

#define CHUNK	  (128u << 10)
#define LINK_MAX_ 4096

struct reader {
	const struct tree_sink *sink;
	void *ctx;
	char *chunk;
};

static int read_at(struct reader *r, int dir, const char *name, const char *as, unsigned depth);

static int failed(int e, const char *name)
{
	char shown[256];

	str_printable(shown, sizeof(shown), name);
	return err(e, "copy: %s: %s", shown, strerror(-e));
}

static int read_bytes(struct reader *r, int in)
{
	ssize_t n;

	while ((n = read(in, r->chunk, CHUNK)) != 0) {
		int e;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		e = r->sink->data(r->ctx, r->chunk, (size_t)n);
		if (e < 0)
			return e;
	}
	return 0;
}

static int read_file(struct reader *r, int dir, const char *name, const char *as,
		     const struct tree_attr *a)
{
	/* O_NONBLOCK: it may be a FIFO by now. */
	_close_ int in = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int e;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	e = r->sink->file(r->ctx, as, a);
	if (e >= 0)
		e = read_bytes(r, in);
	return e < 0 ? e : r->sink->end(r->ctx);
}

static int read_link(struct reader *r, int dir, const char *name, const char *as,
		     const struct tree_attr *a)
{
	char target[LINK_MAX_ + 1];
	ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return r->sink->link(r->ctx, as, a, target);
}

static int read_entries(struct reader *r, int fd, unsigned depth)
{
	_closedir_ DIR *d = dir_take(fd);
	struct dirent *entry;
	int e = 0;

	if (!d)
		return -errno;
	while (e >= 0 && (entry = dir_next(d)))
		e = read_at(r, dirfd(d), entry->d_name, entry->d_name, depth + 1);
	return e >= 0 && errno ? -errno : e;
}

static int read_directory(struct reader *r, int dir, const char *name, const char *as,
			  const struct tree_attr *a, unsigned depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), e;

	if (fd < 0)
		return -errno;
	e = r->sink->enter(r->ctx, as, a);
	if (e < 0) {
		fd_close(fd);
		return e;
	}
	e = read_entries(r, fd, depth);
	return e < 0 ? e : r->sink->leave(r->ctx);
}

static int read_at(struct reader *r, int dir, const char *name, const char *as, unsigned depth)
{
	struct tree_attr a;
	struct stat st;
	int e;

	if (depth > TREE_DEPTH_MAX)
		return failed(-ELOOP, name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(-errno, name);
	a = (struct tree_attr){ st.st_mode, st.st_uid, st.st_gid, st.st_mtim, st.st_rdev };
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		e = read_directory(r, dir, name, as, &a, depth);
	else if (S_ISREG(st.st_mode))
		e = read_file(r, dir, name, as, &a);
	else if (S_ISLNK(st.st_mode))
		e = read_link(r, dir, name, as, &a);
	else
		e = r->sink->special(r->ctx, as, &a);
	return e < 0 ? failed(e, name) : 0;
}

int tree_read(int dir, const char *name, const struct tree_sink *sink, void *ctx)
{
	_free_ char *chunk = malloc(CHUNK);
	struct reader r = { sink, ctx, chunk };

	return chunk ? read_at(&r, dir, name, "", 0) : -ENOMEM;
}
