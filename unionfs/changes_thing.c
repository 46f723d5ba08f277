/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/changes.h"

#include "base/err.h"
#include "unionfs/metacopy.h"
#include "unionfs/redirect.h"

#include <errno.h>
#include <sys/mman.h>

/* Numbers of what is in a lower alone: no st_ino of the upper has this bit. */
#define LOWER_INO (1ull << 63)

static bool in_upper(const struct thing *t)
{
	return t->at.dirfd >= 0;
}

static void describe(struct ufs_change *c, const struct stat *st, const struct perm *p)
{
	c->mode = p->mode;
	c->uid = p->uid;
	c->gid = p->gid;
	c->rdev = p->rdev;
	c->size = S_ISREG(p->mode) || S_ISLNK(p->mode) ? (uint64_t)st->st_size : 0;
	c->ino = st->st_ino;
	c->nlink = (uint32_t)st->st_nlink;
	c->mtime_sec = st->st_mtim.tv_sec;
	c->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
}

static int load_lower(struct thing *t, uint64_t dir, struct ufs_change *c)
{
	struct stat st;
	struct perm p;
	uint64_t id;
	int e = lower_lookup(&t->u->lower, dir, t->at.name, &id);

	if (e)
		return e;
	t->lower = id;
	e = lower_stat(&t->u->lower, id, &st);
	p = (struct perm){ .mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid, st.st_rdev };
	st.st_ino |= LOWER_INO;
	if (!e)
		describe(c, &st, &p);
	return e;
}

/* The lower directory that merges with it; none is no error. */
static int find_beneath(struct thing *t, uint64_t dir)
{
	struct stat st;
	uint64_t id;
	int e;

	if (!*t->at.name || upper_marked(t->u, &t->at, "overlay.opaque"))
		return 0;
	e = redirect_lower(t->u, dir, &t->at, &id);
	if (e)
		return e == -ENOENT ? 0 : e;
	e = lower_stat(&t->u->lower, id, &st);
	if (!e && S_ISDIR(st.st_mode))
		t->lower = id;
	else
		lower_put(&t->u->lower, id);
	return e;
}

int thing_load(struct thing *t, uint64_t dir, struct ufs_change *c, bool *ret_gone)
{
	struct stat st;
	struct perm p;
	int e;

	*ret_gone = false;
	if (!in_upper(t))
		return load_lower(t, dir, c);
	e = upper_load(t->u, &t->at, &st, &p);
	if (e)
		return e;
	*ret_gone = upper_is_whiteout(&st);
	if (*ret_gone)
		return 0;
	describe(c, &st, &p);
	if (S_ISDIR(p.mode))
		return find_beneath(t, dir);
	if (!S_ISREG(p.mode))
		return 0;
	e = metacopy_find(t->u, dir, &t->at, &t->lower);
	return e ? err(e, "%s: its content is not in the image", t->path) : 0;
}

static int thing_getxattr(const struct ufs_change *c, const char *name, void *value, size_t size)
{
	const struct thing *t = c->priv;

	if (in_upper(t))
		return (int)upper_getxattr(t->u, &t->at, name, value, size);
	return (int)xname_get_lower(t->u, t->lower, name, value, size);
}

/* A file of the lower's bytes that can be read from its beginning. */
static int open_lower(struct thing *t)
{
	struct lower_data d;
	_close_ int fd = -1;
	int e = lower_data_get(&t->u->lower, t->lower, &d);

	if (e)
		return e;
	if (d.whole && d.fd >= 0) {
		fd = fcntl(d.fd, F_DUPFD_CLOEXEC, 0);
		e = fd < 0 ? -errno : 0;
	} else {
		/* Without a name: the top itself stays as it is. */
		fd = openat(t->u->upper.tmp, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0)
			fd = memfd_create("strata-data", MFD_CLOEXEC);
		e = fd < 0 ? -errno : metacopy_copy(t->u, t->lower, fd, UINT64_MAX);
	}
	lower_data_put(&t->u->lower, &d);
	return e ? e : take_fd(fd);
}

static int open_data(struct thing *t)
{
	int fd;

	if (t->lower)
		return open_lower(t);
	fd = openat(t->at.dirfd, t->at.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_target(struct thing *t, char target[UFS_TARGET_MAX + 1])
{
	ssize_t n = in_upper(t) ? upper_readlink(t->u, &t->at, target, UFS_TARGET_MAX) :
				  lower_readlink(&t->u->lower, t->lower, target, UFS_TARGET_MAX);

	if (n < 0)
		return (int)n;
	target[n] = 0;
	return 0;
}

int thing_give(struct thing *t, struct ufs_change *c,
	       int (*fn)(void *ctx, const struct ufs_change *c), void *ctx)
{
	_free_ char *list = malloc(UFS_XATTR_MAX);
	_close_ int fd = -1;
	char target[UFS_TARGET_MAX + 1];
	ssize_t n = !list	? -ENOMEM :
		    in_upper(t) ? upper_listxattr(t->u, &t->at, list, UFS_XATTR_MAX) :
				  xname_list_lower(t->u, t->lower, list, UFS_XATTR_MAX);
	int e = 0;

	if (n < 0 && n != -EOPNOTSUPP)
		return (int)n;
	c->xattrs = list;
	c->xattrs_len = n < 0 ? 0 : (size_t)n;
	c->getxattr = thing_getxattr;
	c->priv = t;
	if (S_ISLNK(c->mode)) {
		e = read_target(t, target);
		c->target = target;
	} else if (S_ISREG(c->mode)) {
		fd = open_data(t);
		e = fd < 0 ? fd : 0;
		c->fd = fd;
	}
	return e ? e : fn(ctx, c);
}
