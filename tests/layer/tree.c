/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree refuses, and what replacing does to it. */
#include "tests/layer/help.h"

static struct layer_tree *tree;
static struct layer_node *root;

static int setup(void **state)
{
	(void)state;
	must(layer_tree_new(&tree));
	root = layer_tree_root(tree);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	layer_tree_free(tree);
	err_clear();
	return 0;
}

static int put(const char *name, size_t len, struct layer_attr a)
{
	struct layer_node *n;

	return layer_tree_put(tree, root, name, len, &a, &n);
}

static void names(void **state)
{
	static char name[256];
	struct layer_attr a = { .mode = S_IFREG };

	(void)state;
	memset(name, 'n', sizeof(name));
	must_fail(put("", 0, a), EINVAL);
	must_fail(put(".", 1, a), EINVAL);
	must_fail(put("..", 2, a), EINVAL);
	must_fail(put("a/b", 3, a), EINVAL);
	must_fail(put("a\0b", 3, a), EINVAL);
	must_fail(put(name, 256, a), ENAMETOOLONG);
	assert_int_equal(layer_tree_count(tree), 1);
	assert_ok(put(name, 255, a));
	assert_ok(put("...", 3, a));
	assert_ok(put("\xff\n", 2, a));
	assert_int_equal(layer_tree_count(tree), 4);
	root = tree_at(tree, "...");
	must_fail(put("below", 5, a), ENOTDIR);
}

static void attributes(void **state)
{
	struct layer_attr a = { .mode = S_IFREG | 0644, .size = 4 };
	struct layer_node *n;

	(void)state;
	must_fail(put("a", 1, (struct layer_attr){ .mode = 0644 }), EINVAL);
	must_fail(put("a", 1, (struct layer_attr){ .mode = S_IFREG | 1u << 16 }), EINVAL);
	must_fail(put("a", 1, (struct layer_attr){ .mode = S_IFREG, .mtime = { 0, -1 } }), EINVAL);
	must_fail(put("a", 1, (struct layer_attr){ .mode = S_IFREG, .mtime = { 0, 1000000000 } }),
		  EINVAL);
	must_fail(put("a", 1, (struct layer_attr){ .mode = S_IFREG, .size = LAYER_SIZE_MAX + 1 }),
		  EFBIG);
	must_fail(put("a", 1, (struct layer_attr){ .mode = S_IFLNK, .size = 4096 }), EINVAL);
	must_fail(put("a", 1, (struct layer_attr){ .mode = S_IFLNK }), EINVAL);
	must_fail(put("a", 1, (struct layer_attr){ .mode = S_IFCHR, .rdev = makedev(4096, 0) }),
		  EINVAL);
	n = tree_text(tree, "a", "four");
	must(layer_node_set_attr(n, &a));
	a.size = 5;
	must_fail(layer_node_set_attr(n, &a), EINVAL);
	a = (struct layer_attr){ .mode = S_IFDIR };
	must_fail(layer_node_set_attr(n, &a), EINVAL);
	assert_int_equal(layer_node_attr(n)->size, 4);
}

static void contents(void **state)
{
	struct layer_content c = { .kind = LAYER_PACK };
	struct layer_attr large = { .mode = S_IFREG, .size = LAYER_BLOCK + 1 };
	struct layer_device device = { .blocks = 3 };
	_close_ int fd = fd_memfd("index", NULL, 0);
	struct layer_node *n;

	(void)state;
	n = tree_put(tree, "large", &large);
	must_fail(layer_node_set_content(n, &c), EINVAL);
	must_fail(layer_node_set_content(root, &c), EINVAL);
	c = (struct layer_content){ .kind = LAYER_INLINE, .data = "x" };
	must_fail(layer_node_set_content(n, &c), EFBIG);
	for (uint32_t block = 1; block < 4; block++) {
		c = (struct layer_content){ .kind = LAYER_PACK, .device = 1, .block = block };
		assert_ok(layer_node_set_content(n, &c));
		if (block == 1)
			must(layer_tree_write(tree, &device, 1, fd));
		else
			must_fail(layer_tree_write(tree, &device, 1, fd), EINVAL);
	}
	must_fail(layer_tree_write(tree, NULL, 0, fd), EINVAL);
	must(layer_tree_remove(tree, root, "large", 5));
	n = tree_put(tree, "l", &(struct layer_attr){ .mode = S_IFLNK | 0777, .size = 1 });
	must_fail(layer_tree_write(tree, NULL, 0, fd), EINVAL);
	must_fail(layer_node_set_content(n, &c), EINVAL);
	must_fail(layer_tree_write(tree, &device, LAYER_DEVICES_MAX + 1, fd), E2BIG);
}

