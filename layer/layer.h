/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer: a layer, or a stack of them merged, as one EROFS image (Linux fs/erofs/erofs_fs.h;
 * docs/formats/index.md).
 *
 * An index holds inodes, sorted names and extended attributes, and says of each content where it
 * lies: inline in the index (the smallest), in a pack (an extra device of the image: (device,
 * block), device 1 is the first pack), or in an object (a whole file named by its sha256; the inode
 * carries trusted.overlay.metacopy and trusted.overlay.redirect as composefs does, "/ab/<64 hex
 * digits>").
 *
 * The life of an index: a struct layer_tree is grown node by node, written once by
 * layer_tree_write(), and dropped. A written index is opened by layer_index_open(), which maps it;
 * it is immutable, so any number of threads read it without a lock. layer_merge() reads a stack of
 * indexes, lowest first, and writes the one that shows what overlayfs would show of them; it is
 * deterministic.
 *
 * The index is not trusted: a disk can lie. Every offset is checked before it is followed; damage
 * is -EBADMSG with a text, never a crash. A file that shrinks or a disk that dies under the map
 * raises SIGBUS: this room's handler puts zeros in the place of the page and counts it
 * (layer_index_lost()). Errors as in base/err.h; -ENOENT, -ENODATA, -ENOTDIR and 0 = end carry no
 * text.
 *
 * Numbers: blocks are 4,096 bytes. A node's number is its EROFS nid (its byte offset in the
 * metadata / 32). The root's nid is always 1, which is also FUSE's root. Inodes are the extended
 * kind (64 bytes).
 */
#ifndef LAYER_LAYER_H
#define LAYER_LAYER_H

#include "base/sha256.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define LAYER_BLOCK	  4096u
#define LAYER_ROOT_NID	  1u
#define LAYER_NAME_MAX	  255u /* bytes of one name, as every Linux file system */
#define LAYER_DEVICES_MAX 500u /* packs under one merged index: as many lowers as overlayfs takes */
#define LAYER_XATTRS_MAX  65536u /* bytes of all extended attributes of one inode */
#define LAYER_INLINE_MAX  1024u	 /* contents up to this stand in the index */
#define LAYER_PACK_MAX \
	(64u << 10) /* contents up to this stand in the pack, larger ones are objects */
#define LAYER_SIZE_MAX (1ull << 43) /* bytes of one file: one EROFS chunk of 2^31 blocks */
#define LAYER_DEPTH_MAX \
	2048u /* directories above one another: PATH_MAX / 2, so walks may recurse */
#define LAYER_TARGET_MAX 4095u /* bytes of a symbolic link's target: PATH_MAX without its NUL */

struct layer_attr {
	uint32_t mode; /* with the type bits */
	uint32_t uid, gid;
	uint32_t nlink; /* set by the writer: names of a file, 2 + subdirectories of a directory */
	uint64_t rdev;	/* makedev(3); a whiteout is a character device 0 */
	uint64_t size;
	struct timespec mtime;
};

enum layer_content_kind {
	LAYER_EMPTY,  /* no bytes, or a size that is all hole */
	LAYER_INLINE, /* in the index itself */
	LAYER_PACK,   /* whole and contiguous in a pack, from a block boundary */
	LAYER_OBJECT, /* one file of its own, by digest */
};

struct layer_content {
	enum layer_content_kind kind;
	const void *data;     /* INLINE: attr.size bytes */
	uint16_t device;      /* PACK: 1.. */
	uint32_t block;	      /* PACK: first block in that device */
	struct digest digest; /* OBJECT */
};

/* ---- writing ---- */

struct layer_tree;
struct layer_node;

/*
 * A pack as the image's device table has it. The tag is the diffID of the layer that owns the pack.
 */
struct layer_device {
	struct digest diff_id;
	uint32_t blocks;
};

/*
 * A tree with a root directory 0755 root:root, implied. Bounded: -ENOSPC past 16 M names, -ENOMEM
 * past 4 GiB, both counting what was taken out again. One thread at a time. A node is good until
 * its last name is taken away.
 */
