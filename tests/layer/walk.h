/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks everything of an index that may be damaged, whatever it answers. For the damage test and the
 * fuzz target.
 */
#ifndef TESTS_LAYER_WALK_H
#define TESTS_LAYER_WALK_H

#include "base/err.h"
#include "base/fd.h"
#include "layer/layer.h"
#include <stdio.h>

struct walk {
	const struct layer_index *x;
	unsigned left; /* nodes still to be asked: damage may lead in circles */
	unsigned sum;  /* of all bytes given, so that each is read */
};

static inline void walk_bytes(struct walk *w, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		w->sum += ((const uint8_t *)data)[i];
}

static inline int walk_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct walk *w = ctx;
	const void *found;
	size_t n;

	walk_bytes(w, name, strlen(name) + 1);
	walk_bytes(w, value, len);
	if (layer_getxattr(w->x, LAYER_ROOT_NID, name, &found, &n) == 0)
		walk_bytes(w, found, n);
	return 0;
}

static inline void walk_node(struct walk *w, uint64_t nid, unsigned depth);

static inline void walk_dir(struct walk *w, uint64_t nid, unsigned depth)
{
	struct layer_dirent e;
	uint64_t cookie = 0, found;

	while (w->left && layer_readdir(w->x, nid, cookie, &e) > 0) {
		cookie = e.next;
		walk_bytes(w, e.name, e.namelen);
		layer_lookup(w->x, nid, e.name, e.namelen, &found);
		if (e.namelen > 2 || memcmp(e.name, "..", e.namelen))
			walk_node(w, e.nid, depth + 1);
	}
}

static inline void walk_node(struct walk *w, uint64_t nid, unsigned depth)
{
	struct layer_content c;
	struct layer_attr a;
	const char *target;
	uint64_t parent;
	size_t len;

	if (!w->left || depth > LAYER_DEPTH_MAX)
		return;
	w->left--;
	err_clear();
	layer_is_opaque(w->x, nid);
	layer_parent(w->x, nid, &parent);
	layer_listxattr(w->x, nid, walk_xattr, w);
	if (layer_readlink(w->x, nid, &target, &len) == 0)
		walk_bytes(w, target, len);
	if (layer_stat(w->x, nid, &a) < 0)
		return;
	if (layer_content(w->x, nid, &c) == 0 && c.kind == LAYER_INLINE)
		walk_bytes(w, c.data, a.size);
	walk_dir(w, nid, depth);
}

/* What is sound merges to what is sound. */
static inline void walk_merged(int fd)
{
	struct layer_index *x;

	if (layer_index_open(fd, &x) < 0 || layer_index_check(x) < 0) {
		fprintf(stderr, "a sound index, merged: %s\n", err_take(-EBADMSG));
		abort();
	}
	layer_index_close(x);
}

/*
 * Opens @data as an index, asks all, checks it and merges it with itself. Gives what the check
 * said, or why it did not open.
 */
static inline int walk_image(const void *data, size_t size)
{
	_close_ int fd = fd_memfd("image", NULL, 0), merged = fd_memfd("merged", NULL, 0);
	struct walk w = { .left = 4096 };
	struct layer_index *x;
	int r, m;

	if (fd < 0 || merged < 0 || fd_write_full(fd, data, size) < 0)
		return -EIO;
	r = layer_index_open(fd, &x);
	if (r == 0) {
		w.x = x;
		walk_node(&w, LAYER_ROOT_NID, 0);
		walk_node(&w, w.sum, 0);
		walk_node(&w, UINT64_MAX, 0);
		m = layer_merge((struct layer_index *[]){ x, x }, 2, merged);
		err_clear();
		r = layer_index_check(x);
		if (r == 0 && m == 0)
			walk_merged(merged);
		layer_index_close(x);
	}
	err_clear();
	return r;
}

#endif
