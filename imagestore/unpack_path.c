/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of an archive as places in the tree: absolute ones are taken from the root, ".." is
 * refused.
 */
#include "imagestore/unpack.h"

#include <sys/stat.h>

#define OPAQUE "trusted.overlay.opaque"

/* The next name of a path, skipping '/' and "."; NULL at the end. */
static const char *next_name(const char **path, size_t *ret_len)
{
	for (;;) {
		const char *s = *path + strspn(*path, "/");
		size_t len = strcspn(s, "/");

		*path = s + len;
		if (len == 0)
			return NULL;
		if (len == 1 && s[0] == '.')
			continue;
		*ret_len = len;
		return s;
	}
}

static int check_name(const char *name, size_t len)
{
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return err(-EBADMSG, "\"..\" in a path");
	if (len > LAYER_NAME_MAX)
		return err(-EBADMSG, "a name of %zu bytes in a path; at most %u fit", len,
			   LAYER_NAME_MAX);
	return 0;
}

int unpack_plain_path(const char *path, char *out)
{
	const char *name;
	size_t len, at = 0;

	while ((name = next_name(&path, &len))) {
		int r = check_name(name, len);

		if (r < 0)
			return r;
		if (at)
			out[at++] = '/';
		memcpy(out + at, name, len);
		at += len;
	}
	out[at] = '\0';
	return 0;
}

int unpack_make_opaque(struct layer_node *dir)
{
	return layer_node_set_xattr(dir, OPAQUE, "y", 1);
}

static int put_directory(struct unpack *u, struct layer_node *dir, const char *name, size_t len,
			 struct layer_node **ret)
{
	const struct layer_attr attr = { .mode = S_IFDIR | 0755 };

	u->metadata += len;
	return layer_tree_put(u->tree, dir, name, len, &attr, ret);
}

static int not_directory(const char *name, size_t len)
{
	char part[LAYER_NAME_MAX + 1], shown[LAYER_NAME_MAX + 1];

	snprintf(part, sizeof(part), "%.*s", (int)len, name);
	str_printable(shown, sizeof(shown), part);
	return err(-EBADMSG, "it lies below \"%s\", which is no directory", shown);
}

/* The directory @name of @dir, made when the archive only implies it. */
static int descend(struct unpack *u, struct layer_node *dir, const char *name, size_t len,
		   struct layer_node **ret)
{
	struct layer_node *child = layer_tree_child(u->tree, dir, name, len);
	int r;

	if (child && S_ISDIR(layer_node_attr(child)->mode)) {
		*ret = child;
		return 0;
	}
	if (child && !layer_is_whiteout(layer_node_attr(child)))
		return not_directory(name, len);
	r = put_directory(u, dir, name, len, ret);
	if (r < 0)
		return r;
	/* Over a whiteout it is a new directory, which hides the lower one. */
	return child ? unpack_make_opaque(*ret) : layer_node_set_implied(*ret);
}

static bool is_aufs(const char *name, size_t len)
{
	return len > 8 && memcmp(name, ".wh..wh.", 8) == 0;
}

int unpack_find_place(struct unpack *u, const char *path, struct unpack_place_of *ret)
{
	struct layer_node *dir = layer_tree_root(u->tree);
	size_t len = 0, next_len = 0;
	const char *next, *name = next_name(&path, &len);
	int r = 0;

	*ret = (struct unpack_place_of){ 0 };
	if (!name)
		return 0;
	for (uint32_t depth = 1; r >= 0; depth++) {
		r = check_name(name, len);
		next = next_name(&path, &next_len);
		if (r < 0 || !next)
			break;
		if (depth >= u->bounds.max_depth)
			return err(-EBADMSG, "over %u directories above one another",
				   u->bounds.max_depth);
		ret->aufs = is_aufs(name, len);
		if (ret->aufs)
			return 0;
		if (len >= 4 && memcmp(name, ".wh.", 4) == 0)
			return err(-EBADMSG, "it lies below a whiteout");
		r = descend(u, dir, name, len, &dir);
		name = next;
		len = next_len;
	}
	if (r < 0)
		return r;
	ret->dir = dir;
	memcpy(ret->name, name, len);
	ret->name[len] = '\0';
	ret->len = len;
	return 0;
}

struct layer_node *unpack_lookup(struct unpack *u, const char *plain, bool *ret_hidden)
{
	struct layer_node *dir = layer_tree_root(u->tree), *child;
	const char *name;
	size_t len;

	*ret_hidden = false;
	while ((name = next_name(&plain, &len))) {
		if (!S_ISDIR(layer_node_attr(dir)->mode)) {
			*ret_hidden = true;
			return NULL;
		}
		child = layer_tree_child(u->tree, dir, name, len);
		if (!child)
			return NULL;
		if (layer_is_whiteout(layer_node_attr(child))) {
			*ret_hidden = true;
			return NULL;
		}
		dir = child;
	}
	return dir;
}