int layer_tree_new(struct layer_tree **ret);
void layer_tree_free(struct layer_tree *t);
struct layer_node *layer_tree_root(struct layer_tree *t);
/* The child of directory @dir, or NULL. */
struct layer_node *layer_tree_child(struct layer_tree *t, struct layer_node *dir, const char *name,
				    size_t len);
/*
 * Puts a node under @dir. An existing name is replaced (its subtree goes), except that a directory
 * over a directory takes the new attributes, loses its xattrs (but for being opaque) and is no
 * longer implied, and keeps its children. attr.nlink is ignored, attr.size counts for regular files
 * and symbolic links. -EINVAL: a name that is empty, ".", "..", with '/' or NUL; a mode of no type;
 * nanoseconds past 999,999,999. -ENAMETOOLONG: a name over LAYER_NAME_MAX, or deeper than
 * LAYER_DEPTH_MAX. -EFBIG: a size over LAYER_SIZE_MAX. -ENOTDIR: @dir is none.
 */
int layer_tree_put(struct layer_tree *t, struct layer_node *dir, const char *name, size_t len,
		   const struct layer_attr *attr, struct layer_node **ret);
/* Another name for @target, which is no directory (-EPERM). */
int layer_tree_link(struct layer_tree *t, struct layer_node *dir, const char *name, size_t len,
		    struct layer_node *target);
/*
 * A name for a file that a lower layer holds: a hard link across layers, resolved by the merge.
 * @path leads from the root, its names parted by single '/', without "." and "..", none in front or
 * at the end: "usr/bin/perl". It is looked up in the stack below this layer, symbolic links not
 * followed; a merge that finds no file there is -EBADMSG.
 */
int layer_tree_link_lower(struct layer_tree *t, struct layer_node *dir, const char *name,
			  size_t len, const char *path, size_t pathlen);
/* Takes a name and all below it away; -ENOENT. */
int layer_tree_remove(struct layer_tree *t, struct layer_node *dir, const char *name, size_t len);
const struct layer_attr *layer_node_attr(const struct layer_node *n);
/* Of a symbolic link, attr's size bytes without a NUL; NULL before it has its content. */
const char *layer_node_target(const struct layer_node *n);
/*
 * Keeps type, xattrs and content: -EINVAL for another type, or another size of an inline content.
 * The node is no longer implied: so the root is named.
 */
int layer_node_set_attr(struct layer_node *n, const struct layer_attr *attr);
/*
 * Content of a regular file, or the target of a symbolic link as LAYER_INLINE; attr.size bytes,
 * which are copied. An inline one past a block: -EFBIG. A new regular file is LAYER_EMPTY.
 */
int layer_node_set_content(struct layer_node *n, const struct layer_content *c);
/*
 * The full name, e.g. "user.x", "trusted.overlay.opaque", "security.capability"; a name that is
 * there gets the new value. -EOPNOTSUPP: a prefix that EROFS has no number for. -EINVAL: what this
 * room writes itself (metacopy, redirect, trusted.strata.*). -E2BIG past LAYER_XATTRS_MAX, -ERANGE
 * for a name too long.
 */
int layer_node_set_xattr(struct layer_node *n, const char *name, const void *value, size_t len);
/*
 * Marks a directory that the layer's paths imply but never name: merged over a lower directory, it
 * shows that one's attributes and xattrs; over none, its own (0755 root:root is what the tools of
 * the field give it).
 */
int layer_node_set_implied(struct layer_node *n);
bool layer_node_is_implied(const struct layer_node *n);
/* Inodes that stand in the tree, the root and links to lower files included. */
uint64_t layer_tree_count(const struct layer_tree *t);

/*
 * Writes the image at the start of the empty file @fd, from its first byte to its last, without a
 * sync. The same tree gives the same bytes. A symbolic link without target, or a content past its
 * device: -EINVAL.
 */
int layer_tree_write(struct layer_tree *t, const struct layer_device *devices, size_t ndevices,
		     int fd);

/* ---- reading ---- */

struct layer_index;

/*
 * Maps the image in @fd (which stays the caller's). -EBADMSG: not an image that this room writes.
 */
int layer_index_open(int fd, struct layer_index **ret);
/*
 * The same, and from now on each block is compared with its digest in @sums_fd (duplicated; -1:
 * none) when it is read first: -EBADMSG. The verdict is remembered while it is open.
 */
