/* SPDX-License-Identifier: Apache-2.0 */
/* overlayfs' own dialect: everything is what it says. */
#include "base/str.h"
#include "unionfs/union.h"
#include "unionfs/xat.h"

#include <errno.h>

static int native_load(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret)
{
	(void)u;
	(void)at;
	*ret = (struct perm){
		.mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .rdev = st->st_rdev
	};
	return 0;
}

static int create(int dirfd, const char *name, const struct perm *p, const char *target)
{
	int r;

	if (S_ISDIR(p->mode))
		r = mkdirat(dirfd, name, p->mode & 0777);
	else if (S_ISLNK(p->mode))
		r = symlinkat(target, dirfd, name);
	else
		r = mknodat(dirfd, name, p->mode & (S_IFMT | 0777), p->rdev);
	return r < 0 ? -errno : 0;
}

/*
 * The process' umask, its groups and a set-group-id directory may each have had their say: put it
 * right.
 */
static int native_make(struct ufs *u, const char *tmp, const struct perm *p, const char *target)
{
	struct at at = { .dirfd = u->upper.tmp, .name = tmp };
	struct stat st;
	struct perm from;
	int e = create(u->upper.tmp, tmp, p, target);

	if (!e && fstatat(u->upper.tmp, tmp, &st, AT_SYMLINK_NOFOLLOW) < 0)
		e = -errno;
	if (e)
		return e;
	from = (struct perm){ .mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid };
	return u->upper.dialect->set_perm(u, &at, &from, p);
}

static int native_set_perm(struct ufs *u, const struct at *at, const struct perm *from,
			   const struct perm *to)
{
	bool chowned = from->uid != to->uid || from->gid != to->gid;

	if (chowned &&
	    fchownat(at->dirfd, at->name, to->uid, to->gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) <
		    0 &&
	    !ids_forgive(u, -errno))
		return -errno;
	/* chown(2) takes S_ISUID and S_ISGID away. */
	if (S_ISLNK(to->mode) || (from->mode == to->mode && !(chowned && (to->mode & 07000))))
		return 0;
	return xat_chmod(at->dirfd, at->name, to->mode & 07777);
}

static ssize_t native_readlink(struct ufs *u, const struct at *at, char *buf, size_t size)
{
	ssize_t n = readlinkat(at->dirfd, at->name, buf, size);

	(void)u;
	return n < 0 ? -errno : n;
}

const struct dialect dialect_native = {
	.load = native_load,
	.make = native_make,
	.set_perm = native_set_perm,
	.readlink = native_readlink,
	.xname = xname_store,
	.xname_back = xname_show,
};
