/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the upper holds and the client knows: one node each. What is in a lower only has no node;
 * its nodeid is its number in the lower. A nodeid is a key of the table, never a pointer.
 *
 * THE LOCK ORDER, outermost first:
 * 1. ufs.copying[stripe of id]: one copy-up, or one change of attributes, of a node at a time. Held
 *    over data copies.
 * 2. ufs.tree, a rwlock. Written: by who takes a name away or moves one (UNLINK, RMDIR, RENAME, the
 *    last step of a file's copy-up, a second INIT). Read: by who uses a node's place (parent and
 *    name), over system calls.
 *    ufs.filling[stripe of id], inside it or alone: while a metacopy file gets its bytes.
 * 3. listing.lock: of one directory's listing.
 * 4. node_table.lock: both tables, and refs, lookups and perm of every node. No system call.
 * 5. dax.lock: nothing is taken under it, descriptors come from outside.
 *    fdcache.lock, listing_cache.lock, the lower's own: likewise.
 * Nobody holds two of one kind. Two that make the same name at once are told apart by the file
 * system: every name comes into being by a rename or link that does not replace.
 *
 * The life of a node: node_add() finds or makes it when a name of it is looked up, made or copied
 * up; it lives while it is pinned (node_get), known to the client (lookups), a parent, or `kept`.
 * Kept are nodes whose nodeid is a lower's: the client may know that number from before the
 * copy-up, uncounted. Their number is bounded by what the client changed.
 */
#ifndef UNIONFS_NODE_H
#define UNIONFS_NODE_H

#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

struct ufs;

/* nodeids of what was born in the upper: this and its st_ino */
#define NODE_UPPER_BIT	(1ull << 62)
/*
 * ... and, of a top that is a copy of another, its generation: what it has from there keeps the
 * number that it had, which a new file's st_ino could be again (unionfs/clone.h).
 */
#define NODE_GENERATION_SHIFT 56
#define NODE_SPARE_BITS (3ull << 61) /* of what cannot have that one; no st_ino has bit 61 */

/* Who owns a thing and what it is. */
struct perm {
	uint32_t mode; /* with the type bits */
	uint32_t uid, gid;
	dev_t rdev;
};

struct node {
	struct hash_entry by_id, by_ino;
	uint64_t id;
	uint64_t ino;	/* st_ino in the upper */
	uint64_t shown; /* st_ino for the client */
	/* of a directory: the lower one that shows beneath, 0 = none; counted in the lower */
	uint64_t lower;
	/* of a metacopy file: the lower file that has its bytes, 0 = none; counted there. Changes
	 * under the table's lock */
	atomic_uint_fast64_t data;
	struct node *parent; /* pinned; NULL for the root and the orphans' directory */
	char *name;	     /* in parent; under the tree lock, as parent is */
	uint32_t refs;
	uint64_t lookups;
	uint32_t type;	  /* S_IFMT of its mode: never changes */
	struct perm perm; /* mapped only */
	uint64_t counted; /* quota.h */
	atomic_uint protect; /* protect.h */
	atomic_uint acl_less; /* a directory without a default ACL: ufs.acl_changes then */
	/* copied up, but not under all the names that its lower has: copyup_links() */
	atomic_bool linking;
	bool kept;
	bool orphan;	    /* its place is in work/orphans/, or a descriptor (plain): both locks */
	bool dead;	    /* is nowhere: not found by st_ino */
	atomic_bool fresh;  /* copied up, and the way to it not synced since */
	atomic_bool impure; /* a directory that holds copied-up things */
	/* the root's and the orphans' directory's; a plain top's orphan's; -1 for all others */
	int fixed_fd;
};

struct node_table {
	pthread_mutex_t lock;
	struct hash_table by_id, by_ino;
	uint64_t next_spare;
	struct node *root, *orphans; /* NULL without an upper; plain: no orphans */
};

int node_table_init(struct ufs *u);
void node_table_done(struct ufs *u);
/* Forgets whatever the client knew (it starts anew). Takes the tree lock. */
void node_table_reset(struct ufs *u);

/* The node with that nodeid, pinned, or NULL. */
struct node *node_get(struct ufs *u, uint64_t id);
struct node *node_get_by_ino(struct ufs *u, uint64_t ino);
void node_ref(struct ufs *u, struct node *n);
void node_put(struct ufs *u, struct node *n);
/*
 * Finds the node of upper file @like->ino, else makes one with what @like says (its name is copied,
 * its parent pinned). Pinned; NULL without memory. What @like holds of the lowers is the node's, or
 * is let go.
 */
struct node *node_add(struct ufs *u, const struct node *like);
/* The client was told of it / forgets @n tellings, whatever it claims. */
void node_remember(struct ufs *u, struct node *n);
void node_forget(struct ufs *u, struct node *n, uint64_t count);

/* Puts it at another place. Tree lock written. 0 or -ENOMEM (nothing is changed then). */
int node_move(struct ufs *u, struct node *n, struct node *parent, const char *name);
/* Whether the client may still use it. */
bool node_in_use(struct ufs *u, struct node *n);
/*
 * Its place is in work/orphans/ now (plain: its descriptor): it goes with the client's interest in
 * it. Plain: @orphan false when another name of it is found. Tree lock written.
 */
void node_set_orphan(struct ufs *u, struct node *n, bool orphan);
/*
 * A directory that another one replaced: it is nowhere any more, and its st_ino may be another's
 * soon.
 */
void node_kill(struct ufs *u, struct node *n);

/* The lower file that has the bytes of @n, held; 0: it has them itself. */
uint64_t node_data(struct ufs *u, struct node *n);
/* They are its own now. */
void node_own_data(struct ufs *u, struct node *n);
/* No lower shows beneath directory @n any more. Tree lock written. */
void node_cut(struct ufs *u, struct node *n);

struct perm node_perm(struct ufs *u, const struct node *n);
void node_set_perm(struct ufs *u, struct node *n, const struct perm *p);

#endif
