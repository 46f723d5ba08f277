/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open descriptors by (id, use): a bounded LRU. One in use is never closed; one that was dropped
 * while in use is closed by its last user. All calls lock inside; none makes a system call under
 * the lock.
 */
#ifndef UNIONFS_FDCACHE_H
#define UNIONFS_FDCACHE_H

#include "base/hash.h"
#include "base/list.h"

#include <pthread.h>

enum fd_use {
	FD_UPPER_DIR,  /* a directory of the upper, readable */
	FD_UPPER_FILE, /* a file of the upper, readable and writable */
	FD_LOWER_FILE, /* a file or object of a lower, readable */
	/* a directory of the lower layer number (use - FD_LOWER_DIR); the last of the uses */
	FD_LOWER_DIR,
};

struct fd_ref {
	struct hash_entry hash;
	struct list lru; /* in the list only when it has no users */
	uint64_t id;
	uint32_t use, users;
	bool dropped;
	int fd;
};

struct fdcache {
	pthread_mutex_t lock;
	struct hash_table table;
	struct list idle; /* least recently used at the end */
	size_t count, max;
};

int fdcache_init(struct fdcache *c);
void fdcache_done(struct fdcache *c);
/* The descriptor, counted as used until fdcache_put(); NULL: it is not there. */
struct fd_ref *fdcache_get(struct fdcache *c, uint64_t id, uint32_t use);
/*
 * Takes @fd over and gives it as in use; when there is one by now, that one, and @fd is closed.
 * NULL: no memory.
 */
struct fd_ref *fdcache_add(struct fdcache *c, uint64_t id, uint32_t use, int fd);
void fdcache_put(struct fdcache *c, struct fd_ref *r);
/* What (id, use) was is another thing from now on. */
void fdcache_drop(struct fdcache *c, uint64_t id, uint32_t use);
/* Closes the idle half: for EMFILE. */
void fdcache_shrink(struct fdcache *c);

#endif
