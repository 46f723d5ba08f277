/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged images: nothing crashes, and the check finds what is no longer sound. CORPUS=folder
 * writes the fuzzer's seeds.
 */
#include "layer/erofs.h"
#include "tests/layer/help.h"
#include "tests/layer/walk.h"

struct image {
	char *data;
	size_t size;
};

/* A tree whose root is named, so that no xattr stands between its inode and its entries. */
static struct layer_tree *new_tree(void)
{
	struct layer_attr root = { .mode = S_IFDIR | 0755 };
	struct layer_tree *t = NULL;

	must(layer_tree_new(&t));
	must(layer_node_set_attr(layer_tree_root(t), &root));
	return t;
}

static struct layer_tree *sample(void)
{
	struct layer_attr a = { .mode = S_IFREG | 0644, .size = 5000 };
	struct layer_content pack = { .kind = LAYER_PACK, .device = 2, .block = 1 };
	struct layer_content object = { .kind = LAYER_OBJECT, .digest = sha256_of("o", 1) };
	struct layer_tree *t = new_tree();
	char name[64];

	tree_dir(t, "dir", 0755);
	tree_dir(t, "dir/sub", 0755);
	tree_text(t, "dir/sub/file", "inline");
	tree_link(t, "linked", "dir/sub/file");
	tree_symlink(t, "link", "dir/sub");
	must(layer_node_set_content(tree_put(t, "packed", &a), &pack));
	must(layer_node_set_content(tree_put(t, "object", &a), &object));
	must(layer_node_set_xattr(tree_at(t, "packed"), "user.a", "1", 1));
	must(layer_node_set_xattr(tree_at(t, "packed"), "user.b", "2", 1));
	/* So the bit of the superblock that says there is none matters. */
	must(layer_node_set_xattr(tree_at(t, "packed"), "system.posix_acl_access", "3", 1));
	tree_dev(t, "null", S_IFCHR | 0666, makedev(1, 3));
	tree_whiteout(t, "gone");
	tree_opaque(tree_at(t, "dir"));
	tree_dir(t, "large", 0755);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "large/%030d", i);
		tree_text(t, name, "");
	}
	return t;
}

static struct image to_image(struct layer_tree *t)
{
	struct layer_device devices[2] = { { sha256_of("a", 1), 7 }, { sha256_of("b", 1), 3 } };
	_close_ int fd = fd_memfd("image", NULL, 0);
	struct image m;

	must(layer_tree_write(t, devices, 2, fd));
	layer_tree_free(t);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	must(fd_read_all(fd, 1u << 24, &m.data, &m.size));
	assert_ok(walk_image(m.data, m.size));
	return m;
}

static void truncated(void **state)
{
	struct image m = to_image(sample());

	(void)state;
	for (size_t size = 0; size < m.size; size += size % LAYER_BLOCK ? 997 : 1)
		assert_int_not_equal(walk_image(m.data, size), 0);
	for (size_t size = 0; size < m.size; size += LAYER_BLOCK) {
		struct erofs_super *s = (struct erofs_super *)(m.data + EROFS_SUPER_OFFSET);

		s->blocks = (uint32_t)(size / LAYER_BLOCK);
		assert_int_equal(walk_image(m.data, size), -EBADMSG);
	}
	free(m.data);
}

/* One to four bits anywhere: the reader answers something and comes back. */
static void flipped(void **state)
{
	struct image m = to_image(sample());
	uint64_t seed = 88172645463325252u;
	int found = 0;

	(void)state;
	for (int i = 0; i < 6000; i++) {
		size_t bit[4], n = 1 + (size_t)i % 4;

		for (size_t k = 0; k < n; k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bit[k] = (seed >> 8) % ((i % 8 ? 12288 : m.size) * 8);
			m.data[bit[k] / 8] ^= (char)(1 << bit[k] % 8);
		}
		found += walk_image(m.data, m.size) < 0;
		while (n--)
			m.data[bit[n] / 8] ^= (char)(1 << bit[n] % 8);
	}
	assert_ok(walk_image(m.data, m.size));
	assert_true(found > 1000);
	free(m.data);
}

/* Every bit of @len bytes at @off matters. */
static void each_bit_matters(struct image *m, size_t off, size_t len)
{
	for (size_t bit = off * 8; bit < (off + len) * 8; bit++) {
		m->data[bit / 8] ^= (char)(1 << bit % 8);
		if (walk_image(m->data, m->size) == 0)
			fail_msg("byte %zu, bit %zu: not found", bit / 8, bit % 8);
		m->data[bit / 8] ^= (char)(1 << bit % 8);
	}
}

static size_t offset_of(const struct image *m, const char *path)
{
	_close_ int fd = fd_memfd("image", m->data, m->size);
	struct layer_index *x;
	uint64_t nid;

	must(layer_index_open(fd, &x));
	nid = index_at(x, path);
	layer_index_close(x);
	assert_true(nid > 0);
	return LAYER_BLOCK + nid * 32;
}