static void replacing(void **state)
{
	struct layer_attr file = { .mode = S_IFREG }, dir = { .mode = S_IFDIR | 0700 };
	struct layer_node *d, *n;

	(void)state;
	d = tree_dir(tree, "d", 0755);
	tree_dir(tree, "d/sub", 0755);
	tree_text(tree, "d/sub/a", "a");
	tree_link(tree, "b", "d/sub/a");
	tree_opaque(d);
	must(layer_node_set_xattr(d, "user.a", "", 0));
	assert_int_equal(layer_tree_count(tree), 4);
	must(layer_tree_put(tree, root, "d", 1, &dir, &n));
	assert_ptr_equal(n, d);
	assert_non_null(tree_at(tree, "d/sub/a"));
	must(layer_tree_put(tree, root, "d", 1, &file, &n));
	assert_null(tree_at(tree, "d/sub"));
	assert_int_equal(layer_tree_count(tree), 3);
	must(layer_tree_put(tree, root, "b", 1, &dir, &n));
	assert_int_equal(layer_tree_count(tree), 3);
	must_fail(layer_tree_remove(tree, root, "c", 1), ENOENT);
	must(layer_tree_remove(tree, root, "b", 1));
	assert_int_equal(layer_tree_count(tree), 2);
}

static void linking(void **state)
{
	struct layer_node *a, *d;

	(void)state;
	a = tree_text(tree, "a", "a");
	d = tree_dir(tree, "d", 0755);
	tree_text(tree, "b", "b");
	must_fail(layer_tree_link(tree, root, "c", 1, d), EPERM);
	must(layer_tree_link(tree, root, "a", 1, a));
	must(layer_tree_link(tree, root, "b", 1, a));
	assert_ptr_equal(tree_at(tree, "b"), a);
	assert_int_equal(layer_tree_count(tree), 3);
	/* The directory that goes holds the file's other name. */
	must(layer_tree_link(tree, d, "a", 1, a));
	must(layer_tree_remove(tree, root, "b", 1));
	must(layer_tree_remove(tree, root, "a", 1));
	must(layer_tree_link(tree, root, "d", 1, a));
	assert_int_equal(layer_tree_count(tree), 2);
	assert_ptr_equal(tree_at(tree, "d"), a);
}

static void full_disk(void **state)
{
	_close_ int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)state;
	if (fd < 0)
		skip_because("no /dev/full");
	tree_text(tree, "a", "a");
	assert_int_equal(layer_tree_write(tree, NULL, 0, fd), -ENOSPC);
	assert_non_null(strstr(err_text(), "index"));
}

/* A file that replaces a link to a lower one is no link, and the root does not announce one. */
static void lower_links(void **state)
{
	struct layer_attr file = { .mode = S_IFREG };
	struct layer_node *n;
	struct layer_index *x;
	const void *value;
	size_t len;

	(void)state;
	tree_link_lower(tree, "a", "x/y");
	tree_link_lower(tree, "a", "x/z");
	must(layer_tree_put(tree, root, "a", 1, &file, &n));
	tree_link_lower(tree, "b", "x/y");
	must_fail(layer_node_set_content(tree_at(tree, "b"),
					 &(struct layer_content){ .kind = LAYER_EMPTY }),
		  EINVAL);
	must(layer_tree_remove(tree, root, "b", 1));
	x = tree_index(take_ptr(tree), NULL, 0, NULL);
	assert_int_equal(layer_getxattr(x, LAYER_ROOT_NID, "trusted.strata.links", &value, &len),
			 -ENODATA);
	assert_int_equal(layer_getxattr(x, index_at(x, "a"), "trusted.strata.link", &value, &len),
			 -ENODATA);
	layer_index_close(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(contents, setup, teardown),
		cmocka_unit_test_setup_teardown(replacing, setup, teardown),
		cmocka_unit_test_setup_teardown(linking, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(lower_links, setup, teardown),
	};

	return run_units(tests);
}
