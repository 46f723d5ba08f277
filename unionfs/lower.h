/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lowers, stacked, behind one interface: an EROFS index (one: the stack was merged when it was
 * made) or plain directories as overlayfs has them. A thing in a lower is named by a number, its
 * id, which is its nodeid; the root is
 * 1. In an index ids are nids: nothing is kept of them and counting is free. In directories an id
 * lives while it is held (lower_get, lower_put) or known to the client (lower_remember,
 * lower_forget).
 *
 * Immutable: no lock of the union need be held.
 */
#ifndef UNIONFS_LOWER_H
#define UNIONFS_LOWER_H

#include "layer/layer.h"
#include "unionfs/unionfs.h"
#include "unionfs/verify.h"

#include <stdbool.h>
#include <sys/stat.h>

struct ufs;
struct lower_dirs;
struct fd_ref;
struct listing;

struct lower {
	struct ufs *u;
	enum ufs_lower_kind kind;
	/* INDEX */
	int index_fd;
	struct layer_index *index;
	int *packs;
	size_t npacks;
	ufs_object_open_fn *object_open;
	void *ctx;
	struct verify verify;
	struct ufs_arrivals arrivals; /* find NULL: all is here */
	/* DIR */
	struct lower_dirs *dirs;
};

int lower_init(struct ufs *u, const struct ufs_lower *lowers, size_t n);
void lower_done(struct lower *l);
/* Blocks of the index that the disk lost under its map so far (layer_index_lost()). */
unsigned lower_lost(const struct lower *l);
/* False: nothing in them has a POSIX ACL. */
bool lower_has_acls(const struct lower *l);
/* The client starts anew: nothing is known to it. */
void lower_reset(struct lower *l);

/* Counts a holder of @id: 0, or -ESTALE when nothing has it. */
int lower_get(struct lower *l, uint64_t id);
void lower_put(struct lower *l, uint64_t id);
void lower_remember(struct lower *l, uint64_t id);
void lower_forget(struct lower *l, uint64_t id, uint64_t count);

/* The entry @name of directory @dir, held for the caller; -ENOENT. */
int lower_lookup(struct lower *l, uint64_t dir, const char *name, uint64_t *ret_id);
/* Of an @id that is held. */
bool lower_is_dir(struct lower *l, uint64_t id);
/* st_ino is what the client sees. */
int lower_stat(struct lower *l, uint64_t id, struct stat *ret);
/* When it was made; false: nobody knows. */
bool lower_born(struct lower *l, uint64_t id, struct timespec *ret);
/*
 * As ioctl(2) for FS_IOC_GETFLAGS or FS_IOC_FSGETXATTR: *@ret is cleared before; an index has none.
 */
int lower_flags(struct lower *l, uint64_t id, unsigned long cmd, void *ret);
/* FS_IMMUTABLE_FL and FS_APPEND_FL, as far as its file system says: after lower_stat() of it. */
unsigned int lower_protection(struct lower *l, uint64_t id);
/* At most @size bytes of the target, without NUL: their number. */
ssize_t lower_readlink(struct lower *l, uint64_t id, char *buf, size_t size);
/* As getxattr(2) and listxattr(2): all names, also those that are hidden from the client. */
ssize_t lower_getxattr(struct lower *l, uint64_t id, const char *name, void *value, size_t size);
ssize_t lower_listxattr(struct lower *l, uint64_t id, char *list, size_t size);

/* Where a regular file's bytes are. */
struct lower_data {
	uint64_t size;
	const void *mem; /* not NULL: here */
	int fd;		 /* else here from @base on; -1: all hole */
	uint64_t base;
	/* the descriptor holds this file alone, so that its holes and reflinks can be used */
	bool whole;
	bool dense;	    /* and it has no holes */
	struct fd_ref *ref; /* held */
	uint64_t arrives;   /* its number, when it is to be asked for: lower_need() */
};
int lower_data_get(struct lower *l, uint64_t id, struct lower_data *ret);
void lower_data_put(struct lower *l, struct lower_data *d);
/* Before bytes [@off, @off + @len) of it are read: waits for those that are still coming. */
int lower_need(struct lower *l, const struct lower_data *d, uint64_t off, uint64_t len);
/* Whether they are a stored object, a file of its own. */
bool lower_is_object(struct lower *l, uint64_t id);

