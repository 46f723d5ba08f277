/* SPDX-License-Identifier: Apache-2.0 */
/* A directory tree as an index and its one pack, as a pull would have made them. */
#ifndef TESTS_UNIONFS_INDEX_OF_H
#define TESTS_UNIONFS_INDEX_OF_H

#include "layer/layer.h"

#include "fixture.h"

#include <dirent.h>

#define INDEX_OF_LINKS 4096
#define INDEX_OF_HUGE  (1ll << 30) /* an object of a test's own: by the digest of its name */

struct index_of {
	struct layer_tree *tree;
	int pack;
	uint32_t blocks;
	size_t nlinks;
	struct {
		ino_t ino;
		struct layer_node *node;
	} links[INDEX_OF_LINKS];
};

static inline void index_of_content(struct index_of *x, struct layer_node *n, int dir,
				    const char *name, const struct stat *st)
{
	struct layer_content c = { .kind = LAYER_INLINE };
	char *data;
	ssize_t got;
	int fd;

	if (st->st_size > INDEX_OF_HUGE) {
		c = (struct layer_content){ .kind = LAYER_OBJECT };
		c.digest = sha256_of(name, strlen(name));
		FIXTURE_MUST(layer_node_set_content(n, &c) == 0);
		return;
	}
	data = calloc(1, (size_t)st->st_size + LAYER_BLOCK);
	if (S_ISLNK(st->st_mode)) {
		got = readlinkat(dir, name, data, (size_t)st->st_size);
	} else {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		FIXTURE_MUST(fd >= 0);
		got = read(fd, data, (size_t)st->st_size);
		close(fd);
	}
	FIXTURE_MUST(got == (ssize_t)st->st_size);
	c.data = data;
	if (S_ISREG(st->st_mode) && st->st_size > LAYER_INLINE_MAX) {
		uint32_t blocks = (uint32_t)((st->st_size + LAYER_BLOCK - 1) / LAYER_BLOCK);

		c = (struct layer_content){ .kind = LAYER_PACK, .device = 1, .block = x->blocks };
		FIXTURE_MUST(pwrite(x->pack, data, blocks * LAYER_BLOCK,
				    (off_t)x->blocks * LAYER_BLOCK) ==
			     (ssize_t)(blocks * LAYER_BLOCK));
		x->blocks += blocks;
	}
	FIXTURE_MUST(layer_node_set_content(n, &c) == 0);
	free(data);
}

static inline void index_of_xattrs(struct layer_node *n, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char list[1024], value[1024];
	ssize_t len = flistxattr(fd, list, sizeof(list)), got;

	FIXTURE_MUST(fd >= 0 && len >= 0);
	for (const char *x = list; x < list + len; x += strlen(x) + 1) {
		got = fgetxattr(fd, x, value, sizeof(value));
		FIXTURE_MUST(got >= 0 && layer_node_set_xattr(n, x, value, (size_t)got) == 0);
	}
	close(fd);
}

static inline struct layer_node *index_of_linked(struct index_of *x, const struct stat *st)
{
	for (size_t i = 0; i < x->nlinks; i++) {
		if (x->links[i].ino == st->st_ino)
			return x->links[i].node;
	}
	return NULL;
}

static inline void index_of_dir(struct index_of *x, struct layer_node *parent, int dir)
{
	DIR *d = fdopendir(dup(dir));
	struct dirent *e;

	FIXTURE_MUST(d);
	rewinddir(d);
	while ((e = readdir(d))) {
		struct layer_node *n;
		struct stat st;
		struct layer_attr a;
		size_t len = strlen(e->d_name);

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		FIXTURE_MUST(fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
		n = S_ISDIR(st.st_mode) || st.st_nlink < 2 ? NULL : index_of_linked(x, &st);
		if (n) {
			FIXTURE_MUST(layer_tree_link(x->tree, parent, e->d_name, len, n) == 0);
			continue;
		}
		a = (struct layer_attr){
			.mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid, .mtime = st.st_mtim
		};
		if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
			a.size = (uint64_t)st.st_size;
		FIXTURE_MUST(layer_tree_put(x->tree, parent, e->d_name, len, &a, &n) == 0);
		if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && x->nlinks < INDEX_OF_LINKS) {
			x->links[x->nlinks].ino = st.st_ino;
			x->links[x->nlinks++].node = n;
		}
		if (a.size)
			index_of_content(x, n, dir, e->d_name, &st);
		if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
			index_of_xattrs(n, dir, e->d_name);
		if (S_ISDIR(st.st_mode)) {
			int fd = openat(dir, e->d_name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			FIXTURE_MUST(fd >= 0);
			index_of_dir(x, n, fd);
			close(fd);
		}
	}
	closedir(d);
}

/* @index and @pack are empty files. */
static inline void index_of(int dir, int index, int pack)
{
	struct index_of *x = calloc(1, sizeof(*x));
	struct layer_device dev = { .blocks = 0 };

	FIXTURE_MUST(x && layer_tree_new(&x->tree) == 0);
	x->pack = pack;
	index_of_dir(x, layer_tree_root(x->tree), dir);
	if (!x->blocks) {
		FIXTURE_MUST(ftruncate(pack, LAYER_BLOCK) == 0);
		x->blocks = 1;
	}
	dev.blocks = x->blocks;
	FIXTURE_MUST(layer_tree_write(x->tree, &dev, 1, index) == 0);
	layer_tree_free(x->tree);
	free(x);
}

#endif
