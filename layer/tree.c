/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tree.h"

#include "base/err.h"
#include "layer/xattr.h"
#include <sys/stat.h>

void *tree_alloc(struct layer_tree *t, size_t len)
{
	return t->arena.total + len > TREE_BYTES_MAX ? NULL : arena_new(&t->arena, len);
}

static struct layer_node *node_new(struct layer_tree *t, const struct layer_attr *attr,
				   uint32_t depth)
{
	struct layer_node *n = tree_alloc(t, sizeof(*n));

	if (!n)
		return NULL;
	n->tree = t;
	n->attr = *attr;
	n->depth = depth;
	list_init(&n->children);
	if (S_ISDIR(attr->mode))
		n->salt = hash_u64(t->made);
	return n;
}

int layer_tree_new(struct layer_tree **ret)
{
	struct layer_attr root = { .mode = S_IFDIR | 0755 };
	struct layer_tree *t = new0(struct layer_tree);

	if (!t)
		return -ENOMEM;
	t->root = node_new(t, &root, 0);
	if (!t->root || layer_node_set_implied(t->root) < 0) {
		layer_tree_free(t);
		return -ENOMEM;
	}
	t->root->nnames = 1;
	t->live = t->made = 1;
	*ret = t;
	return 0;
}

void layer_tree_free(struct layer_tree *t)
{
	if (!t)
		return;
	hash_table_done(&t->names);
	arena_done(&t->arena);
	free(t);
}

struct layer_node *layer_tree_root(struct layer_tree *t)
{
	return t->root;
}

uint64_t layer_tree_count(const struct layer_tree *t)
{
	return t->live;
}

static uint64_t name_hash(const struct layer_node *dir, const char *name, size_t len)
{
	return hash_bytes(name, len) ^ dir->salt;
}

static struct tree_name *find_hashed(const struct layer_tree *t, const struct layer_node *dir,
				     const char *name, size_t len, uint64_t hash)
{
	struct hash_entry *e = hash_table_first(&t->names, hash);

	for (; e; e = hash_table_next(e)) {
		struct tree_name *n = container_of(e, struct tree_name, hash);

		if (n->dir == dir && n->len == len && !memcmp(n->s, name, len))
			return n;
	}
	return NULL;
}

struct tree_name *tree_find(const struct layer_tree *t, const struct layer_node *dir,
			    const char *name, size_t len)
{
	return find_hashed(t, dir, name, len, name_hash(dir, name, len));
}

struct layer_node *layer_tree_child(struct layer_tree *t, struct layer_node *dir, const char *name,
				    size_t len)
{
	struct tree_name *n = tree_find(t, dir, name, len);

	return n ? n->node : NULL;
}

void tree_hold(struct layer_tree *t, struct layer_node *n)
{
	if (n->nnames++)
		return;
	t->live++;
	t->lower += node_is_lower(n);
}

void tree_release(struct layer_tree *t, struct layer_node *n)
{
	if (--n->nnames)
		return;
	t->live--;
	t->lower -= node_is_lower(n);
	tree_clear(t, n);
}

static void name_detach(struct layer_tree *t, struct tree_name *n)
{
	hash_table_remove(&t->names, &n->hash);
	list_remove(&n->sibling);
	n->dir->nchildren--;
	tree_release(t, n->node);
}

void tree_clear(struct layer_tree *t, struct layer_node *dir)
{
	list_for_each_safe(l, &dir->children)
		name_detach(t, list_entry(l, struct tree_name, sibling));
}

static int name_attach(struct layer_tree *t, struct layer_node *dir, const char *name, size_t len,
		       uint64_t hash, struct layer_node *node)
{
	struct tree_name *n;

	if (t->made >= TREE_NAMES_MAX || t->arena.total > TREE_BYTES_MAX)
		return err(-ENOSPC, "a layer of more than %u names or 4 GiB", TREE_NAMES_MAX);
	n = tree_alloc(t, sizeof(*n) + len);
	if (!n || hash_table_add(&t->names, &n->hash, hash) < 0)
		return -ENOMEM;
	n->dir = dir;
	n->node = node;
	n->len = (uint8_t)len;
	memcpy(n->s, name, len);
	list_append(&dir->children, &n->sibling);
	dir->nchildren++;
	tree_hold(t, node);
	t->made++;
	return 0;
}

static int check_name(const struct layer_node *dir, const char *name, size_t len)
{
	if (!S_ISDIR(dir->attr.mode))
		return err(-ENOTDIR, "a name below what is no directory");
	if (len > LAYER_NAME_MAX)
		return err(-ENAMETOOLONG, "a name of %zu bytes", len);
	if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && !memcmp(name, "..", 2)))
		return err(-EINVAL, "\"%.*s\" is no name", (int)len, name);
	if (memchr(name, '/', len) || memchr(name, 0, len))
		return err(-EINVAL, "a name with '/' or NUL");
	return 0;
}