/* The directory that holds directory @id, held for the caller, and its name there. */
int lower_parent(struct lower *l, uint64_t id, uint64_t *ret_parent, char name[256]);
/*
 * Calls @fn for each name of the non-directory @id (one, or any one, when it has a single link):
 * its directory, held during the call. Ends early on a value other than 0.
 */
int lower_names(struct lower *l, uint64_t id, int (*fn)(void *ctx, uint64_t dir, const char *name),
		void *ctx);

/* A walk over a directory's entries, "." and ".." among them. */
struct lower_iter {
	uint64_t dir, cookie;
	struct listing *listing; /* DIR */
};
struct lower_entry {
	const char *name; /* not terminated; good until the next call */
	size_t namelen;
	uint64_t id;   /* 0: not known (DIR) */
	uint64_t ino;  /* for the client */
	uint64_t next; /* the cookie behind it: below 2^62, never 0 */
	uint8_t type;  /* DT_* */
};
int lower_iter_init(struct lower *l, uint64_t dir, uint64_t cookie, struct lower_iter *ret);
/* 1, 0 at the end, -errno. */
int lower_iter_next(struct lower *l, struct lower_iter *it, struct lower_entry *ret);
void lower_iter_done(struct lower *l, struct lower_iter *it);

/* ---- the two kinds: lower_index.c, lower_dirs.c; what each gives is described above ---- */

int lower_index_init(struct lower *l, const struct ufs_lower *from);
void lower_index_done(struct lower *l);
int lower_index_stat(struct lower *l, uint64_t id, struct stat *ret);
int lower_index_data(struct lower *l, uint64_t id, struct lower_data *ret);
int lower_index_parent(struct lower *l, uint64_t id, uint64_t *ret_parent, char name[256]);
int lower_index_names(struct lower *l, uint64_t id, int (*fn)(void *, uint64_t, const char *),
		      void *ctx);

int lower_dirs_init(struct lower *l, const struct ufs_lower *from, size_t n);
void lower_dirs_done(struct lower *l);
void lower_dirs_reset(struct lower *l);
int lower_dirs_count(struct lower *l, uint64_t id, int refs, int64_t lookups);
int lower_dirs_lookup(struct lower *l, uint64_t dir, const char *name, uint64_t *ret_id);
bool lower_dirs_is_dir(struct lower *l, uint64_t id);
int lower_dirs_stat(struct lower *l, uint64_t id, struct stat *ret);
bool lower_dirs_born(struct lower *l, uint64_t id, struct timespec *ret);
int lower_dirs_flags(struct lower *l, uint64_t id, unsigned long cmd, void *ret);
unsigned int lower_dirs_protection(struct lower *l, uint64_t id);
ssize_t lower_dirs_readlink(struct lower *l, uint64_t id, char *buf, size_t size);
ssize_t lower_dirs_getxattr(struct lower *l, uint64_t id, const char *name, void *value,
			    size_t size);
ssize_t lower_dirs_listxattr(struct lower *l, uint64_t id, char *list, size_t size);
int lower_dirs_data(struct lower *l, uint64_t id, struct lower_data *ret);
int lower_dirs_parent(struct lower *l, uint64_t id, uint64_t *ret_parent, char name[256]);
int lower_dirs_names(struct lower *l, uint64_t id, int (*fn)(void *, uint64_t, const char *),
		     void *ctx);
struct listing *lower_dirs_listing(struct lower *l, uint64_t dir, int *ret_error);

#endif
