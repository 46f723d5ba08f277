/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain directories as lowers. What the client or the union knows of them is an entry each, found
 * by its id.
 */
#ifndef UNIONFS_LOWER_DIRS_H
#define UNIONFS_LOWER_DIRS_H

#include "unionfs/union.h"

#include <limits.h>

/* Where a thing is. */
struct dirs_part {
	uint16_t layer;
	/* from the layer's root, without a slash in front; NULL: in its parent, by its name */
	char *path;
	/* a directory's: whether a name in it is a foreign mark; 0 = not known yet, DIRS_* */
	atomic_uchar marks;
};
#define DIRS_UNMARKED 1
#define DIRS_MARKED   2

struct dirs_names;

/*
 * A thing in the stack of directories. Immutable but for the counts and @replaced; its parent lives
 * as long as it does.
 */
struct dirs_entry {
	struct hash_entry by_id, by_key;
	uint64_t id;
	dev_t dev;
	ino_t ino;
	struct dirs_entry *parent; /* NULL: the root */
	char *name;
	bool is_dir, is_file; /* a directory / a regular file */
	bool one_name;	      /* st_nlink is 1 */
	/* a metacopy file: its bytes are in the second part, or nowhere */
	bool meta;
	bool replaced; /* out of by_key: its number is another thing's by now */
	uint64_t refs, lookups;
	atomic_uint looks; /* in vain: dirs_names.h */
	_Atomic(struct dirs_names *) names;
	uint16_t nparts;
	struct dirs_part parts[]; /* topmost first; a directory may be in several layers */
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
	atomic_size_t names; /* dirs_names.h: of all entries */
};

/* The entry; the caller holds it. NULL: there is none. */
struct dirs_entry *dirs_find(struct lower *l, uint64_t id);
/* A new one with room for @max parts; its name is copied. NULL without memory. */
struct dirs_entry *dirs_new(struct dirs_entry *parent, const char *name, size_t max);
void dirs_free(struct lower *l, struct dirs_entry *e);
/*
 * The entry that is known by now, or @fresh, which is the table's in any case; held. NULL without
 * memory.
 */
struct dirs_entry *dirs_intern(struct lower *l, struct dirs_entry *fresh);
/* Where @e is in a layer, from its root, without a slash in front. */
int dirs_path(const struct dirs_entry *e, uint16_t layer, char path[PATH_MAX]);
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
