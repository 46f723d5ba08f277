/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of an archive as places in the tree: absolute ones are taken from the root, ".." is
 * refused. Where a name lies below a symbolic link of the same layer, as "bin/x" does where /bin is
 * a link to usr/bin, it is what the link leads to, inside of the tree: so it was where the archive
 * was made, and so other tools unpack it.
 */
#include "imagestore/unpack.h"

#include <sys/stat.h>

#define OPAQUE	  "trusted.overlay.opaque"
#define LINKS_MAX 40 /* in one path, as Linux has it (path_resolution(7)) */

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

/* ---- symbolic links ---- */

/* Where a path comes to one, with names to follow. */
struct at_link {
	const struct layer_node *link;
	const char *name, *rest; /* in the path */
};

/* A path being made: at most TAR_PATH_MAX bytes, no '\0' yet. */
struct made {
	char *text;
	size_t len;
};

static int append(struct made *path, const char *name, size_t len)
{
	if (path->len + 1 + len > TAR_PATH_MAX)
		return err(-EBADMSG, "a path of over %u bytes, by its symbolic links",
			   TAR_PATH_MAX);
	if (path->len)
		path->text[path->len++] = '/';
	memcpy(path->text + path->len, name, len);
	path->len += len;
	return 0;
}

static int append_all(struct made *path, const char *names)
{
	const char *name;
	size_t len;
	int r = 0;

	while (r >= 0 && (name = next_name(&names, &len)))
		r = append(path, name, len);
	return r;
}

/* "../x": from the directory that @path is. Behind a name ".." would need its links resolved. */
static int append_target(struct made *path, const char *target)
{
	bool named = false;
	const char *name;
	size_t len;
	int r = 0;

	while (r >= 0 && (name = next_name(&target, &len))) {
		bool up = len == 2 && name[0] == '.' && name[1] == '.';
		const char *slash;

		if (up && named)
			return err(-EBADMSG,
				   "it lies below a symbolic link with \"..\" behind a name");
		if (up) {
			slash = memrchr(path->text, '/', path->len);
			path->len = slash ? (size_t)(slash - path->text) : 0;
		} else {
			r = append(path, name, len);
		}
		named |= !up;
	}
	return r;
}

/* @path with the link replaced by what it says: *@ret is the caller's. */
static int rewrite(const char *path, const struct at_link *at, char **ret)
{
	const char *said = layer_node_target(at->link);
	_free_ char *target = said ? strndup(said, layer_node_attr(at->link)->size) : NULL;
	_free_ char *before = strndup(path, (size_t)(at->name - path));
	_free_ char *text = malloc(TAR_PATH_MAX + 1);
	struct made made = { .text = text };
	int r = target && before && text ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	if (*target != '/')
		r = append_all(&made, before);
	if (r >= 0)
		r = append_target(&made, target);
	if (r >= 0)
		r = append(&made, at->rest, strlen(at->rest)); /* as it is: it is walked next */
	if (r < 0)
		return r;
	text[made.len] = '\0';
	*ret = take_ptr(text);
	return 0;
}

static int too_many_links(void)
{
	return err(-EBADMSG, "over %u symbolic links in its path", LINKS_MAX);
}

/* ---- places ---- */

/* The directory @name of @dir, made when the archive only implies it; -ELOOP: *@ret is a link. */
static int descend(struct unpack *u, struct layer_node *dir, const char *name, size_t len,
		   struct layer_node **ret)
{
	struct layer_node *child = layer_tree_child(u->tree, dir, name, len);
	int r;

	if (child && S_ISDIR(layer_node_attr(child)->mode)) {
		*ret = child;
		return 0;
	}
	if (child && layer_node_target(child)) {
		*ret = child;
		return -ELOOP;
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

/* -ELOOP: a symbolic link, *@ret_at. */
static int walk(struct unpack *u, const char *path, struct unpack_place_of *ret,
		struct at_link *ret_at)
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
		if (r == -ELOOP)
			*ret_at = (struct at_link){ .link = dir, .name = name, .rest = next };
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

int unpack_find_place(struct unpack *u, const char *path, struct unpack_place_of *ret)
{
	_free_ char *real = NULL;

	for (unsigned links = 0;; links++) {
		struct at_link at = { 0 };
		char *next = NULL;
		int r = walk(u, path, ret, &at);

		if (r != -ELOOP)
			return r;
		r = links < LINKS_MAX ? rewrite(path, &at, &next) : too_many_links();
		if (r < 0)
			return r;
		free(real);
		path = real = next;
	}
}

/* 1: a symbolic link is in the way, *@ret_at. */
static int look(struct unpack *u, const char *plain, struct layer_node **ret, bool *ret_hidden,
		struct at_link *ret_at)
{
	struct layer_node *dir = layer_tree_root(u->tree);
	const char *name, *last = plain;
	size_t len;

	*ret = NULL;
	*ret_hidden = false;
	for (; (name = next_name(&plain, &len)); last = name) {
		if (layer_node_target(dir)) {
			*ret_at = (struct at_link){ .link = dir, .name = last, .rest = name };
			return 1;
		}
		*ret_hidden = !S_ISDIR(layer_node_attr(dir)->mode);
		dir = *ret_hidden ? NULL : layer_tree_child(u->tree, dir, name, len);
		if (!dir)
			return 0;
		*ret_hidden = layer_is_whiteout(layer_node_attr(dir));
		if (*ret_hidden)
			return 0;
	}
	*ret = dir;
	return 0;
}

int unpack_lookup(struct unpack *u, char **plain, struct layer_node **ret, bool *ret_hidden)
{
	for (unsigned links = 0;; links++) {
		struct at_link at = { 0 };
		char *next = NULL;
		int r = look(u, *plain, ret, ret_hidden, &at);

		if (r == 0)
			return 0;
		r = links < LINKS_MAX ? rewrite(*plain, &at, &next) : too_many_links();
		if (r < 0)
			return r;
		free(*plain);
		*plain = next;
	}
}
