/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of the tar as a node of the tree. */
#include "imagestore/unpack.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#define WHITEOUT    ".wh." /* OCI image-spec, layer.md, "Whiteouts" */
#define OPAQUE_FILE ".wh..wh..opq"
#define AUFS	    ".wh..wh." /* aufs' own files; of no meaning to anyone else */

static mode_t type_bits(char type)
{
	switch (type) {
	case '2':
		return S_IFLNK;
	case '3':
		return S_IFCHR;
	case '4':
		return S_IFBLK;
	case '5':
		return S_IFDIR;
	case '6':
		return S_IFIFO;
	default:
		return S_IFREG;
	}
}

static struct layer_attr attr_of(const struct tar_entry *e)
{
	return (struct layer_attr){
		.mode = type_bits(e->type) | (e->type == '2' ? 0777 : e->mode),
		.uid = e->uid,
		.gid = e->gid,
		.rdev = makedev(e->major, e->minor),
		.size = e->type == '2' ? strlen(e->link) : e->size,
		.mtime = e->mtime,
	};
}

/* ---- xattrs ---- */

/* What overlayfs and our union would obey, and what belongs to the host: data of an attacker. */
static bool dropped(const char *name)
{
	return str_after(name, "trusted.") || strstr(name, ".overlay.") ||
	       str_after(name, "user.containers.override_");
}

static int set_xattrs(struct unpack *u, struct layer_node *n, const struct tar_entry *e)
{
	for (size_t i = 0; i < e->nxattrs; i++) {
		const struct tar_xattr *x = &e->xattrs[i];
		int r;

		if (dropped(x->name))
			continue;
		u->metadata += strlen(x->name) + x->len;
		r = layer_node_set_xattr(n, x->name, x->value, x->len);
		if (r == -EOPNOTSUPP) {
			err_clear(); /* a class of names that Linux does not have */
			continue;
		}
		if (r < 0 && r != -ENOMEM)
			return -EBADMSG;
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- whiteouts ---- */

static int put_whiteout(struct unpack *u, struct layer_node *dir, const char *name, size_t len)
{
	const struct layer_attr attr = { .mode = S_IFCHR };
	const struct layer_attr plain = { .mode = S_IFDIR | 0755 };
	struct layer_node *child = layer_tree_child(u->tree, dir, name, len);
	int r = 0;

	if (!child)
		return layer_tree_put(u->tree, dir, name, len, &attr, &child);
	if (!S_ISDIR(layer_node_attr(child)->mode))
		return 0;
	if (layer_node_is_implied(child))
		r = layer_tree_put(u->tree, dir, name, len, &plain, &child);
	return r < 0 ? r : unpack_make_opaque(child);
}

static int whiteout(struct unpack *u, const struct unpack_place_of *at)
{
	const char *name = at->name + strlen(WHITEOUT);
	size_t len = at->len - strlen(WHITEOUT);

	if (streq(at->name, OPAQUE_FILE))
		return unpack_make_opaque(at->dir);
	if (str_after(at->name, AUFS))
		return 0;
	if (len == 0 || streq(name, ".") || streq(name, ".."))
		return err(-EBADMSG,
			   "a whiteout of the directory that it stands in, or of the one above");
	return put_whiteout(u, at->dir, name, len);
}

/* ---- links ---- */

static int no_target(const char *link)
{
	char shown[128];

	str_printable(shown, sizeof(shown), link);
	return err(-EBADMSG, "a hard link to \"%s\", where there is no file", shown);
}

static int put_link(struct unpack *u, const struct unpack_place_of *at, const struct tar_entry *e)
{
	_free_ char *plain = malloc(TAR_PATH_MAX + 1);
	struct layer_node *target, *old;
	bool hidden;
	int r = plain ? unpack_plain_path(e->link, plain) : -ENOMEM;

	if (r < 0)
		return r;
	/* What is replaced goes first, with all that it holds: the link may not lead into it. */
	old = layer_tree_child(u->tree, at->dir, at->name, at->len);
	if (old && S_ISDIR(layer_node_attr(old)->mode))
		layer_tree_remove(u->tree, at->dir, at->name, at->len);
	r = unpack_lookup(u, &plain, &target, &hidden);
	if (r < 0)
		return r;
	if (target && S_ISDIR(layer_node_attr(target)->mode))
		return err(-EBADMSG, "a hard link to a directory");
	if (target)
		return layer_tree_link(u->tree, at->dir, at->name, at->len, target);
	if (hidden || !*plain)
		return no_target(e->link);
	/* Perhaps a lower layer has it: the merge finds out, before the image has a name. */
	u->metadata += strlen(plain);
	return layer_tree_link_lower(u->tree, at->dir, at->name, at->len, plain, strlen(plain));
}

/* ---- nodes ---- */

static int set_target(struct unpack *u, struct layer_node *n, const char *link)
{
	u->metadata += strlen(link);
	return layer_node_set_content(n, &(struct layer_content){ .kind = LAYER_INLINE,
								  .data = link });
}

static int put_root(struct unpack *u, const struct tar_entry *e)
{
	struct layer_node *root = layer_tree_root(u->tree);
	struct layer_attr attr = attr_of(e);
	int r;

	if (e->type != '5')
		return err(-EBADMSG, "the root is a directory and nothing else");
	r = layer_node_set_attr(root, &attr);
	return r < 0 ? r : set_xattrs(u, root, e);
}

static int put_node(struct unpack *u, const struct unpack_place_of *at, const struct tar_entry *e)
{
	struct layer_node *n, *old = layer_tree_child(u->tree, at->dir, at->name, at->len);
	bool over_whiteout = old && layer_is_whiteout(layer_node_attr(old));
	struct layer_attr attr = attr_of(e);
	int r = layer_tree_put(u->tree, at->dir, at->name, at->len, &attr, &n);

	if (r >= 0 && e->type == '5' && over_whiteout)
		r = unpack_make_opaque(n);
	if (r >= 0 && e->type == '2')
		r = set_target(u, n, e->link);
	if (r >= 0)
		r = set_xattrs(u, n, e);
	if (r >= 0 && e->type == '0')
		r = unpack_content(u, n, e);
	return r;
}

static int put(struct unpack *u, const struct tar_entry *e)
{
	struct unpack_place_of at;
	int r = unpack_find_place(u, e->path, &at);

	if (r < 0)
		return r;
	u->metadata += at.len;
	if (at.aufs || (at.dir && str_after(at.name, WHITEOUT))) {
		r = at.aufs ? 0 : whiteout(u, &at);
		return r < 0 || e->type != '0' ? r : unpack_content(u, NULL, e);
	}
	if (!at.dir)
		return put_root(u, e);
	return e->type == '1' ? put_link(u, &at, e) : put_node(u, &at, e);
}

/* The layer room refuses what no file can be: in a tar that is a malformed image. */
static int as_refusal(int r)
{
	switch (r) {
	case -EINVAL:
	case -ENAMETOOLONG:
	case -EFBIG:
	case -ENOTDIR:
	case -E2BIG:
	case -EPERM:
		return -EBADMSG;
	default:
		return r;
	}
}

int unpack_entry(void *unpack, const struct tar_entry *e)
{
	struct unpack *u = unpack;
	int r;

	if (++u->entries > u->bounds.max_entries)
		return err(-EBADMSG, "over %llu entries in one layer",
			   (unsigned long long)u->bounds.max_entries);
	r = put(u, e);
	if (r >= 0 && u->metadata > METADATA_MAX)
		r = err(-EBADMSG, "over 512 MiB of names and attributes in one layer");
	return as_refusal(r);
}
