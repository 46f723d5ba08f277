/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/index.h"

#include "layer/seen.h"
#include "layer/tree.h"
#include "layer/xattr.h"

/*
 * Layers are applied to one tree, lowest first. The tree borrows names of xattrs, their values and
 * inline contents from the maps, which stay until it is written.
 */
struct merge {
	struct layer_tree *tree;
	struct layer_device devices[LAYER_DEVICES_MAX];
	size_t ndevices;

	/* The layer that is being applied. */
	const struct layer_index *x;
	size_t number;				/* from 0 */
	uint16_t device_map[LAYER_DEVICES_MAX]; /* of its device i + 1: the merged one */
	uint64_t names_left; /* entries that the image has room for: ends a circle */
	struct seen seen;
};

/* Calls @fn for each entry of a directory but "." and "..". */
typedef int entry_fn(struct merge *m, struct layer_node *dir, const struct layer_dirent *e,
		     unsigned depth);

static int for_each_entry(struct merge *m, const struct inode *i, struct layer_node *dir,
			  unsigned depth, entry_fn *fn)
{
	uint64_t nblocks = erofs_blocks(i->e.size);
	struct dirblock block;
	struct layer_dirent e;
	int r = 0;

	if (depth > LAYER_DEPTH_MAX)
		return index_bad(i->nid, "too many directories above it");
	for (uint64_t b = 0; b < nblocks && r == 0; b++) {
		r = dirblock_get(m->x, i, b, &block);
		for (unsigned k = 0; r == 0 && k < block.count; k++) {
			r = dirblock_entry(i, &block, k, &e);
			if (r == 0 && !m->names_left--)
				r = index_bad(i->nid, "more names than the image can hold");
			if (r == 0 && (e.namelen > 2 || memcmp(e.name, "..", e.namelen)))
				r = fn(m, dir, &e, depth);
		}
	}
	return r;
}

/* ---- links to files of lower layers, resolved before the layer changes anything ---- */

/* The file that @path names in the tree, or NULL. */
static struct layer_node *tree_path(const struct layer_tree *t, const char *path, size_t len)
{
	struct layer_node *n = t->root;

	while (n) {
		const char *slash = memchr(path, '/', len);
		size_t part = slash ? (size_t)(slash - path) : len;
		struct tree_name *name = tree_find(t, n, path, part);

		n = name ? name->node : NULL;
		if (!slash)
			break;
		path += part + 1;
		len -= part + 1;
	}
	return n && !S_ISDIR(n->attr.mode) ? n : NULL;
}

static int resolve_link(struct merge *m, const struct inode *i)
{
	struct layer_node *target;
	const void *path;
	size_t len;
	int r = xattr_find(m->x, i, XATTR_LINK, &path, &len);

	if (r < 0)
		return r == -ENODATA ? 0 : r;
	target = tree_path(m->tree, path, len);
	if (!target)
		return err(-EBADMSG, "layer %zu: a hard link to \"%.*s\", which no layer below has",
			   m->number + 1, (int)len, (const char *)path);
	return seen_find(&m->seen, i->nid) ? 0 : seen_add(&m->seen, i->nid, target);
}

static int resolve_entry(struct merge *m, struct layer_node *dir, const struct layer_dirent *e,
			 unsigned depth)
{
	struct inode i;
	int r = inode_get(m->x, e->nid, &i);

	if (r < 0)
		return r;
	if (S_ISDIR(i.e.mode))
		return for_each_entry(m, &i, dir, depth + 1, resolve_entry);
	return S_ISREG(i.e.mode) ? resolve_link(m, &i) : 0;
}

/* ---- applying a layer ---- */

static int fill_xattrs(struct merge *m, const struct inode *i, struct layer_node *n)
{
	struct xattr_walk w = { .x = m->x, .i = i };
	int r;

	while ((r = xattr_next(&w)) > 0) {
		if (!xattr_prefix(w.prefix))
			return index_bad(i->nid, "an xattr of an impossible name");
		if (xattr_is_ours(w.prefix, w.name, w.name_len) ||
		    !xattr_cmp(w.prefix, w.name, w.name_len, XATTR_OPAQUE))
			continue;
		r = node_set_xattr(n, w.prefix, w.name, w.name_len, w.value, w.value_len);
		if (r < 0)
			return r;
	}
	return r;
}

static int fill_content(struct merge *m, const struct inode *i, struct layer_node *n)
{
	struct layer_content c = { .kind = LAYER_INLINE };
	const char *target;
	size_t len;
	int r = 0;

	if (S_ISLNK(i->e.mode)) {
		r = inode_target(m->x, i, &target, &len);
		c.data = target;
	} else if (S_ISREG(i->e.mode)) {
		r = inode_content(m->x, i, &c);
	} else {
		return 0;
	}
	if (r < 0)
		return r;
	if (c.kind == LAYER_PACK)
		c.device = m->device_map[c.device - 1];
	return node_set_content(n, &c);
}

static int put_node(struct merge *m, struct layer_node *dir, const struct layer_dirent *e,
		    const struct inode *i, struct layer_node **ret)
{
	struct layer_attr attr;
	int r;

	inode_attr(i, &attr);
	r = layer_tree_put(m->tree, dir, e->name, e->namelen, &attr, ret);
	if (r == 0)
		r = fill_content(m, i, *ret);
	if (r == 0)
		r = fill_xattrs(m, i, *ret);
	return r == -EINVAL || r == -ENAMETOOLONG || r == -EFBIG ? -EBADMSG : r;
}

