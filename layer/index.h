/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mapped image as the reading files of this room see it. Nothing here trusts it: a header is
 * copied, checked, and the copy is used; a pointer into the map is given only with a length that
 * was checked.
 */
#ifndef LAYER_INDEX_H
#define LAYER_INDEX_H

#include "base/err.h"
#include "base/mem.h"
#include "layer/erofs.h"
#include "layer/guard.h"
#include <sys/stat.h>

struct layer_index {
	const uint8_t *map; /* to be read through index_read() */
	size_t size;
	struct guard *guard;
	uint64_t meta; /* where the metadata begins */
	uint64_t ninodes;
	bool no_acls; /* it says that no inode has one */
	size_t ndevices;
	struct layer_device *devices;
};

/* A checked inode. */
struct inode {
	struct erofs_inode e;
	uint64_t nid;
	uint64_t off; /* in the map */
	enum erofs_layout layout;
	size_t core; /* bytes of the inode with its xattrs, all of them inside the map */
};

/* -EBADMSG with a text: what is wrong at that node. */
void index_bad_text(uint64_t nid, const char *what);
static inline int index_bad(uint64_t nid, const char *what)
{
	index_bad_text(nid, what);
	return -EBADMSG;
}

/*
 * Bytes [@off, @off + @len) of the map, which are inside it; NULL (with a text): not what was
 * written.
 */
static inline const uint8_t *index_read(const struct layer_index *x, uint64_t off, size_t len)
{
	return guard_read(x->guard, (size_t)off, len) < 0 ? NULL : x->map + off;
}

int inode_get(const struct layer_index *x, uint64_t nid, struct inode *ret);
/*
 * Block @b of the content that stands in the image, *@ret_len bytes, as long as it is filled; NULL
 * (with a text) for bad.
 */
const uint8_t *inode_block(const struct layer_index *x, const struct inode *i, uint64_t b,
			   size_t *ret_len);

/* A checked directory block. */
struct dirblock {
	const uint8_t *data;
	size_t len;
	unsigned count;
};

/* -ENOTDIR when the node is no directory. */
int dir_get(const struct layer_index *x, uint64_t nid, struct inode *ret);
int dirblock_get(const struct layer_index *x, const struct inode *dir, uint64_t b,
		 struct dirblock *ret);
/* Entry @k < count: its name, type and nid; next stays as it is. */
int dirblock_entry(const struct inode *dir, const struct dirblock *d, unsigned k,
		   struct layer_dirent *ret);

/* Walks the xattrs of an inode; begin with a zeroed pos. */
struct xattr_walk {
	const struct layer_index *x;
	const struct inode *i;
	size_t pos;
	uint8_t prefix, name_len;
	uint16_t value_len;
	const char *name;
	const void *value;
};
/* 1 = one given, 0 = end, -EBADMSG. */
int xattr_next(struct xattr_walk *w);
/* One attribute: 0, -ENODATA or -EBADMSG. */
int xattr_find(const struct layer_index *x, const struct inode *i, uint8_t prefix, const char *name,
	       size_t name_len, const void **ret, size_t *ret_len);

void inode_attr(const struct inode *i, struct layer_attr *ret);
/* The content of a regular file's inode. */
int inode_content(const struct layer_index *x, const struct inode *i, struct layer_content *ret);
int inode_target(const struct layer_index *x, const struct inode *i, const char **ret,
		 size_t *ret_len);

#endif
