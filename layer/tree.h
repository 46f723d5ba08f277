/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree while it is grown, as tree.c, node.c, write.c and merge.c see it. A node is an inode; a
 * name is a directory entry, found by a hash of (directory, name). Everything stands in one arena;
 * what is taken out of the tree stays in it until the tree goes.
 */
#ifndef LAYER_TREE_H
#define LAYER_TREE_H

#include "base/hash.h"
#include "base/list.h"
#include "layer/arena.h"
#include "layer/layer.h"

#define TREE_NAMES_MAX (16u << 20)
#define TREE_BYTES_MAX (4ull << 30)

/*
 * One extended attribute: the prefix' number, the name behind it and the value. Sorted by (prefix,
 * name).
 */
struct tree_xattr {
	struct tree_xattr *next;
	uint8_t prefix, name_len;
	uint16_t value_len;
	const char *name;
	const void *value;
};

struct tree_name {
	struct hash_entry hash;
	struct list sibling; /* in dir->children */
	struct layer_node *dir, *node;
	uint8_t len;
	char s[];
};

struct layer_node {
	struct layer_tree *tree;
	struct layer_attr attr; /* nlink stays 0: the writer counts */
	struct layer_content content;
	struct tree_xattr *xattrs;
	uint32_t xattr_bytes; /* of their entries, padded, as they are written */
	uint32_t nnames;
	uint32_t depth;
	struct list children; /* of a directory: struct tree_name */
	uint64_t nchildren;
	uint64_t salt; /* of a directory: its part of the hash of its names */

	/* Set by the writer. */
	struct layer_node *parent;
	uint64_t pos;		   /* bytes from the start of the metadata; 0: not met yet */
	uint64_t block;		   /* first plain block, counted from the first of all */
	uint64_t size;		   /* of a directory: of its blocks */
	struct tree_name **sorted; /* of a directory: its children */
	uint32_t nsubdirs;
	uint16_t layout;
};

struct layer_tree {
	struct arena arena;
	struct hash_table names;
	struct layer_node *root;
	uint64_t live;	/* inodes in the tree */
	uint64_t made;	/* names ever made */
	uint64_t lower; /* links to lower files in the tree */
	bool merged;	/* what is written says whether it has ACLs */
};

/* Memory of the tree, zeroed; NULL without memory or past its bound. */
void *tree_alloc(struct layer_tree *t, size_t len);

/* The name @name in @dir, or NULL. */
struct tree_name *tree_find(const struct layer_tree *t, const struct layer_node *dir,
			    const char *name, size_t len);
/* Keeps a node from going with its last name, as a name does, and ends that. */
void tree_hold(struct layer_tree *t, struct layer_node *n);
void tree_release(struct layer_tree *t, struct layer_node *n);
/* Takes away all children of @dir. */
void tree_clear(struct layer_tree *t, struct layer_node *dir);

/*
 * As the public functions, but data, name and value are borrowed: they outlive the tree. Internal
 * names are allowed.
 */
int node_set_content(struct layer_node *n, const struct layer_content *c);
int node_set_xattr(struct layer_node *n, uint8_t prefix, const char *name, size_t name_len,
		   const void *value, size_t len);
/* The attribute or NULL. */
const struct tree_xattr *node_xattr(const struct layer_node *n, uint8_t prefix, const char *name,
				    size_t name_len);
void node_remove_xattr(struct layer_node *n, uint8_t prefix, const char *name, size_t name_len);
/* Whether the node stands for a file of a lower layer. */
bool node_is_lower(const struct layer_node *n);
/* 0, -EINVAL or -EFBIG; *@ret is @attr with what its type does not have set to 0. */
int node_check_attr(const struct layer_attr *attr, struct layer_attr *ret);

#endif
