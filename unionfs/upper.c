/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/upper.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/str.h"
#include "unionfs/acl.h"
#include "unionfs/clone.h"
#include "unionfs/made.h"
#include "unionfs/union.h"
#include "unionfs/upper_plain.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* A directory of work/; *@ret_new: it was not there. */
static int open_work_dir(int work, const char *name, bool lock, int *ret, bool *ret_new)
{
	_close_ int fd = -1;
	int e = mkdirat(work, name, 0700) < 0 ? -errno : 0;

	if (e && e != -EEXIST)
		return e;
	*ret_new = !e;
	fd = openat(work, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (lock) {
		e = fd_lock(fd, true, false);
		if (e)
			return e == -EWOULDBLOCK ? -EBUSY : e;
	}
	*ret = take_fd(fd);
	return 0;
}

/* What a server that was killed left. */
static int empty_dir(int fd)
{
	DIR *d = dir_open(fd, ".");
	struct dirent *entry;
	int e = 0;

	if (!d)
		return -errno;
	while (!e && (entry = readdir(d))) {
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			e = fd_remove_tree(fd, entry->d_name);
	}
	closedir(d);
	return e;
}

static int open_work(struct ufs *u, const struct ufs_config *cfg)
{
	struct upper *up = &u->upper;
	struct stat root, work;
	bool new_tmp = false, new_orphans = false;
	int e;

	up->root = openat(cfg->upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	up->work = openat(cfg->work_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up->root < 0 || up->work < 0)
		return err_sys("union: upper or work");
	if (fstat(up->root, &root) < 0 || fstat(up->work, &work) < 0)
		return err_sys("union: upper or work");
	if (root.st_dev != work.st_dev)
		return err(-EXDEV, "union: upper and work are on different file systems");
	if (root.st_ino == work.st_ino)
		return err(-EINVAL, "union: upper and work are the same directory");
	up->dev = root.st_dev;
	e = open_work_dir(up->work, "tmp", true, &up->tmp, &new_tmp);
	if (!e)
		e = open_work_dir(up->work, "orphans", false, &up->orphans, &new_orphans);
	if (!e && !new_tmp)
		e = empty_dir(up->tmp);
	/* Whoever takes over finds there what its client still uses. */
	if (!e && !new_orphans && !cfg->recover)
		e = empty_dir(up->orphans);
	if (e)
		return err(e, "union: work: %s", e == -EBUSY ? "the top is in use" : strerror(-e));
	return 0;
}

#define WHITEOUT "whiteout" /* the one in work/tmp that all are links of */

/*
 * That the file system can do what a union cannot do without: with what is there anyway, since
 * making a file and removing it again costs most of what a mount does.
 */
static int probe(struct ufs *u)
{
	const struct upper *up = &u->upper;
	const struct at at = { .dirfd = up->tmp, .name = "" };
	int e;

	if (mknodat(up->tmp, WHITEOUT, S_IFCHR, makedev(0, 0)) < 0)
		return err(-errno,
			   "union: the upper's file system makes no whiteouts (a device 0/0): %s",
			   strerror(errno));
	e = upper_mark(u, &at, "overlay.opaque");
	if (!e)
		e = upper_unmark(u, &at, "overlay.opaque");
	return e ? err(e, "union: the upper's file system takes no %s xattrs: %s",
		       up->user ? "user" : "trusted", strerror(-e)) :
		   0;
}

int upper_init(struct ufs *u, const struct ufs_config *cfg)
{
	struct upper *up = &u->upper;
	int e;

	*up = (struct upper){ .root = -1, .work = -1, .tmp = -1, .orphans = -1 };
	if (u->mode == UFS_UPPER_NONE)
		return 0;
	if (u->mode == UFS_UPPER_PLAIN) {
		up->dialect = &dialect_plain;
		return plain_open(u, cfg);
	}
	up->dialect = u->mode == UFS_UPPER_MAPPED ? &dialect_mapped : &dialect_native;
	up->user = u->mode == UFS_UPPER_MAPPED || u->userxattr;
	up->uid = geteuid();
	up->gid = getegid();
	e = open_work(u, cfg);
	if (!e && cfg->lowers[0].kind == UFS_LOWER_INDEX)
		up->ino_bit = NODE_UPPER_BIT | clone_generation(up->root, up->user)
						       << NODE_GENERATION_SHIFT;
	return e ? e : probe(u);
}

void upper_done(struct ufs *u)
{
	struct upper *up = &u->upper;

	/* Nothing is changed any more: the next server need not wait for the disk. */
	fd_close(up->tmp);
	if (up->root >= 0 && !u->is_volatile)
		syncfs(up->root);
	fd_close(up->root);
	fd_close(up->work);
	fd_close(up->orphans);
}

bool upper_takes_acls(const struct ufs *u)
{
	return u->mode == UFS_UPPER_MAPPED ||
	       (u->mode == UFS_UPPER_NATIVE &&
		(fgetxattr(u->upper.root, ACL_ACCESS, NULL, 0) >= 0 || errno != EOPNOTSUPP));
}

bool upper_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

struct tmp_name upper_tmp_name(struct ufs *u)
{
	struct tmp_name t;

	snprintf(t.s, sizeof(t.s), "%" PRIx64, (uint64_t)atomic_fetch_add(&u->upper.next_tmp, 1));
	return t;
}

static int new_whiteout(struct ufs *u)
{
	struct tmp_name tmp = upper_tmp_name(u);

	if (mknodat(u->upper.tmp, tmp.s, S_IFCHR, makedev(0, 0)) < 0)
		return -errno;
	if (renameat(u->upper.tmp, tmp.s, u->upper.tmp, WHITEOUT) < 0) {
		int e = -errno;

		upper_discard(u, &tmp);
		return e;
	}
	return 0;
}

int upper_whiteout_at(struct ufs *u, const struct at *at)
{
	int e = 0;

	/* A file system has a limit to the links of one (ext4 65,000): then another one begins. */
	for (int i = 0; i < 2 && !e; i++) {
		if (linkat(u->upper.tmp, WHITEOUT, at->dirfd, at->name, 0) == 0)
			return 0;
		e = errno == EMLINK || errno == ENOENT ? new_whiteout(u) : -errno;
	}
	if (e)
		return e;
	return mknodat(at->dirfd, at->name, S_IFCHR, makedev(0, 0)) < 0 ? -errno : 0;
}

int upper_make_whiteout(struct ufs *u, struct tmp_name *ret)
{
	*ret = upper_tmp_name(u);
	return upper_whiteout_at(u, &(struct at){ .dirfd = u->upper.tmp, .name = ret->s });
}

void upper_discard(struct ufs *u, const struct tmp_name *tmp)
{
	if (unlinkat(u->upper.tmp, tmp->s, 0) < 0 && errno == EISDIR)
		fd_remove_tree(u->upper.tmp, tmp->s);
	err_clear();
}

void upper_drop_orphan(struct ufs *u, const char *name, bool dir)
{
	if (!dir)
		unlinkat(u->upper.orphans, name, 0);
	else
		fd_remove_tree(u->upper.orphans, name);
	err_clear();
}

static int stat_at(const struct at *at, struct stat *st)
{
	return fstatat(at->dirfd, at->name, st,
		       AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT) < 0 ?
		       -errno :
		       0;
}

int upper_load_found(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret)
{
	/* A mount that someone put into the upper is none of ours. */
	if (st->st_dev != u->upper.dev)
		return -EXDEV;
	if (u->mode != UFS_UPPER_PLAIN && upper_is_whiteout(st)) {
		*ret = (struct perm){ .mode = S_IFCHR };
		return 0;
	}
	return u->upper.dialect->load(u, at, st, ret);
}

int upper_load(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret)
{
	int e = stat_at(at, st);

	return e ? e : upper_load_found(u, at, st, ret);
}

/* The bytes of a metacopy file are in its lower. */
static uint64_t blocks_of(struct ufs *u, struct node *n, const struct stat *st)
{
	uint64_t data = node_data(u, n), blocks = (uint64_t)st->st_blocks;
	struct stat lower;

	if (!data)
		return blocks;
	if (lower_stat(&u->lower, data, &lower) == 0)
		blocks = (uint64_t)lower.st_blocks;
	lower_put(&u->lower, data);
	return blocks;
}

/* All its names are seen, those too that the copy has not yet. */
static nlink_t links_of_lower(struct ufs *u, const struct node *n, nlink_t otherwise)
{
	struct stat lower;

	return lower_stat(&u->lower, n->id, &lower) == 0 ? lower.st_nlink : otherwise;
}

void upper_show(struct ufs *u, struct node *n, struct stat *st)
{
	struct perm p;

	if (u->mode == UFS_UPPER_MAPPED) {
		p = node_perm(u, n);
		st->st_mode = p.mode;
		st->st_uid = p.uid;
		st->st_gid = p.gid;
		st->st_rdev = p.rdev;
	}
	if (u->mode == UFS_UPPER_PLAIN)
		plain_show(u, st);
	st->st_blocks = (blkcnt_t)blocks_of(u, n, st);
	st->st_ino = n->shown;
	if (n->orphan && u->mode != UFS_UPPER_PLAIN)
		st->st_nlink = S_ISDIR(st->st_mode) || !st->st_nlink ? 0 : st->st_nlink - 1;
	else if (n->lower)
		st->st_nlink = 1;
	else if (n->linking)
		st->st_nlink = links_of_lower(u, n, st->st_nlink);
}

int upper_stat_node(struct ufs *u, struct node *n, struct stat *ret)
{
	struct at at;
	struct stat st;
	int e = node_at(u, n, &at);

	if (e)
		return e;
	e = stat_at(&at, &st);
	at_put(u, &at);
	if (e)
		return e == -ENOENT ? -ESTALE : e;
	if (st.st_ino != n->ino)
		return -ESTALE;
	upper_show(u, n, &st);
	*ret = st;
	return 0;
}

int upper_set_perm(struct ufs *u, const struct at *at, const struct perm *from,
		   const struct perm *to)
{
	return u->upper.dialect->set_perm(u, at, from, to);
}

ssize_t upper_readlink(struct ufs *u, const struct at *at, char *buf, size_t size)
{
	return u->upper.dialect->readlink(u, at, buf, size);
}

uint64_t upper_nodeid(const struct ufs *u, uint64_t ino)
{
	return NODE_UPPER_BIT | u->upper.ino_bit | ino;
}
