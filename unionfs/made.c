/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/made.h"

#include "unionfs/union.h"

#include <errno.h>
#include <linux/fs.h>

static int give_target(int fd, const char *target)
{
	return target ? fd_write_full(fd, target, strlen(target)) : 0;
}

/* A file without a name: regular, or what a regular file stands for. */
static int make_nameless(struct ufs *u, int near, const struct perm *p, const char *target)
{
	const int flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
	bool native = u->mode == UFS_UPPER_NATIVE;
	_close_ int fd = openat(near, ".", flags, native ? p->mode & 0777 : 0600);
	struct at at = { .dirfd = fd, .name = "" };
	struct perm from;
	struct stat st;
	int e;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	from = (struct perm){ .mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid };
	e = give_target(fd, S_ISLNK(p->mode) ? target : NULL);
	if (!e)
		e = upper_set_perm(u, &at, &from, p);
	return e ? e : take_fd(fd);
}

enum { UNKNOWN, CAN, CANNOT };

/* Linux before 6.10 lets only CAP_DAC_READ_SEARCH give a descriptor's file a name. */
static bool can_be_nameless(struct ufs *u)
{
	const int flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
	_close_ int fd = openat(u->upper.tmp, ".", flags, 0600);
	struct tmp_name tmp = upper_tmp_name(u);

	if (fd < 0 || linkat(fd, "", u->upper.tmp, tmp.s, AT_EMPTY_PATH) < 0)
		return false;
	upper_discard(u, &tmp);
	return true;
}

/* Tried by the first file that is made; by two at once, when two are the first. */
static bool nameless(struct ufs *u)
{
	int known = atomic_load(&u->upper.nameless);

	if (known == UNKNOWN) {
		known = can_be_nameless(u) ? CAN : CANNOT;
		atomic_store(&u->upper.nameless, known);
	}
	return known == CAN;
}

int made_new(struct ufs *u, int near, const struct perm *p, const char *target, struct made *ret)
{
	bool regular = S_ISREG(p->mode) || (u->mode == UFS_UPPER_MAPPED && !S_ISDIR(p->mode));
	struct made m = MADE_NONE;
	int e = quota_check(u, p->mode);

	if (e)
		return e;
	if (regular && nameless(u)) {
		m.fd = make_nameless(u, near, p, target);
		if (m.fd < 0)
			return m.fd;
	} else {
		m.tmp = upper_tmp_name(u);
		e = u->upper.dialect->make(u, m.tmp.s, p, target);
		if (e) {
			made_drop(u, &m);
			return e;
		}
	}
	*ret = m;
	return 0;
}

void made_drop(struct ufs *u, struct made *m)
{
	if (m->fd < 0 && m->tmp.s[0])
		upper_discard(u, &m->tmp);
	fd_close(m->fd);
	*m = MADE_NONE;
}

struct at made_at(const struct ufs *u, const struct made *m)
{
	if (m->fd >= 0)
		return (struct at){ .dirfd = m->fd, .name = "" };
	return (struct at){ .dirfd = u->upper.tmp, .name = m->tmp.s };
}

static int put_nameless(struct ufs *u, struct made *m, const struct at *at, bool over)
{
	struct tmp_name tmp;

	if (!over)
		return linkat(m->fd, "", at->dirfd, at->name, AT_EMPTY_PATH) < 0 ? -errno : 0;
	tmp = upper_tmp_name(u);
	if (linkat(m->fd, "", u->upper.tmp, tmp.s, AT_EMPTY_PATH) < 0)
		return -errno;
	if (renameat2(u->upper.tmp, tmp.s, at->dirfd, at->name, 0) < 0) {
		int e = -errno;

		upper_discard(u, &tmp);
		return e;
	}
	return 0;
}

/* Over a whiteout: a directory cannot replace it, so they change places. */
static int put_named(struct ufs *u, struct made *m, const struct at *at, bool over, bool is_dir)
{
	unsigned int flags = !over ? RENAME_NOREPLACE : is_dir ? RENAME_EXCHANGE : 0;

	if (renameat2(u->upper.tmp, m->tmp.s, at->dirfd, at->name, flags) < 0)
		return -errno;
	if (over && is_dir)
		upper_discard(u, &m->tmp);
	m->tmp.s[0] = 0;
	return 0;
}

int made_put(struct ufs *u, struct made *m, const struct at *at, bool over, bool is_dir)
{
	int e = m->fd >= 0 ? put_nameless(u, m, at, over) : put_named(u, m, at, over, is_dir);
	struct stat st;

	if (!e && u->quota.limit && fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		quota_made(u, &st);
	return e;
}

void made_take_back(struct ufs *u, const struct at *at, bool is_dir)
{
	struct stat st;
	bool counted = fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (unlinkat(at->dirfd, at->name, is_dir ? AT_REMOVEDIR : 0) == 0 && counted &&
	    (is_dir || st.st_nlink == 1))
		quota_give(u, quota_cost(&st));
}

/* A umask, an ACL, an owner that the file system knows better: not as it was asked for. */
static bool opens_as_asked(struct ufs *u)
{
	const int flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC;
	struct tmp_name tmp = upper_tmp_name(u);
	_close_ int fd = openat(u->upper.tmp, tmp.s, flags, 0777);
	struct stat st;

	if (fd < 0)
		return false;
	upper_discard(u, &tmp);
	return fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0777 && st.st_uid == u->upper.uid;
}

bool made_fits_in_place(struct ufs *u, const struct perm *p)
{
	if (u->mode != UFS_UPPER_NATIVE || !S_ISREG(p->mode) || p->mode & 07000 ||
	    p->uid != u->upper.uid || p->gid != u->upper.gid)
		return false;
	if (u->upper.in_place == UNKNOWN)
		u->upper.in_place = opens_as_asked(u) ? CAN : CANNOT;
	return u->upper.in_place == CAN;
}

/*
 * The group of another directory than one with set-group-id (the mount option bsdgroups) is not
 * what the client is to see.
 */
static int settle_owner(struct ufs *u, const struct at *at, int fd, const struct perm *p,
			struct stat *st)
{
	struct stat dir;

	if (st->st_gid == p->gid)
		return 0;
	if (fstat(at->dirfd, &dir) < 0)
		return -errno;
	if (dir.st_mode & S_ISGID || ids_forgive(u, -EPERM))
		return 0;
	st->st_gid = p->gid;
	return fchown(fd, (uid_t)-1, p->gid) < 0 ? -errno : 0;
}

int made_in_place(struct ufs *u, const struct at *at, const struct perm *p, struct stat *ret)
{
	const int flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC;
	int e = quota_check(u, p->mode), fd;

	if (e)
		return e;
	fd = openat(at->dirfd, at->name, flags, p->mode & 0777);
	if (fd < 0)
		return -errno;
	e = fstat(fd, ret) < 0 ? -errno : settle_owner(u, at, fd, p, ret);
	if (e) {
		unlinkat(at->dirfd, at->name, 0);
		fd_close(fd);
		return e;
	}
	quota_made(u, ret);
	return fd;
}
