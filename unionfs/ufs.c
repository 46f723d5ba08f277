/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "unionfs/copyup.h"
#include "unionfs/foreign.h"
#include "unionfs/protect.h"
#include "unionfs/recover.h"
#include "unionfs/union.h"

#include <dirent.h>
#include <errno.h>

/* A new top looks, at its root, like what it stands on. */
static int adopt_root(struct ufs *u)
{
	struct at at = { .dirfd = u->upper.root, .name = "" };
	struct stat st, lower;
	struct perm from, to;
	uint64_t ino;
	int e;

	if (upper_origin(u, &at, &ino) == 0)
		return 0;
	e = lower_stat(&u->lower, UFS_ROOT, &lower);
	if (!e)
		e = upper_load(u, &at, &st, &from);
	if (e)
		return e;
	to = (struct perm){ .mode = (st.st_mode & S_IFMT) | (lower.st_mode & 07777),
			    lower.st_uid,
			    lower.st_gid };
	e = upper_set_perm(u, &at, &from, &to);
	if (!e)
		e = copyup_xattrs(u, UFS_ROOT, &at);
	if (!e)
		e = upper_set_origin(u, &at, lower.st_ino);
	if (!e)
		futimens(u->upper.root, (const struct timespec[2]){ lower.st_atim, lower.st_mtim });
	return e;
}

static bool is_empty(int dirfd)
{
	char buf[1024] __attribute__((aligned(8)));
	_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : getdents64(fd, buf, sizeof(buf));

	/* "." and "..", 24 bytes each. */
	return n >= 0 && n <= 48;
}

static int load_root(struct ufs *u)
{
	struct node *root = u->nodes.root;
	struct at at = { .dirfd = u->upper.root, .name = "" };
	struct stat st;
	bool plain = u->mode == UFS_UPPER_PLAIN;
	int e = !plain && is_empty(u->upper.root) ? adopt_root(u) : 0;

	if (!e && u->foreign)
		e = foreign_adopt(u, &at);
	if (e)
		return err(e, "union: the upper's root: %s", strerror(-e));
	e = upper_load(u, &at, &st, &root->perm);
	if (e)
		return err(e, "union: the upper's root: %s", strerror(-e));
	if (plain) {
		root->shown = root->ino;
		return 0;
	}
	if (!upper_marked(u, &at, "overlay.opaque"))
		root->lower = UFS_ROOT;
	root->impure = upper_marked(u, &at, "overlay.impure");
	protect_node(u, root, protect_load(u, &at));
	if (upper_origin(u, &at, &root->shown) < 0)
		root->shown = u->lower.kind == UFS_LOWER_INDEX ? UFS_ROOT : root->ino;
	return 0;
}

#define FOREVER (1 << 30) /* seconds: 34 years */

/*
 * Asking for the ACL of each file costs a client more than all else that `ls -lR` asks: so they are
 * agreed on only where one can be.
 */
static bool may_have_acls(const struct ufs *u)
{
	if (u->mode == UFS_UPPER_PLAIN)
		return false;
	return upper_takes_acls(u) || lower_has_acls(&u->lower);
}

static int init(struct ufs *u, const struct ufs_config *cfg)
{
	int e = fdcache_init(&u->fds);

	if (!e)
		e = listing_cache_init(&u->listings);
	if (!e)
		e = ids_init(&u->uids, &cfg->uids, geteuid());
	if (!e)
		e = ids_init(&u->gids, &cfg->gids, getegid());
	if (!e)
		e = upper_init(u, cfg);
	if (!e)
		e = lower_init(u, cfg->lowers, cfg->nlowers);
	if (!e)
		u->noacl = cfg->noacl || !may_have_acls(u);
	if (!e)
		e = node_table_init(u);
	if (!e && u->mode != UFS_UPPER_NONE)
		e = load_root(u);
	if (!e && cfg->recover && u->mode != UFS_UPPER_NONE) {
		e = recover_nodes(u);
		if (e)
			err(e, "union: looking through the top: %s", strerror(-e));
	}
	if (!e) {
		e = quota_init(u, cfg->size);
		if (e)
			err(e, "union: counting the top: %s", strerror(-e));
	}
	return e;
}

static void init_locks(struct ufs *u)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	/* Readers never take it twice, and a stream of them must not keep a writer out. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&u->tree, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&u->quota.lock, NULL);
	for (size_t i = 0; i < UFS_COPY_STRIPES; i++)
		pthread_mutex_init(&u->copying[i], NULL);
	for (size_t i = 0; i < UFS_COPY_STRIPES; i++)
		pthread_mutex_init(&u->filling[i], NULL);
}

int ufs_new(const struct ufs_config *cfg, struct ufs **ret)
{
	struct ufs *u;
	int e;

	if ((!cfg->nlowers && cfg->upper != UFS_UPPER_PLAIN) || cfg->nlowers > LAYER_DEVICES_MAX)
		return err(-EINVAL, "union: %zu lowers: 1 to %u are possible", cfg->nlowers,
			   LAYER_DEVICES_MAX);
	if (cfg->recover &&
	    (cfg->lowers[0].kind != UFS_LOWER_INDEX || cfg->upper == UFS_UPPER_PLAIN))
		return err(-EOPNOTSUPP, "union: only one over an index can be taken over");
	u = new0(struct ufs);
	if (!u)
		return -ENOMEM;
	u->mode = cfg->upper;
	u->userxattr = cfg->userxattr;
	u->rdonly = cfg->rdonly;
	u->metacopy = cfg->metacopy;
	u->redirect = cfg->redirect;
	u->is_volatile = cfg->is_volatile || cfg->rdonly;
	u->foreign = cfg->foreign;
	u->static_nlink = cfg->static_nlink;
	u->others = u->mode == UFS_UPPER_PLAIN || cfg->timeout;
	if (cfg->timeout)
		u->valid = *cfg->timeout;
	else if (!u->others)
		u->valid.tv_sec = FOREVER;
	u->acl_changes = 1;
	u->lower.index_fd = -1;
	u->upper = (struct upper){ .root = -1, .work = -1, .tmp = -1, .orphans = -1 };
	list_init(&u->fds.idle);
	list_init(&u->listings.lru);
	gone_init(&u->gone);
	dax_init(&u->dax);
	init_locks(u);
	e = init(u, cfg);
	if (e) {
		ufs_free(u);
		return e;
	}
	*ret = u;
	return 0;
}

void ufs_leave(struct ufs *u)
{
	u->left = true;
}

void ufs_set_rdonly(struct ufs *u)
{
	atomic_store(&u->rdonly, true);
}

void ufs_free(struct ufs *u)
{
	if (!u)
		return;
	node_table_done(u);
	lower_done(&u->lower);
	listing_cache_done(&u->listings);
	fdcache_done(&u->fds);
	gone_done(&u->gone);
	dax_done(&u->dax);
	upper_done(u);
	ids_done(&u->uids);
	ids_done(&u->gids);
	pthread_rwlock_destroy(&u->tree);
	pthread_mutex_destroy(&u->quota.lock);
	for (size_t i = 0; i < UFS_COPY_STRIPES; i++)
		pthread_mutex_destroy(&u->copying[i]);
	for (size_t i = 0; i < UFS_COPY_STRIPES; i++)
		pthread_mutex_destroy(&u->filling[i]);
	free(u);
}
