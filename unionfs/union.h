/* SPDX-License-Identifier: Apache-2.0 */
/* The union itself, and what the files of this room know of each other. */
#ifndef UNIONFS_UNION_H
#define UNIONFS_UNION_H

#include "base/fd.h"
#include "unionfs/dax.h"
#include "unionfs/fdcache.h"
#include "unionfs/gone.h"
#include "unionfs/ids.h"
#include "unionfs/listing.h"
#include "unionfs/lower.h"
#include "unionfs/node.h"
#include "unionfs/quota.h"
#include "unionfs/unionfs.h"
#include "unionfs/upper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define UFS_ROOT	 1u
#define UFS_NAME_MAX	 255u
#define UFS_TARGET_MAX	 4095u
#define UFS_XATTR_MAX	 65536u /* XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux */
#define UFS_COPY_STRIPES 64u

struct ufs {
	struct lower lower;
	enum ufs_upper_mode mode;
	bool userxattr, is_volatile;
	atomic_bool rdonly;
	bool left;     /* ufs_leave() */
	bool metacopy; /* copies of attributes leave the bytes in the lower */
	bool noacl, static_nlink;
	bool foreign; /* foreign.h */
	enum ufs_redirect redirect;
	struct ids uids, gids;
	struct quota quota;
	struct timespec valid; /* how long the client may keep what it is told */
	bool others; /* what is beneath may change meanwhile: pages go by size and mtime */
	atomic_bool moved_known; /* moved.h */
	atomic_bool protects;	 /* something is immutable or append-only: protect.h */
	atomic_uint acl_changes; /* counts default ACLs that were set; never 0 */
	struct upper upper;	 /* its descriptors are -1 without an upper */
	struct fdcache fds;
	struct node_table nodes;
	struct listing_cache listings;
	struct gone gone;
	struct dax dax;
	pthread_rwlock_t tree;
	pthread_mutex_t copying
		/* one copy-up or change of attributes of a node at a time, by id */
		[UFS_COPY_STRIPES];
	pthread_mutex_t filling[UFS_COPY_STRIPES]; /* a metacopy file that gets its bytes, by id */
};

/* A thing that the client named: pinned until inode_unpin(). */
struct inode {
	struct node *node; /* NULL: it is in a lower only */
	uint64_t lower;	   /* 0: it has no lower part */
};

/* -ESTALE when nothing has that nodeid. */
int inode_pin(struct ufs *u, uint64_t nodeid, struct inode *ret);
void inode_unpin(struct ufs *u, struct inode *i);
#define INODE_NONE ((struct inode){ 0 })
/* The lower file that has its bytes, held; 0: the upper has them. */
uint64_t inode_data(struct ufs *u, const struct inode *i);

static inline uint64_t inode_id(const struct inode *i)
{
	return i->node ? i->node->id : i->lower;
}

/* What the client sees of it; st_ino is what it shows. Tree lock held. */
int inode_stat(struct ufs *u, const struct inode *i, struct stat *ret);

/*
 * Takes the tree lock for finding nodes by name: read; of a plain top written, since what is found
 * may have been moved by others.
 */
static inline void ufs_lock_names(struct ufs *u)
{
	if (u->mode == UFS_UPPER_PLAIN)
		pthread_rwlock_wrlock(&u->tree);
	else
		pthread_rwlock_rdlock(&u->tree);
}

static inline size_t ufs_stripe_of(uint64_t id)
{
	return (id * 0x9e3779b97f4a7c15ull) >> 58;
}

static inline pthread_mutex_t *ufs_stripe(struct ufs *u, uint64_t id)
{
	return &u->copying[ufs_stripe_of(id)];
}

#endif