int layer_index_open_verified(int fd, int sums_fd, struct layer_index **ret);
/* Writes 32 bytes of SHA-256 for each block of the image in @fd to the empty file @sums_fd. */
int layer_index_sums(int fd, int sums_fd);
/*
 * How many blocks SIGBUS took so far. Who finds it grown over a call cannot rely on what that call
 * gave: it may have been zeros.
 */
unsigned layer_index_lost(const struct layer_index *x);
void layer_index_close(struct layer_index *x);
size_t layer_index_ndevices(const struct layer_index *x);
const struct layer_device *layer_index_device(const struct layer_index *x,
					      size_t i); /* i from 0 = device 1 */
uint64_t layer_index_ninodes(const struct layer_index *x);
size_t layer_index_size(const struct layer_index *x); /* bytes of the image */
/* The byte of the image that @p, which an inline content's data is, points to. */
uint64_t layer_index_offset(const struct layer_index *x, const void *p);
/* False: no inode has a POSIX ACL. True: one may have (only a merged index tells). */
bool layer_index_has_acls(const struct layer_index *x);

/* -ENOENT, -ENOTDIR, -ENAMETOOLONG. */
int layer_lookup(const struct layer_index *x, uint64_t dir, const char *name, size_t len,
		 uint64_t *ret_nid);
int layer_stat(const struct layer_index *x, uint64_t nid, struct layer_attr *ret);
/* *@ret_parent: the directory that holds directory @nid (the root is its own). */
int layer_parent(const struct layer_index *x, uint64_t nid, uint64_t *ret_parent);
/*
 * Of a regular file, else -EINVAL. What lies in a pack lies in the blocks that the device table
 * grants it.
 */
int layer_content(const struct layer_index *x, uint64_t nid, struct layer_content *ret);
/* The target without NUL, pointing into the map. */
int layer_readlink(const struct layer_index *x, uint64_t nid, const char **ret, size_t *ret_len);

struct layer_dirent {
	uint64_t nid;
	uint64_t next; /* the cookie that continues behind this entry; never 0 */
	const char *name;
	uint8_t type; /* DT_* of dirent.h */
	uint8_t namelen;
};
/*
 * Entries in byte order of their names with "." and ".." among them. The name points into the map
 * and has no NUL. @cookie 0 begins; one that this directory never gave is -EINVAL or the end. 1 =
 * one given, 0 = end.
 */
int layer_readdir(const struct layer_index *x, uint64_t dir, uint64_t cookie,
		  struct layer_dirent *ret);

/*
 * -ENODATA when absent. The value points into the map. Internal names (trusted.overlay.*,
 * trusted.strata.*) are given too: hiding them is the caller's.
 */
int layer_getxattr(const struct layer_index *x, uint64_t nid, const char *name, const void **ret,
		   size_t *ret_len);
/* Calls @fn for each; ends early on a value other than 0 and gives it. */
int layer_listxattr(const struct layer_index *x, uint64_t nid,
		    int (*fn)(void *ctx, const char *name, const void *value, size_t len),
		    void *ctx);
/* The root of a layer may be opaque too. */
bool layer_is_whiteout(const struct layer_attr *a);
bool layer_is_opaque(const struct layer_index *x, uint64_t nid);

/*
 * Walks everything once and checks every offset, name order, link count, parent and content range,
 * and that no two things share a byte: for fsck. 0, or -EBADMSG with a text that says what and
 * where.
 */
int layer_index_check(const struct layer_index *x);

/* ---- merging ---- */

/*
 * Part of a merged index's name; grows when the same stack would give other bytes, or needs other
 * files beside it (2: the digests of its blocks; 3: it says whether it has ACLs).
 */
#define LAYER_MERGE_VERSION 3

/*
 * Writes the merge of @stack (lowest first) to the empty file @fd: whiteouts and opaque directories
 * resolved and gone, implied parents and hard links across layers (trusted.strata.*,
 * docs/formats/index.md) too, the packs of all layers as devices in the order of @stack, each
 * diffID once. The stack has one index or more; -E2BIG past LAYER_DEVICES_MAX.
 */
int layer_merge(struct layer_index *const *stack, size_t n, int fd);

#endif
