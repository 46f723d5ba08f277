/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction from inside the room: tmp/<name>/ (docs/formats/store.md, "Commit"). Files get
 * their digest's name there when they are whole; txn_commit() moves them to the store.
 */
#ifndef IMAGESTORE_TXN_H
#define IMAGESTORE_TXN_H

#include "imagestore/store.h"
#include <stdatomic.h>

/* A name that index.json gets at commit. */
struct txn_name {
	char *name; /* NULL: an image without one */
	char *media_type;
	struct digest manifest;
	uint64_t size;
};

struct txn {
	struct store *s;
	char name[17];
	int dirfd, live_fd;
	struct txn_name *names;
	char *source; /* where their images came from, "HOST/REPOSITORY"; NULL: not known */
	size_t nnames, cap;
	/* Several threads may write layers into one transaction: */
	_Atomic(uint64_t) nfiles;  /* written here: decides between fdatasync and syncfs */
	_Atomic(uint64_t) npinned; /* linked from the store */
	_Atomic(uint64_t) counter; /* of temporary names */
	bool named_twice;     /* what was written here may have a name outside, that is no pin */
	bool published;	      /* something may stand outside of tmp/ */
	int claims_fd; /* of layers that are being made here (claim.c), -1: none */
};

struct txn_file {
	char s[96];
};
struct txn_file txn_blob(const struct digest *d);
struct txn_file txn_object(const struct digest *d);

/* A new file under a temporary name, to be written; *@ret_name tells it. */
int txn_create(struct txn *t, struct txn_file *ret_name);
/* The text for a failed write: what is full, where, what to do. */
int txn_write_err(struct txn *t, int e);
/* Gives a whole file its digest's name; one that is there already wins. */
int txn_seal_blob(struct txn *t, const struct txn_file *name, const struct digest *d);
/* The same for an object; one that the store has is linked instead, and ours dropped. */
int txn_seal_object(struct txn *t, const struct txn_file *name, const struct digest *d);
/* A small blob from memory. */
int txn_put_blob(struct txn *t, const void *data, size_t len, struct digest *ret);

/*
 * Links what the store has into the transaction, so that it stays; 0 too when it stands there
 * already; -ENOENT without a text when neither has it.
 */
int txn_pin_blob(struct txn *t, const struct digest *d);
int txn_pin_object(struct txn *t, const struct digest *d);
int txn_pin_layer(struct txn *t, const struct digest *diff_id);

/*
 * Whether the layer and its blob, which stand in the transaction, are what an image says: so many
 * bytes, and one unpacks to the other. -EBADMSG.
 */
int txn_check_layer(struct txn *t, const struct store_bounds *b, const struct image_layer *layer);

/*
 * An image to be given away: manifest, config and layers' blobs stand in the transaction, pinned
 * or, when they were dropped, made again; where another blob came of it, *@ret has that and a
 * manifest that names it.
 */
int txn_give(struct txn *t, const char *ref, struct image **ret);
int txn_blob_open(struct txn *t, const struct digest *d);

/*
 * Before a layer is made that the store has not: waits for whoever is making it, so that it may be
 * there afterwards. Held until the transaction's end.
 */
int txn_claim_layer(struct txn *t, const struct digest *diff_id);
void txn_drop_claims(struct txn *t);

/* @name NULL: unnamed. */
int txn_add_name(struct txn *t, const char *name, const char *media_type,
		 const struct digest *manifest, uint64_t size);

/* Merges a chain whose layers stand in the transaction; published by the commit. */
int txn_merge(struct txn *t, const struct digest *diff_ids, size_t n);

/*
 * Has the objects of a chain's new layers share blocks with those of layers below, where the file
 * system can.
 */
void txn_share(struct txn *t, const struct digest *diff_ids, size_t n);

/* Switches fs-verity on for what is new, where the file system has it. */
void txn_verity(struct txn *t);

/* Makes the names of the transaction's files final, in order: step 4. */
int txn_publish(struct txn *t);

#endif
