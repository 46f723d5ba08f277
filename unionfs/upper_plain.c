/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/upper_plain.h"

#include "base/err.h"
#include "base/str.h"
#include "unionfs/remove.h"
#include "unionfs/xat.h"

#include <errno.h>

#define SQUASHED 65534u /* whoever is not the one that we serve as: "nobody" */

int plain_open(struct ufs *u, const struct ufs_config *cfg)
{
	struct upper *up = &u->upper;
	struct stat st;

	if (cfg->nlowers)
		return err(-EINVAL, "union: a plain top stands on no lower");
	up->root = openat(cfg->upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up->root < 0 || fstat(up->root, &st) < 0)
		return err_sys("union: the plain directory");
	up->dev = st.st_dev;
	up->uid = geteuid();
	up->gid = getegid();
	return 0;
}

/* ---- the dialect ---- */

void plain_show(const struct ufs *u, struct stat *st)
{
	st->st_uid = st->st_uid == u->upper.uid ? 0 : SQUASHED;
	st->st_gid = st->st_gid == u->upper.gid ? 0 : SQUASHED;
	/* They would speak of the host's ids, which the client does not see. */
	st->st_mode &= S_ISDIR(st->st_mode) ? ~(mode_t)S_ISUID : ~(mode_t)(S_ISUID | S_ISGID);
}

static int plain_load(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret)
{
	(void)at;
	plain_show(u, st);
	*ret = (struct perm){
		.mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .rdev = st->st_rdev
	};
	return 0;
}

/* Owners are the host's to give; a set-user-id file never comes into being. */
static int plain_set_perm(struct ufs *u, const struct at *at, const struct perm *from,
			  const struct perm *to)
{
	(void)u;
	if (from->uid != to->uid || from->gid != to->gid)
		return -EPERM;
	if (S_ISLNK(to->mode) || ((from->mode ^ to->mode) & 01777) == 0)
		return 0;
	return xat_chmod(at->dirfd, at->name, (to->mode & 01777) | (from->mode & S_ISGID));
}

static ssize_t plain_readlink(struct ufs *u, const struct at *at, char *buf, size_t size)
{
	ssize_t n = readlinkat(at->dirfd, at->name, buf, size);

	(void)u;
	return n < 0 ? -errno : n;
}

static int plain_xname(const struct ufs *u, const char *name, char ret[256])
{
	if (upper_hides(u, name))
		return -EPERM;
	if (!str_after(name, "user."))
		return -EOPNOTSUPP;
	return str_copy(ret, 256, name) < 0 ? -ERANGE : 0;
}

static bool plain_xname_back(const struct ufs *u, const char *stored, char ret[256])
{
	return str_after(stored, "user.") && !upper_hides(u, stored) &&
	       str_copy(ret, 256, stored) >= 0;
}

const struct dialect dialect_plain = {
	.load = plain_load,
	.set_perm = plain_set_perm,
	.readlink = plain_readlink,
	.xname = plain_xname,
	.xname_back = plain_xname_back,
};

/* ---- making ---- */

static int create(const struct at *at, const struct perm *p, const char *target, int *ret_fd)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	mode_t mode = p->mode & 0777;
	int r;

	switch (p->mode & S_IFMT) {
	case S_IFREG:
		r = *ret_fd = openat(at->dirfd, at->name, flags, mode);
		break;
	case S_IFDIR:
		r = mkdirat(at->dirfd, at->name, mode);
		break;
	case S_IFLNK:
		r = symlinkat(target, at->dirfd, at->name);
		break;
	case S_IFIFO:
	case S_IFSOCK:
		r = mknodat(at->dirfd, at->name, (p->mode & S_IFMT) | mode, 0);
		break;
	default:
		return -EPERM;
	}
	return r < 0 ? -errno : 0;
}

/* The process' umask or an ACL of the host's may have had its say: the client's mode holds. */
int plain_make(struct ufs *u, const struct at *at, const struct perm *p, const char *target,
	       int *ret_fd)
{
	_close_ int fd = -1;
	struct perm from, to;
	struct stat st;
	int e = create(at, p, target, &fd);

	if (e)
		return e;
	e = upper_load(u, at, &st, &from);
	if (!e) {
		to = from;
		to.mode = (from.mode & ~01777u) | (p->mode & 01777);
		e = plain_set_perm(u, at, &from, &to);
	}
	if (e)
		unlinkat(at->dirfd, at->name, S_ISDIR(p->mode) ? AT_REMOVEDIR : 0);
	else
		*ret_fd = take_fd(fd);
	return e;
}

/* ---- what others do to the directory ---- */

bool plain_is(const struct node *n, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == n->ino;
}

static int open_held(const struct node *n, const struct at *at)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC;
	int fd = -1;

	if (S_ISDIR(n->type))
		fd = openat(at->dirfd, at->name, O_RDONLY | O_DIRECTORY | flags);
	else if (S_ISREG(n->type))
		fd = openat(at->dirfd, at->name, O_RDWR | O_NONBLOCK | flags);
	if (fd < 0 && S_ISREG(n->type))
		fd = openat(at->dirfd, at->name, O_RDONLY | O_NONBLOCK | flags);
	/* Of what cannot be opened, attributes are left. */
	return fd < 0 ? openat(at->dirfd, at->name, O_PATH | flags) : fd;
}

int plain_hold(struct ufs *u, struct node *n, const struct at *at)
{
	int fd = open_held(n, at);

	if (fd < 0 && errno == EMFILE) {
		fdcache_shrink(&u->fds);
		fd = open_held(n, at);
	}
	if (fd < 0)
		return -errno;
	if (!plain_is(n, fd)) {
		fd_close(fd);
		return -ESTALE;
	}
	n->fixed_fd = fd;
	return 0;
}

void plain_release(struct node *n)
{
	n->fixed_fd = fd_close(n->fixed_fd);
}

static bool is_above(const struct node *n, const struct node *dir)
{
	while (dir && dir != n)
		dir = dir->parent;
	return dir;
}

int plain_settle(struct ufs *u, struct node **n, struct node *dir, const struct at *at,
		 uint32_t type)
{
	struct node *found = *n;
	int e = 0;

	if (found->type != type) {
		node_kill(u, found);
		node_put(u, found);
		*n = NULL;
		return 0;
	}
	if (node_is_at(found, dir, at->name))
		return 0;
	/* Someone moved directories about, and the client's way here is an old one. */
	if (is_above(found, dir))
		e = -ESTALE;
	if (!e)
		e = node_move(u, found, dir, at->name);
	if (!e && found->orphan) {
		node_set_orphan(u, found, false);
		plain_release(found);
	}
	if (e) {
		node_put(u, found);
		*n = NULL;
	}
	return e;
}
