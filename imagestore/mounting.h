/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted: stacks of layers, writable tops, machines. Part of imagestore.h. */
#ifndef IMAGESTORE_MOUNTING_H
#define IMAGESTORE_MOUNTING_H

#include "base/sha256.h"
#include <stddef.h>

struct store;
struct txn;

/* What a stack has that is still arriving (arriving.h): its files, held open. */
struct arriving {
	int table_fd, state_fd, data_fd;
	int use_fd; /* as long as it is open, they stay */
	struct digest manifest;
};

/* ---- layers for mounting (read side) ---- */

/* A merged index with its packs: as long as it is open, gc leaves all that it names (the pin). */
struct stack {
	int index_fd;
	int *pack_fds; /* in the order of the index's devices */
	size_t npacks;
	/*
	 * Descriptors of the digests of the index's blocks, then of each pack's: npacks + 1. NULL
	 * before stack_open_sums().
	 */
	int *sums;
	struct digest chain_id;
	struct arriving *arriving; /* NULL: all of it is here */
};

/* Makes the merged index of a chain when it is missing or of another version. */
int stack_open(struct store *s, const struct digest *diff_ids, size_t n, struct stack *ret);
/* Opens what reads are verified by (unionfs' struct ufs_lower). -EBADMSG: it is not there. */
int stack_open_sums(struct store *s, struct stack *k);
void stack_close(struct stack *k);
/* An object by digest, read-only: what the union's object_open calls. */
int store_object_open(struct store *s, const struct digest *d);
/* The paths of a chain's merged index and packs, for the kernel's EROFS (device= takes paths). */
int stack_paths(struct store *s, const struct digest *diff_ids, size_t n, char **ret_index,
		char ***ret_packs);

/* ---- snapshots: writable tops ---- */

/* Makes snapshots/<id>/{upper,work,base}; base records the diff_ids. -EEXIST. */
int snapshot_create(struct store *s, const char *id, const struct digest *diff_ids, size_t n);
/* Flocks it exclusively (-EBUSY: mounted elsewhere); each *ret is the caller's to close. */
int snapshot_open(struct store *s, const char *id, int *ret_lock_fd, int *ret_upper_fd,
		  int *ret_work_fd);
/* The diff_ids that it stands on; the caller frees. */
int snapshot_base(struct store *s, const char *id, struct digest **ret_diff_ids, size_t *ret_n);
/* Removes it; -EBUSY while mounted; ENOENT is success. */
int snapshot_remove(struct store *s, const char *id);
int snapshot_each(struct store *s, int (*fn)(void *ctx, const char *id), void *ctx);

/* ---- machines: microVMs that have booted already, by what they were made of (a cache) ---- */

/* A descriptor, or -ENOENT without a text. */
int machine_open(struct store *s, const struct digest *key);
/* A new file in @t to write one to. */
int machine_create(struct txn *t);
/*
 * A folder in @t for one to rehearse with, as the root of its guest: @init_fd as /init, and places
 * for what is mounted. A descriptor.
 */
int machine_rehearsal(struct txn *t, int init_fd);
/* Gives it its name, in place of another that has it, once it is on disk. Then drop @t. */
int machine_publish(struct txn *t, const struct digest *key);
/* ENOENT is success. Who has begun from it goes on. */
int machine_remove(struct store *s, const struct digest *key);
/* Ends early on a value of @fn's other than 0 and gives it. */
int machine_each(struct store *s, int (*fn)(void *ctx, const struct digest *key), void *ctx);

#endif
