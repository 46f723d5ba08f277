/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain directories as lowers. What the client or the union knows of them is an entry each, found
 * by its id.
 */
#ifndef UNIONFS_LOWER_DIRS_H
#define UNIONFS_LOWER_DIRS_H

#include "unionfs/union.h"

/*
 * A thing in the stack of directories. Immutable but for the counts; its parent lives as long as it
 * does.
 */
struct dirs_entry {
	struct hash_entry by_id, by_key;
	uint64_t id;
	dev_t dev;
	ino_t ino;
	struct dirs_entry *parent; /* NULL: the root */
	char *name;
	bool is_dir;
	uint64_t refs, lookups;
	uint16_t nlayers;
	uint16_t layers[]; /* where it is, topmost first; a directory may be in several */
};

#define DIRS_DEVICES_MAX 256

struct lower_dirs {
	int *fds;
	size_t n;
	pthread_mutex_t lock;
	struct hash_table by_id, by_key;
	uint64_t next_id;
	struct dirs_entry *root;
	dev_t devices[DIRS_DEVICES_MAX]; /* what a device's number is in st_ino */
	size_t ndevices;
};

/* The entry; the caller holds it. NULL: there is none. */
struct dirs_entry *dirs_find(struct lower *l, uint64_t id);
/* The directory @e as it is in layer @layer, open, held. */
int dirs_dir_fd(struct lower *l, struct dirs_entry *e, uint16_t layer, struct fd_ref **ret_ref,
		int *ret_fd);
/*
 * Where a non-directory or the topmost part of a directory is: its directory's descriptor, and its
 * name.
 */
int dirs_at(struct lower *l, struct dirs_entry *e, struct at *ret);
uint64_t dirs_shown_ino(struct lower_dirs *d, dev_t dev, ino_t ino);

#endif
