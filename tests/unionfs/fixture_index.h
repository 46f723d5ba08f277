/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixture as an index: lib/big is in the pack, lib/object an object, whose content is
 * fixture_big() too.
 */
#ifndef TESTS_UNIONFS_FIXTURE_INDEX_H
#define TESTS_UNIONFS_FIXTURE_INDEX_H

#include "layer/layer.h"

#include "fixture.h"

static inline void fixture_content(struct layer_node *n, const struct fixture_item *it, int pack)
{
	struct layer_content c = { .kind = LAYER_INLINE, .data = it->text };

	if (strcmp(it->path, "lib/big") == 0) {
		char *big = fixture_big();

		FIXTURE_MUST(pwrite(pack, big, FIXTURE_BIG, 0) == FIXTURE_BIG);
		FIXTURE_MUST(ftruncate(pack, (FIXTURE_BIG + 4095) / 4096 * 4096) == 0);
		free(big);
		c = (struct layer_content){ .kind = LAYER_PACK, .device = 1, .block = 0 };
	} else if (fixture_is_big(it)) {
		char *big = fixture_big();

		c = (struct layer_content){ .kind = LAYER_OBJECT };
		c.digest = sha256_of(big, FIXTURE_BIG);
		free(big);
	} else if (!it->text || !*it->text) {
		return;
	}
	FIXTURE_MUST(layer_node_set_content(n, &c) == 0);
}

static inline struct layer_node *fixture_find(struct layer_tree *t, const char *path, size_t len)
{
	struct layer_node *n = layer_tree_root(t);

	while (len) {
		size_t l = strnlen(path, len);
		const char *slash = memchr(path, '/', l);

		l = slash ? (size_t)(slash - path) : l;
		n = layer_tree_child(t, n, path, l);
		FIXTURE_MUST(n);
		path += l + (slash != NULL);
		len -= l + (slash != NULL);
	}
	return n;
}

static inline void fixture_put(struct layer_tree *t, const struct fixture_item *it, int pack)
{
	const char *base = strrchr(it->path, '/');
	struct layer_node *dir = fixture_find(t, it->path, base ? (size_t)(base - it->path) : 0),
			  *n;
	struct layer_attr a = {
		.mode = it->mode, .uid = it->uid, .gid = it->gid, .mtime = { FIXTURE_TIME, 5 }
	};

	base = base ? base + 1 : it->path;
	if (S_ISREG(it->mode) && it->text && it->text[0] == '=') {
		n = fixture_find(t, it->text + 1, strlen(it->text + 1));
		FIXTURE_MUST(layer_tree_link(t, dir, base, strlen(base), n) == 0);
		return;
	}
	if (S_ISREG(it->mode) || S_ISLNK(it->mode))
		a.size = fixture_is_big(it) ? FIXTURE_BIG : it->text ? strlen(it->text) : 0;
	FIXTURE_MUST(layer_tree_put(t, dir, base, strlen(base), &a, &n) == 0);
	if (S_ISREG(it->mode) || S_ISLNK(it->mode))
		fixture_content(n, it, pack);
	if (strcmp(it->path, "xattr/file") == 0) {
		FIXTURE_MUST(layer_node_set_xattr(n, "user.color", "blue", 4) == 0);
		FIXTURE_MUST(layer_node_set_xattr(n, "trusted.secret", "t", 1) == 0);
	}
}

/* The merged tree as an index with one pack: both empty files. */
static inline void fixture_index(int index, int pack)
{
	struct layer_device dev = { .blocks = (FIXTURE_BIG + 4095) / 4096 };
	struct layer_attr a = { .mode = S_IFREG | 0600, .mtime = { FIXTURE_TIME, 5 } };
	struct layer_tree *t;
	struct layer_node *many, *n;
	char name[32];

	FIXTURE_MUST(layer_tree_new(&t) == 0);
	for (size_t i = 0; i < FIXTURE_ITEMS; i++) {
		if (!fixture_items[i].hidden)
			fixture_put(t, &fixture_items[i], pack);
	}
	many = layer_tree_child(t, layer_tree_root(t), "many", 4);
	for (int i = 0; i < FIXTURE_MANY; i++) {
		snprintf(name, sizeof(name), "f%04d", i);
		FIXTURE_MUST(layer_tree_put(t, many, name, strlen(name), &a, &n) == 0);
	}
	FIXTURE_MUST(layer_tree_write(t, &dev, 1, index) == 0);
	layer_tree_free(t);
}

#endif
