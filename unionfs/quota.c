/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/quota.h"

#include "unionfs/moved.h"
#include "unionfs/union.h"

#include <dirent.h>
#include <errno.h>

#define COST_MIN   1024u
#define COST_DIR   4096u
#define STAT_BLOCK 512u /* the unit of st_blocks (stat(2)) */

uint64_t quota_cost(const struct stat *st)
{
	uint64_t bytes = (uint64_t)st->st_blocks * STAT_BLOCK;

	if (upper_is_whiteout(st))
		return 0;
	return MAX(bytes, S_ISDIR(st->st_mode) ? COST_DIR : COST_MIN);
}

uint64_t quota_need(const struct stat *st, uint64_t limit)
{
	uint64_t size = MIN((uint64_t)st->st_size, limit);

	return MIN(size, (uint64_t)st->st_blocks * STAT_BLOCK);
}

/* A file that has n names is met n times. */
static int count_one(void *ctx, const struct at *at)
{
	struct ufs *u = ctx;
	struct stat st;

	if (fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : -errno;
	u->quota.used += S_ISDIR(st.st_mode) ? quota_cost(&st) :
					       quota_cost(&st) / MAX(st.st_nlink, (nlink_t)1);
	return 0;
}

int quota_init(struct ufs *u, uint64_t limit)
{
	int e;

	if (!limit || u->mode == UFS_UPPER_NONE || u->mode == UFS_UPPER_PLAIN)
		return 0;
	e = moved_walk(u, count_one, u);
	u->quota.limit = limit;
	return e;
}

static uint64_t room(const struct quota *q)
{
	return q->limit > q->used ? q->limit - q->used : 0;
}

/* Takes up to @bytes: how many. */
static uint64_t take(struct quota *q, uint64_t bytes)
{
	pthread_mutex_lock(&q->lock);
	bytes = MIN(bytes, room(q));
	q->used += bytes;
	pthread_mutex_unlock(&q->lock);
	return bytes;
}

static void give(struct quota *q, uint64_t bytes)
{
	pthread_mutex_lock(&q->lock);
	q->used -= MIN(bytes, q->used);
	pthread_mutex_unlock(&q->lock);
}

int quota_take(struct ufs *u, uint64_t bytes)
{
	uint64_t got = u->quota.limit ? take(&u->quota, bytes) : bytes;

	if (got == bytes)
		return 0;
	give(&u->quota, got);
	return -ENOSPC;
}

void quota_give(struct ufs *u, uint64_t bytes)
{
	if (u->quota.limit)
		give(&u->quota, bytes);
}

int quota_check(struct ufs *u, uint32_t mode)
{
	uint64_t bytes = S_ISDIR(mode) ? COST_DIR : COST_MIN;
	int e = quota_take(u, bytes);

	if (!e)
		quota_give(u, bytes);
	return e;
}

int quota_copied(struct ufs *u, int fd, uint64_t taken)
{
	struct stat st;
	uint64_t cost;
	int e;

	if (!u->quota.limit)
		return 0;
	cost = fstat(fd, &st) == 0 ? quota_cost(&st) : taken;
	e = cost > taken ? quota_take(u, cost - taken) : 0;
	quota_give(u, e ? taken : MAX(cost, taken));
	return e;
}

/* Whether the file has room on the disk for these bytes. */
static bool has_already(int fd, uint64_t off, uint64_t len)
{
	struct stat st;
	off_t hole;

	if (fstat(fd, &st) < 0 || off + len > (uint64_t)st.st_size)
		return false;
	/* Without a hole anywhere, what fallocate(2) gave counts too. */
	if ((uint64_t)st.st_blocks * STAT_BLOCK >= (uint64_t)st.st_size)
		return true;
	hole = lseek(fd, (off_t)off, SEEK_HOLE);
	return hole >= 0 && (uint64_t)hole >= off + len;
}

uint64_t quota_write(struct ufs *u, int fd, uint64_t off, uint64_t len, uint64_t *ret)
{
	*ret = 0;
	if (!u->quota.limit)
		return len;
	*ret = take(&u->quota, len);
	if (*ret == len)
		return len;
	if (has_already(fd, off, len)) {
		give(&u->quota, *ret);
		*ret = 0;
		return len;
	}
	return *ret;
}

void quota_settle_stat(struct ufs *u, struct node *n, const struct stat *st, uint64_t taken)
{
	struct quota *q = &u->quota;
	uint64_t cost;

	if (!q->limit)
		return;
	cost = quota_cost(st);
	pthread_mutex_lock(&q->lock);
	q->used -= MIN(q->used, taken + n->counted);
	q->used += cost;
	n->counted = cost;
	pthread_mutex_unlock(&q->lock);
}

void quota_settle(struct ufs *u, struct node *n, int fd, uint64_t taken)
{
	struct stat st;

	if (!u->quota.limit)
		return;
	if (fstat(fd, &st) == 0)
		quota_settle_stat(u, n, &st, taken);
	else
		give(&u->quota, taken);
}

void quota_made(struct ufs *u, const struct stat *st)
{
	struct quota *q = &u->quota;

	if (!q->limit)
		return;
	pthread_mutex_lock(&q->lock);
	q->used += quota_cost(st);
	pthread_mutex_unlock(&q->lock);
}

void quota_gone(struct ufs *u, struct node *n)
{
	struct quota *q = &u->quota;

	if (!q->limit)
		return;
	pthread_mutex_lock(&q->lock);
	q->used -= MIN(q->used, n->counted);
	n->counted = 0;
	pthread_mutex_unlock(&q->lock);
}

void quota_statfs(struct ufs *u, struct statfs *st)
{
	struct quota *q = &u->quota;
	uint64_t unit = st->f_frsize ? (uint64_t)st->f_frsize : (uint64_t)st->f_bsize, left;

	if (!q->limit || !unit)
		return;
	pthread_mutex_lock(&q->lock);
	left = room(q) / unit;
	pthread_mutex_unlock(&q->lock);
	st->f_blocks = MIN((uint64_t)st->f_blocks, q->limit / unit);
	st->f_bfree = MIN((uint64_t)st->f_bfree, left);
	st->f_bavail = MIN((uint64_t)st->f_bavail, left);
}