static void found_by_check(void **state)
{
	static const char *const paths[] = { "",     "dir",    "dir/sub", "dir/sub/file",
					     "link", "packed", "object",  "large" };
	struct image m = to_image(sample());

	(void)state;
	each_bit_matters(&m, EROFS_SUPER_OFFSET, sizeof(struct erofs_super));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		size_t off = offset_of(&m, paths[i]);

		each_bit_matters(&m, off + offsetof(struct erofs_inode, format), 2);
		each_bit_matters(&m, off + offsetof(struct erofs_inode, reserved), 2);
		each_bit_matters(&m, off + offsetof(struct erofs_inode, nlink), 4);
	}
	/*
	 * Entries of the root: node and type. (Where a name ends may move unseen, when the order
	 * still holds.)
	 */
	for (size_t k = 0; k < 9; k++) {
		each_bit_matters(&m, offset_of(&m, "") + 64 + 12 * k, 8);
		each_bit_matters(&m, offset_of(&m, "") + 64 + 12 * k + 10, 1);
	}
	/* Entries of a directory in a block of its own. */
	each_bit_matters(&m, offset_of(&m, "large") + offsetof(struct erofs_inode, u), 4);
	/*
	 * Device and block of what lies in a pack; the device may become the other one, which is
	 * shorter by then.
	 */
	each_bit_matters(&m, (offset_of(&m, "packed") + 64 + 12 + 8 + 8 + 8 + 7) / 8 * 8 + 3, 1);
	each_bit_matters(&m, (offset_of(&m, "packed") + 64 + 12 + 8 + 8 + 8 + 7) / 8 * 8 + 5, 3);
	free(m.data);
}

/* Names in no order, twice the same, or with what no name may have. */
static void names(void **state)
{
	static const char bad[][3] = { "ac", "a/", "a\0", "ab" };
	struct layer_tree *t;
	struct image m;
	char *at;

	(void)state;
	must(layer_tree_new(&t));
	tree_text(t, "aa", "");
	tree_text(t, "ab", "");
	m = to_image(t);
	at = memmem(m.data + LAYER_BLOCK, LAYER_BLOCK, "aaab", 4);
	assert_non_null(at);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(at, bad[i], 2);
		assert_int_equal(walk_image(m.data, m.size), -EBADMSG);
	}
	free(m.data);
}

/* Directories that hold themselves end somewhere, for a merge too. */
static void circles(void **state)
{
	struct layer_tree *t = new_tree();
	struct image m;
	struct erofs_dirent e;
	size_t off;

	(void)state;
	tree_dir(t, "x", 0755);
	tree_dir(t, "y", 0755);
	m = to_image(t);
	off = offset_of(&m, "") + 64;
	for (int k = 2; k < 4; k++) {
		memcpy(&e, m.data + off + 12 * k, sizeof(e));
		e.nid = LAYER_ROOT_NID;
		memcpy(m.data + off + 12 * k, &e, sizeof(e));
	}
	assert_int_equal(walk_image(m.data, m.size), -EBADMSG);
	free(m.data);
}

/*
 * An image, and its metadata alone with the number of inodes in front, as tests/fuzz/index.c has
 * it.
 */
static void write_seed(int dirfd, const char *name, struct image m)
{
	_free_ char *metadata = str_fmt("%s-metadata", name);
	const struct erofs_super *s = (const struct erofs_super *)(m.data + EROFS_SUPER_OFFSET);
	uint16_t inos = (uint16_t)s->inos;

	assert_ok(file_replace(dirfd, name, m.data, m.size, 0644, false));
	memcpy(m.data + LAYER_BLOCK, &inos, sizeof(inos));
	assert_ok(file_replace(dirfd, metadata, m.data + LAYER_BLOCK, m.size - LAYER_BLOCK, 0644,
			       false));
	free(m.data);
}

static void write_seeds(const char *folder)
{
	_close_ int dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct layer_tree *t;

	assert_true(dirfd >= 0);
	must(layer_tree_new(&t));
	write_seed(dirfd, "empty", to_image(t));
	must(layer_tree_new(&t));
	tree_text(t, "file", "text");
	tree_dir(t, "dir", 0755);
	tree_symlink(t, "dir/link", "../file");
	tree_link_lower(t, "lower", "file");
	must(layer_node_set_implied(tree_dir(t, "implied", 0755)));
	write_seed(dirfd, "implied", to_image(t));
	write_seed(dirfd, "sample", to_image(sample()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated),	  cmocka_unit_test(flipped),
		cmocka_unit_test(found_by_check), cmocka_unit_test(names),
		cmocka_unit_test(circles),
	};

	if (getenv("CORPUS"))
		write_seeds(getenv("CORPUS"));
	return run_units(tests);
}