/* Whether the xattr is there: 1, 0 or -EBADMSG. */
static int has_xattr(struct merge *m, const struct inode *i, uint8_t prefix, const char *name,
		     size_t name_len)
{
	const void *value;
	size_t len;
	int r = xattr_find(m->x, i, prefix, name, name_len, &value, &len);

	return r == -ENODATA ? 0 : r < 0 ? r : 1;
}

static int apply_entry(struct merge *m, struct layer_node *dir, const struct layer_dirent *e,
		       unsigned depth);

static int apply_dir(struct merge *m, struct layer_node *dir, const struct layer_dirent *e,
		     const struct inode *i, unsigned depth)
{
	struct layer_node *n = layer_tree_child(m->tree, dir, e->name, e->namelen);
	bool under = n && S_ISDIR(n->attr.mode);
	int opaque = has_xattr(m, i, XATTR_OPAQUE), implied = has_xattr(m, i, XATTR_IMPLIED), r = 0;

	if (opaque < 0 || implied < 0)
		return -EBADMSG;
	if (under && opaque)
		tree_clear(m->tree, n);
	if (!under || !implied)
		r = put_node(m, dir, e, i, &n);
	return r < 0 ? r : for_each_entry(m, i, n, depth + 1, apply_entry);
}

static int apply_file(struct merge *m, struct layer_node *dir, const struct layer_dirent *e,
		      const struct inode *i)
{
	struct layer_node *n = seen_find(&m->seen, i->nid);
	int link, r;

	if (n) {
		r = layer_tree_link(m->tree, dir, e->name, e->namelen, n);
		return r == -EINVAL ? -EBADMSG : r;
	}
	link = has_xattr(m, i, XATTR_LINK);
	if (link)
		return link < 0 ? link :
				  index_bad(i->nid, "a link that the root does not announce");
	r = put_node(m, dir, e, i, &n);
	return r < 0 || i->e.nlink < 2 ? r : seen_add(&m->seen, i->nid, n);
}

static int apply_entry(struct merge *m, struct layer_node *dir, const struct layer_dirent *e,
		       unsigned depth)
{
	struct layer_attr attr;
	struct inode i;
	int r = inode_get(m->x, e->nid, &i);

	if (r < 0)
		return r;
	if (S_ISDIR(i.e.mode))
		return apply_dir(m, dir, e, &i, depth);
	inode_attr(&i, &attr);
	if (!layer_is_whiteout(&attr))
		return apply_file(m, dir, e, &i);
	r = layer_tree_remove(m->tree, dir, e->name, e->namelen);
	return r == -ENOENT ? 0 : r;
}

static int apply_root_attr(struct merge *m, const struct inode *root)
{
	struct layer_attr attr;
	int r;

	inode_attr(root, &attr);
	r = layer_node_set_attr(m->tree->root, &attr);
	if (r < 0)
		return -EBADMSG;
	m->tree->root->xattrs = NULL;
	m->tree->root->xattr_bytes = 0;
	return fill_xattrs(m, root, m->tree->root);
}

static int apply_root(struct merge *m, const struct inode *root)
{
	int opaque = has_xattr(m, root, XATTR_OPAQUE), implied = has_xattr(m, root, XATTR_IMPLIED),
	    links = has_xattr(m, root, XATTR_LINKS), r = 0;

	if (opaque < 0 || implied < 0 || links < 0)
		return -EBADMSG;
	if (links) {
		r = for_each_entry(m, root, m->tree->root, 0, resolve_entry);
		m->names_left = m->x->size / sizeof(struct erofs_dirent);
	}
	if (r == 0 && opaque)
		tree_clear(m->tree, m->tree->root);
	if (r == 0 && (!implied || m->number == 0))
		r = apply_root_attr(m, root);
	return r < 0 ? r : for_each_entry(m, root, m->tree->root, 0, apply_entry);
}

/* The number of that pack in the merged index, from 1. */
static int add_device(struct merge *m, const struct layer_device *d, uint16_t *ret)
{
	size_t i = 0;

	while (i < m->ndevices && !digest_eq(&m->devices[i].diff_id, &d->diff_id))
		i++;
	if (i == LAYER_DEVICES_MAX)
		return err(-E2BIG, "more than %u packs in one stack", LAYER_DEVICES_MAX);
	if (i == m->ndevices)
		m->devices[m->ndevices++] = *d;
	else if (m->devices[i].blocks != d->blocks)
		return err(-EBADMSG, "layer %zu: a pack of another length than in a layer below",
			   m->number + 1);
	*ret = (uint16_t)(i + 1);
	return 0;
}

static int apply_layer(struct merge *m, const struct layer_index *x, size_t number)
{
	struct inode root;
	int r = dir_get(x, LAYER_ROOT_NID, &root);

	m->x = x;
	m->number = number;
	m->names_left = x->size / sizeof(struct erofs_dirent);
	for (size_t i = 0; i < x->ndevices && r == 0; i++)
		r = add_device(m, &x->devices[i], &m->device_map[i]);
	if (r == 0)
		r = apply_root(m, &root);
	seen_done(&m->seen, m->tree);
	return r;
}

static int merge_stack(struct merge *m, struct layer_index *const *stack, size_t n, int fd)
{
	int r = layer_tree_new(&m->tree);

	if (r == 0)
		m->tree->merged = true;
	for (size_t i = 0; i < n && r == 0; i++)
		r = apply_layer(m, stack[i], i);
	if (r == 0)
		r = layer_tree_write(m->tree, m->devices, m->ndevices, fd);
	layer_tree_free(m->tree);
	return r;
}

int layer_merge(struct layer_index *const *stack, size_t n, int fd)
{
	_free_ struct merge *m = new0(struct merge);

	if (!m)
		return -ENOMEM;
	return n ? merge_stack(m, stack, n, fd) : err(-EINVAL, "a stack of no layers");
}
