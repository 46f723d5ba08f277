/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/clone.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/str.h"
#include "unionfs/copyup.h"
#include "unionfs/union.h"
#include <errno.h>
#include <inttypes.h>
#include <sys/xattr.h>

#define ORIGIN	   "user.strata.origin"
#define IMPURE	   "user.overlay.impure"
#define GENERATION "strata.generation"

/* A file of several names that has been copied, by one of them. */
struct copied {
	struct hash_entry entry;
	uint64_t ino;
	int root; /* that the path is of */
	char *path;
};

struct clone {
	int from, to; /* the roots of the tree at hand */
	uid_t uid;
	gid_t gid;
	uint64_t bits; /* or'ed into st_ino it is the number that the client knows */
	bool numbered; /* something was born in the source */
	struct hash_table copied;
	char **dirs; /* still to be copied; "" is the root */
	size_t ndirs, cap;
};

static int add_dir(struct clone *c, const char *path)
{
	if (mem_grow(&c->dirs, &c->cap, c->ndirs + 1, sizeof(*c->dirs)) < 0)
		return -ENOMEM;
	c->dirs[c->ndirs] = strdup(path);
	if (!c->dirs[c->ndirs])
		return -ENOMEM;
	c->ndirs++;
	return 0;
}

/* ---- a generation ---- */

uint64_t clone_generation(int root, bool user)
{
	char digits[4] = "";
	uint64_t n;

	if (fgetxattr(root, user ? "user." GENERATION : "trusted." GENERATION, digits,
		      sizeof(digits) - 1) <= 0 ||
	    str_u64(digits, 0, CLONE_GENERATIONS - 1, &n) < 0)
		return 0;
	return n;
}

static int set_generation(int root, uint64_t generation)
{
	_free_ char *digits = str_fmt("%" PRIu64, generation);

	if (generation >= CLONE_GENERATIONS)
		return err(-EMLINK, "the top is a copy of a copy, %u times: it cannot be cloned",
			   CLONE_GENERATIONS - 1);
	if (!digits)
		return -ENOMEM;
	return fsetxattr(root, "user." GENERATION, digits, strlen(digits), 0) < 0 ?
		       err_sys("top: " GENERATION) :
		       0;
}

/* ---- what a thing has besides its content ---- */

static int copy_xattr(int in, int out, const char *name)
{
	ssize_t n = fgetxattr(in, name, NULL, 0);
	_free_ char *value = NULL;

	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	value = mem_new(1, (size_t)n + 1);
	if (!value)
		return -ENOMEM;
	n = fgetxattr(in, name, value, (size_t)n);
	if (n < 0)
		return -errno;
	return fsetxattr(out, name, value, (size_t)n, 0) < 0 ? -errno : 0;
}

/* A mapped top has what it knows in user.*; the rest is the host's. *@ret: it has an origin. */
static int copy_xattrs(int in, int out, bool *ret_origin)
{
	ssize_t len = flistxattr(in, NULL, 0);
	_free_ char *list = NULL;
	int e = 0;

	*ret_origin = false;
	if (len <= 0)
		return len < 0 && errno != EOPNOTSUPP ? -errno : 0;
	list = mem_new(1, (size_t)len);
	if (!list)
		return -ENOMEM;
	len = flistxattr(in, list, (size_t)len);
	if (len < 0)
		return -errno;
	for (const char *s = list; e == 0 && s < list + len; s += strlen(s) + 1) {
		*ret_origin = *ret_origin || streq(s, ORIGIN);
		e = str_after(s, "user.") ? copy_xattr(in, out, s) : 0;
	}
	return e;
}

static int set_origin(struct clone *c, const struct stat *st, int out)
{
	_free_ char *digits = str_fmt("%016" PRIx64, c->bits | st->st_ino);

	if (st->st_ino >= CLONE_INO_MAX)
		return -EOVERFLOW;
	c->numbered = true;
	if (!digits)
		return -ENOMEM;
	return fsetxattr(out, ORIGIN, digits, strlen(digits), 0) < 0 ? -errno : 0;
}

/* Times last: what came before changes them. @numbers: it is no root, whose number is fixed. */
static int dress(struct clone *c, const struct stat *st, int in, int out, bool numbers)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	bool has_origin;
	int e = copy_xattrs(in, out, &has_origin);

	if (!e && numbers && !has_origin)
		e = set_origin(c, st, out);
	if (!e && S_ISDIR(st->st_mode) && fsetxattr(out, IMPURE, "y", 1, 0) < 0)
		e = -errno;
	if (!e && (fchown(out, c->uid, c->gid) < 0 || fchmod(out, st->st_mode & 07777) < 0 ||
		   futimens(out, times) < 0))
		e = -errno;
	return e;
}

/* ---- names of one file ---- */

static const struct copied *copied_find(const struct clone *c, uint64_t ino)
{
	struct hash_entry *h = hash_table_first(&c->copied, hash_u64(ino));

	for (; h; h = hash_table_next(h)) {
		const struct copied *k = container_of(h, struct copied, entry);

		if (k->ino == ino)
			return k;
	}
	return NULL;
}

static int copied_add(struct clone *c, uint64_t ino, const char *path)
{
	struct copied *k = new0(struct copied);

	if (k)
		*k = (struct copied){ .ino = ino, .root = c->to, .path = strdup(path) };
	if (!k || !k->path || hash_table_add(&c->copied, &k->entry, hash_u64(ino)) < 0) {
		if (k)
			free(k->path);
		free(k);
		return -ENOMEM;
	}
	return 0;
}

