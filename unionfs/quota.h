/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much the top may hold. Counted: of each file, directory and other thing in upper/ and
 * work/orphans/ what it occupies (st_blocks), at least 1 KiB, of a directory at least 4 KiB; a
 * whiteout is nothing, a file with several names one file. Measured when a thing is made, when its
 * content or an xattr changes, and all of it when the union begins: a directory's growth by names
 * shows in the next union.
 *
 * What would go beyond the limit is ENOSPC, or as much of a write as there is room for. Bytes that
 * a file has already can be written again, and things can be removed: but the first change in a
 * lower's directory needs room for its copy.
 */
#ifndef UNIONFS_QUOTA_H
#define UNIONFS_QUOTA_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>

struct node;
struct ufs;

struct quota {
	uint64_t limit; /* bytes; 0: none, and nothing is counted */
	uint64_t used;	/* with what is reserved */
	pthread_mutex_t
		lock; /* also of every node's `counted`; outside no other, no call but fstat */
};

/* Counts what is there. After all else of the union is ready. */
int quota_init(struct ufs *u, uint64_t limit);

/* What a thing like this counts. */
uint64_t quota_cost(const struct stat *st);
/* What the first @limit bytes of such a file will need; its holes stay holes. */
uint64_t quota_need(const struct stat *st, uint64_t limit);
/* Takes @bytes for what is about to be: -ENOSPC. */
int quota_take(struct ufs *u, uint64_t bytes);
void quota_give(struct ufs *u, uint64_t bytes);
/*
 * Takes room for a write of @len bytes at @off: how many of them may be written; 0: none. *@ret
 * is what was taken.
 */
uint64_t quota_write(struct ufs *u, int fd, uint64_t off, uint64_t len, uint64_t *ret);
/*
 * @taken was for a file that has no place yet, and is given back: -ENOSPC when it became larger
 * than there is room for.
 */
int quota_copied(struct ufs *u, int fd, uint64_t taken);
/* Measures @n anew, whose file is @fd, and gives back @taken. */
void quota_settle(struct ufs *u, struct node *n, int fd, uint64_t taken);
/* The same where a stat is at hand. */
void quota_settle_stat(struct ufs *u, struct node *n, const struct stat *st, uint64_t taken);
/* Whether there is room for another thing of this type: 0 or -ENOSPC. */
int quota_check(struct ufs *u, uint32_t mode);
/* Something came into being under a place in the upper. */
void quota_made(struct ufs *u, const struct stat *st);
/* @n is gone from the disk. */
void quota_gone(struct ufs *u, struct node *n);
/* What statfs(2) says of the top. */
void quota_statfs(struct ufs *u, struct statfs *st);

#endif