/*
 * A directory that is named again: what it was told before is void, but for hiding what is below.
 */
static void dir_renew(struct layer_node *n, const struct layer_attr *attr)
{
	const struct tree_xattr *opaque = node_xattr(n, XATTR_OPAQUE);

	n->attr = *attr;
	n->xattrs = (struct tree_xattr *)opaque;
	n->xattr_bytes = 0;
	if (opaque) {
		n->xattrs->next = NULL;
		n->xattr_bytes = (uint32_t)xattr_entry_size(opaque->name_len, opaque->value_len);
	}
}

/* A file under one name is replaced by another in the memory that it had. */
static bool file_renew(struct layer_tree *t, struct layer_node *n, const struct layer_attr *attr)
{
	if (S_ISDIR(attr->mode) || S_ISDIR(n->attr.mode) || n->nnames > 1)
		return false;
	t->lower -= node_is_lower(n);
	n->attr = *attr;
	n->content = (struct layer_content){ .kind = LAYER_EMPTY };
	n->xattrs = NULL;
	n->xattr_bytes = 0;
	return true;
}

/* Puts @node in the place of @old, which may be NULL. */
static int name_replace(struct layer_tree *t, struct tree_name *old, struct layer_node *dir,
			const char *name, size_t len, uint64_t hash, struct layer_node *node)
{
	int r = name_attach(t, dir, name, len, hash, node);

	if (r == 0 && old)
		name_detach(t, old);
	return r;
}

int layer_tree_put(struct layer_tree *t, struct layer_node *dir, const char *name, size_t len,
		   const struct layer_attr *attr, struct layer_node **ret)
{
	struct tree_name *old;
	struct layer_node *n;
	struct layer_attr a;
	uint64_t hash;
	int r = check_name(dir, name, len);

	if (r < 0 || (r = node_check_attr(attr, &a)) < 0)
		return r;
	hash = name_hash(dir, name, len);
	old = find_hashed(t, dir, name, len, hash);
	if (old && S_ISDIR(a.mode) && S_ISDIR(old->node->attr.mode)) {
		dir_renew(old->node, &a);
		*ret = old->node;
		return 0;
	}
	if (old && file_renew(t, old->node, &a)) {
		*ret = old->node;
		return 0;
	}
	if (S_ISDIR(a.mode) && dir->depth >= LAYER_DEPTH_MAX)
		return err(-ENAMETOOLONG, "more than %u directories above one another",
			   LAYER_DEPTH_MAX);
	n = node_new(t, &a, dir->depth + 1);
	if (!n)
		return -ENOMEM;
	r = name_replace(t, old, dir, name, len, hash, n);
	if (r == 0)
		*ret = n;
	return r;
}

int layer_tree_link(struct layer_tree *t, struct layer_node *dir, const char *name, size_t len,
		    struct layer_node *target)
{
	struct tree_name *old;
	uint64_t hash;
	int r = check_name(dir, name, len);

	if (r < 0)
		return r;
	if (S_ISDIR(target->attr.mode))
		return err(-EPERM, "%.*s: a hard link to a directory", (int)len, name);
	hash = name_hash(dir, name, len);
	old = find_hashed(t, dir, name, len, hash);
	if (old && old->node == target)
		return 0;
	return name_replace(t, old, dir, name, len, hash, target);
}

static bool path_is_plain(const char *path, size_t len)
{
	const char *p = path, *end = path + len;

	while (p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash ? slash : end) - p);

		if (n == 0 || n > LAYER_NAME_MAX || (n == 1 && *p == '.') ||
		    (n == 2 && !memcmp(p, "..", 2)))
			return false;
		p += n + 1;
	}
	return len && p == end + 1 && !memchr(path, 0, len);
}

int layer_tree_link_lower(struct layer_tree *t, struct layer_node *dir, const char *name,
			  size_t len, const char *path, size_t pathlen)
{
	struct layer_attr attr = { .mode = S_IFREG };
	struct layer_node *n;
	char *own;
	int r;

	if (pathlen > LAYER_TARGET_MAX)
		return err(-ENAMETOOLONG, "a hard link to a path of %zu bytes", pathlen);
	if (!path_is_plain(path, pathlen))
		return err(-EINVAL, "a hard link to \"%.*s\"", (int)pathlen, path);
	own = tree_alloc(t, pathlen);
	if (!own)
		return -ENOMEM;
	memcpy(own, path, pathlen);
	r = layer_tree_put(t, dir, name, len, &attr, &n);
	if (r < 0)
		return r;
	r = node_set_xattr(n, XATTR_LINK, own, pathlen);
	if (r == 0)
		t->lower++;
	return r;
}

int layer_tree_remove(struct layer_tree *t, struct layer_node *dir, const char *name, size_t len)
{
	struct tree_name *n = tree_find(t, dir, name, len);

	if (!n)
		return -ENOENT;
	name_detach(t, n);
	return 0;
}