static void clone_done(struct clone *c)
{
	struct hash_entry *h = hash_table_walk(&c->copied, NULL);

	while (h) {
		struct copied *k = container_of(h, struct copied, entry);

		h = hash_table_walk(&c->copied, h);
		free(k->path);
		free(k);
	}
	hash_table_done(&c->copied);
	while (c->ndirs)
		free(c->dirs[--c->ndirs]);
	free(c->dirs);
}

/* ---- one thing ---- */

/* @in and @out are its directory there and here, @path is its own from the root. */
struct thing {
	int in, out;
	const char *name, *path;
	struct stat st;
};

static int copy_file(struct clone *c, const struct thing *t)
{
	/* Who made the top is not trusted: whatever has taken its place does not hold us up. */
	_close_ int in = openat(t->in, t->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_close_ int out = openat(t->out, t->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int e;

	if (in < 0 || out < 0)
		return -errno;
	e = copy_whole(in, out, (uint64_t)t->st.st_size);
	return e ? e : dress(c, &t->st, in, out, true);
}

static int copy_whiteout(const struct thing *t)
{
	return mknodat(t->out, t->name, S_IFCHR, 0) < 0 ? -errno : 0;
}

static int copy_named(struct clone *c, const struct thing *t)
{
	const struct copied *k = t->st.st_nlink > 1 ? copied_find(c, t->st.st_ino) : NULL;
	int e;

	if (k)
		return linkat(k->root, k->path, t->out, t->name, 0) < 0 ? -errno : 0;
	e = S_ISREG(t->st.st_mode) ? copy_file(c, t) : copy_whiteout(t);
	return e || t->st.st_nlink < 2 ? e : copied_add(c, t->st.st_ino, t->path);
}

static int copy_thing(struct clone *c, const struct thing *t)
{
	if (S_ISREG(t->st.st_mode) || upper_is_whiteout(&t->st))
		return copy_named(c, t);
	if (!S_ISDIR(t->st.st_mode))
		return err(-EINVAL, "top: %s is nothing that a microVM makes", t->path);
	if (mkdirat(t->out, t->name, 0700) < 0)
		return -errno;
	return add_dir(c, t->path);
}

static int copy_entry(struct clone *c, int in, int out, const char *dir, const char *name)
{
	_free_ char *path = str_fmt("%s%s%s", dir, *dir ? "/" : "", name);
	struct thing t = { .in = in, .out = out, .name = name, .path = path };
	int e;

	if (!path)
		return -ENOMEM;
	if (fstatat(in, name, &t.st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys("top: %s", path);
	e = copy_thing(c, &t);
	return e ? err(e, "top: %s: %s", path, strerror(-e)) : 0;
}

/* ---- a tree ---- */

/* With all that is in it, but for what is in its directories. */
static int copy_dir(struct clone *c, const char *path)
{
	const char *below = *path ? path : ".";
	_close_ int in = fd_open_beneath(c->from, below, O_RDONLY | O_DIRECTORY, 0);
	_close_ int out = fd_open_beneath(c->to, below, O_RDONLY | O_DIRECTORY, 0);
	struct dirent *entry;
	struct stat st;
	int e = 0;
	DIR *d;

	if (in < 0 || out < 0)
		return err(in < 0 ? in : out, "top: /%s: %s", path, strerror(in < 0 ? -in : -out));
	d = dir_open(in, ".");
	if (!d || fstat(in, &st) < 0)
		e = err_sys("top: /%s", path);
	while (!e && (entry = readdir(d)))
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			e = copy_entry(c, in, out, path, entry->d_name);
	if (d)
		closedir(d);
	if (!e)
		e = dress(c, &st, in, out, *path);
	return e ? err(e, "top: /%s: %s", path, strerror(-e)) : 0;
}

static int copy_tree(struct clone *c, int from, int to)
{
	int e;

	c->from = from;
	c->to = to;
	e = add_dir(c, "");
	while (!e && c->ndirs) {
		_free_ char *path = c->dirs[--c->ndirs];

		e = copy_dir(c, path);
	}
	return e;
}

/* What has lost its last name while the client knows it; there are none before the first start. */
static int copy_orphans(struct clone *c, int from_work, int to_work)
{
	_close_ int from = openat(from_work, "orphans", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		    to = -1;

	if (from < 0)
		return errno == ENOENT ? 0 : err_sys("top: orphans");
	if (mkdirat(to_work, "orphans", 0700) == 0)
		to = openat(to_work, "orphans", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return to < 0 ? err_sys("top: orphans") : copy_tree(c, from, to);
}

int ufs_clone_top(const struct ufs_top *from, const struct ufs_top *to, uid_t uid)
{
	uint64_t generation = clone_generation(from->upper_fd, true);
	_cleanup_(clone_done) struct clone c = {
		.uid = uid,
		.gid = uid,
		.bits = NODE_UPPER_BIT | generation << NODE_GENERATION_SHIFT,
	};
	int e = copy_tree(&c, from->upper_fd, to->upper_fd);

	if (!e)
		e = copy_orphans(&c, from->work_fd, to->work_fd);
	return e ? e : set_generation(to->upper_fd, generation + c.numbered);
}
