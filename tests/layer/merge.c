/* SPDX-License-Identifier: Apache-2.0 */
/* What a merged stack shows, case by case. */
#include "tests/layer/help.h"

static struct layer_tree *new_tree(void)
{
	struct layer_tree *t = NULL;

	must(layer_tree_new(&t));
	return t;
}

/* Merges the trees, lowest first, and drops them. */
static struct layer_index *merge_trees(struct layer_tree **trees, size_t n)
{
	struct layer_index *stack[8], *x;

	for (size_t i = 0; i < n; i++)
		stack[i] = tree_index(trees[i], NULL, 0, NULL);
	x = merge_index(stack, n, NULL);
	for (size_t i = 0; i < n; i++)
		layer_index_close(stack[i]);
	return x;
}

static bool has_text(const struct layer_index *x, const char *path, const char *text)
{
	struct layer_content c;
	struct layer_attr a;
	uint64_t nid = index_at(x, path);

	if (!nid || layer_stat(x, nid, &a) < 0 || !S_ISREG(a.mode) || a.size != strlen(text))
		return false;
	must(layer_content(x, nid, &c));
	return a.size == 0 || (c.kind == LAYER_INLINE && !memcmp(c.data, text, a.size));
}

static uint32_t mode_at(const struct layer_index *x, const char *path)
{
	struct layer_attr a = { 0 };
	uint64_t nid = index_at(x, path);

	if (nid)
		must(layer_stat(x, nid, &a));
	return a.mode;
}

static int count_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	(void)name;
	(void)value;
	(void)len;
	++*(int *)ctx;
	return 0;
}

static int nxattrs(const struct layer_index *x, const char *path)
{
	int n = 0;

	must(layer_listxattr(x, index_at(x, path), count_xattr, &n));
	return n;
}

static void whiteouts(void **state)
{
	struct layer_tree *t[3] = { new_tree(), new_tree(), new_tree() };
	struct layer_index *x;

	(void)state;
	tree_dir(t[0], "d", 0755);
	tree_text(t[0], "d/a", "a0");
	tree_text(t[0], "d/b", "b0");
	tree_dir(t[0], "gone", 0755);
	tree_text(t[0], "gone/x", "x");
	tree_dir(t[1], "d", 0700);
	tree_whiteout(t[1], "d/a");
	tree_whiteout(t[1], "gone");
	tree_whiteout(t[1], "never");
	tree_dir(t[2], "gone", 0711);
	tree_text(t[2], "gone/y", "y");
	x = merge_trees(t, 3);
	assert_int_equal(index_at(x, "d/a"), 0);
	assert_true(has_text(x, "d/b", "b0"));
	assert_int_equal(index_at(x, "never"), 0);
	assert_int_equal(index_at(x, "gone/x"), 0);
	assert_true(has_text(x, "gone/y", "y"));
	assert_int_equal(mode_at(x, "d"), S_IFDIR | 0700);
	assert_int_equal(layer_index_ninodes(x), 5);
	layer_index_close(x);
}

static void opaque(void **state)
{
	struct layer_tree *t[2] = { new_tree(), new_tree() };
	struct layer_index *x;

	(void)state;
	tree_dir(t[0], "d", 0755);
	tree_text(t[0], "d/a", "a0");
	tree_dir(t[0], "d/sub", 0755);
	tree_text(t[0], "d/sub/b", "b0");
	tree_opaque(tree_dir(t[1], "d", 0750));
	tree_dir(t[1], "d/sub", 0700);
	tree_text(t[1], "d/c", "c1");
	x = merge_trees(t, 2);
	assert_int_equal(index_at(x, "d/a"), 0);
	assert_int_equal(index_at(x, "d/sub/b"), 0);
	assert_true(has_text(x, "d/c", "c1"));
	assert_false(layer_is_opaque(x, index_at(x, "d")));
	assert_int_equal(nxattrs(x, "d"), 0);
	layer_index_close(x);
}

static void opaque_root(void **state)
{
	struct layer_tree *t[2] = { new_tree(), new_tree() };
	struct layer_index *x;

	(void)state;
	tree_text(t[0], "a", "a0");
	tree_opaque(layer_tree_root(t[1]));
	tree_text(t[1], "b", "b1");
	x = merge_trees(t, 2);
	assert_int_equal(index_at(x, "a"), 0);
	assert_true(has_text(x, "b", "b1"));
	assert_int_equal(nxattrs(x, ""), 0);
	layer_index_close(x);
}

static void kinds_replace(void **state)
{
	struct layer_tree *t[3] = { new_tree(), new_tree(), new_tree() };
	struct layer_index *x;

	(void)state;
	tree_dir(t[0], "d", 0755);
	tree_text(t[0], "d/a", "a0");
	tree_text(t[0], "f", "f0");
	tree_symlink(t[0], "l", "d");
	tree_dir(t[0], "twice", 0755);
	tree_text(t[0], "twice/deep", "0");
	tree_text(t[1], "d", "a file now");
	tree_dir(t[1], "f", 0755);
	tree_text(t[1], "f/in", "in1");
	tree_text(t[1], "l", "no link now");
	tree_text(t[1], "twice", "file");
	tree_dir(t[2], "twice", 0755);
	tree_text(t[2], "twice/new", "2");
	x = merge_trees(t, 3);
	assert_true(has_text(x, "d", "a file now"));
	assert_true(has_text(x, "f/in", "in1"));
	assert_true(has_text(x, "l", "no link now"));
	assert_int_equal(index_at(x, "twice/deep"), 0);
	assert_true(has_text(x, "twice/new", "2"));
	layer_index_close(x);
}

static void implied_directories(void **state)
{
	struct layer_tree *t[2] = { new_tree(), new_tree() };
	struct layer_index *x;
	const void *value;
	size_t len;

	(void)state;
	layer_node_set_attr(layer_tree_root(t[0]), &(struct layer_attr){ .mode = S_IFDIR | 0555 });
	must(layer_node_set_xattr(tree_dir(t[0], "d", 0700), "user.of", "lower", 5));
	tree_text(t[0], "was", "a file");
	must(layer_node_set_implied(tree_dir(t[1], "d", 0755)));
	tree_text(t[1], "d/new", "1");
	must(layer_node_set_implied(tree_dir(t[1], "was", 0755)));
	must(layer_node_set_implied(tree_dir(t[1], "fresh", 0755)));
	assert_true(layer_node_is_implied(tree_at(t[1], "fresh")));
	assert_true(layer_node_is_implied(layer_tree_root(t[1])));
	must(layer_node_set_implied(tree_dir(t[1], "named", 0755)));
	assert_false(layer_node_is_implied(tree_dir(t[1], "named", 0711)));
	must_fail(layer_node_set_implied(tree_text(t[1], "file", "")), ENOTDIR);
	x = merge_trees(t, 2);
	assert_int_equal(mode_at(x, ""), S_IFDIR | 0555);
	assert_int_equal(mode_at(x, "d"), S_IFDIR | 0700);
	must(layer_getxattr(x, index_at(x, "d"), "user.of", &value, &len));
	assert_int_equal(nxattrs(x, "d"), 1);
	assert_true(has_text(x, "d/new", "1"));
	assert_int_equal(mode_at(x, "was"), S_IFDIR | 0755);
	assert_int_equal(mode_at(x, "fresh"), S_IFDIR | 0755);
	assert_int_equal(mode_at(x, "named"), S_IFDIR | 0711);
	assert_int_equal(nxattrs(x, "fresh"), 0);
	layer_index_close(x);
}

static void attributes_override(void **state)
{
	struct layer_attr a = { .mode = S_IFDIR | 0700, .uid = 5, .gid = 6, .mtime = { 7, 8 } },
			  got;
	struct layer_tree *t[2] = { new_tree(), new_tree() };
	struct layer_index *x;

	(void)state;
	must(layer_node_set_xattr(tree_dir(t[0], "d", 0755), "user.lower", "", 0));
	tree_text(t[0], "d/kept", "kept");
	must(layer_node_set_xattr(tree_put(t[1], "d", &a), "user.upper", "", 0));
	x = merge_trees(t, 2);
	must(layer_stat(x, index_at(x, "d"), &got));
	a.nlink = 2;
	a.size = got.size;
	assert_memory_equal(&got, &a, sizeof(a));
	assert_int_equal(nxattrs(x, "d"), 1);
	assert_true(has_text(x, "d/kept", "kept"));
	layer_index_close(x);
}

static void links_within(void **state)
{
	struct layer_tree *t[2] = { new_tree(), new_tree() };
	struct layer_index *x;
	struct layer_attr a;

	(void)state;
	tree_text(t[0], "a", "one");
	tree_link(t[0], "b", "a");
	tree_link(t[0], "c", "a");
	tree_text(t[1], "b", "two");
	x = merge_trees(t, 2);
	assert_int_equal(index_at(x, "a"), index_at(x, "c"));
	must(layer_stat(x, index_at(x, "a"), &a));
	assert_int_equal(a.nlink, 2);
	assert_true(has_text(x, "b", "two"));
	layer_index_close(x);
}

/* A link means the lower's file as it was, whatever its own layer makes of that name. */
static void links_across(void **state)
{
	struct layer_tree *t[3] = { new_tree(), new_tree(), new_tree() };
	struct layer_index *x;
	struct layer_attr a;

	(void)state;
	tree_dir(t[0], "bin", 0755);
	must(layer_node_set_xattr(tree_text(t[0], "bin/tool", "tool"), "user.of", "x", 1));
	tree_text(t[0], "bin/lost", "lost");
	tree_text(t[0], "bin/over", "old");
	tree_text(t[1], "z", "z1");
	tree_link_lower(t[2], "tool", "bin/tool");
	tree_link(t[2], "again", "tool");
	tree_link_lower(t[2], "zz", "z");
	tree_link_lower(t[2], "found", "bin/lost");
	tree_link_lower(t[2], "kept", "bin/over");
	must(layer_node_set_implied(tree_dir(t[2], "bin", 0755)));
	tree_whiteout(t[2], "bin/lost");
	tree_text(t[2], "bin/over", "new");
	x = merge_trees(t, 3);
	assert_true(has_text(x, "tool", "tool"));
	assert_int_equal(index_at(x, "tool"), index_at(x, "bin/tool"));
	assert_int_equal(index_at(x, "tool"), index_at(x, "again"));
	must(layer_stat(x, index_at(x, "tool"), &a));
	assert_int_equal(a.nlink, 3);
	assert_int_equal(nxattrs(x, "tool"), 1);
	assert_int_equal(index_at(x, "zz"), index_at(x, "z"));
	assert_true(has_text(x, "found", "lost"));
	assert_int_equal(index_at(x, "bin/lost"), 0);
	assert_true(has_text(x, "kept", "old"));
	assert_true(has_text(x, "bin/over", "new"));
	assert_int_equal(nxattrs(x, ""), 0);
	layer_index_close(x);
}

static void links_to_nothing(void **state)
{
	static const char *const targets[] = { "none", "dir", "file/below", "dir/none" };
	struct layer_index *stack[2];
	struct layer_tree *t;
	_close_ int fd = fd_memfd("merged", NULL, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		t = new_tree();
		tree_dir(t, "dir", 0755);
		tree_text(t, "file", "");
		stack[0] = tree_index(t, NULL, 0, NULL);
		t = new_tree();
		tree_link_lower(t, "link", targets[i]);
		stack[1] = tree_index(t, NULL, 0, NULL);
		must_fail(layer_merge(stack, 2, fd), EBADMSG);
		must_fail(layer_merge(stack + 1, 1, fd), EBADMSG);
		layer_index_close(stack[0]);
		layer_index_close(stack[1]);
	}
	t = new_tree();
	must_fail(layer_tree_link_lower(t, layer_tree_root(t), "l", 1, "/a", 2), EINVAL);
	must_fail(layer_tree_link_lower(t, layer_tree_root(t), "l", 1, "a//b", 4), EINVAL);
	must_fail(layer_tree_link_lower(t, layer_tree_root(t), "l", 1, "a/", 2), EINVAL);
	must_fail(layer_tree_link_lower(t, layer_tree_root(t), "l", 1, "a/../b", 6), EINVAL);
	must_fail(layer_tree_link_lower(t, layer_tree_root(t), "l", 1, ".", 1), EINVAL);
	must_fail(layer_tree_link_lower(t, layer_tree_root(t), "l", 1, "", 0), EINVAL);
	layer_tree_free(t);
}

/* A layer whose one file lies in its pack, the @number-th. */
static struct layer_index *packed_layer(int number, uint32_t blocks)
{
	struct layer_device d = { sha256_of(&number, sizeof(number)), blocks };
	struct layer_content c = { .kind = LAYER_PACK,
				   .device = 1,
				   .block = (uint32_t)number % blocks };
	struct layer_attr a = { .mode = S_IFREG | 0644, .size = 5 };
	struct layer_tree *t = new_tree();
	char name[16];

	snprintf(name, sizeof(name), "f%03d", number);
	must(layer_node_set_content(tree_put(t, name, &a), &c));
	return tree_index(t, &d, 1, NULL);
}

static void devices(void **state)
{
	static struct layer_index *stack[LAYER_DEVICES_MAX + 1];
	struct layer_index *x, *again;
	struct layer_content c;
	_close_ int fd = fd_memfd("merged", NULL, 0);
	char name[16];

	(void)state;
	for (int i = 0; i <= (int)LAYER_DEVICES_MAX; i++)
		stack[i] = packed_layer(i / 2, 300);
	x = merge_index(stack, LAYER_DEVICES_MAX, NULL);
	assert_int_equal(layer_index_ndevices(x), LAYER_DEVICES_MAX / 2);
	for (int i = 0; i < (int)LAYER_DEVICES_MAX / 2; i++) {
		snprintf(name, sizeof(name), "f%03d", i);
		must(layer_content(x, index_at(x, name), &c));
		assert_int_equal(c.device, i + 1);
		assert_int_equal(c.block, i);
	}
	again = merge_index((struct layer_index *[]){ stack[9], x, stack[0] }, 3, NULL);
	must(layer_content(again, index_at(again, "f004"), &c));
	assert_int_equal(c.device, 1);
	must(layer_content(again, index_at(again, "f000"), &c));
	assert_int_equal(c.device, 2);
	layer_index_close(again);
	for (int i = 0; i <= (int)LAYER_DEVICES_MAX; i++) {
		layer_index_close(stack[i]);
		stack[i] = packed_layer(i, 600);
	}
	must_fail(layer_merge(stack, LAYER_DEVICES_MAX + 1, fd), E2BIG);
	must_fail(layer_merge((struct layer_index *[]){ x, stack[0] }, 2, fd), EBADMSG);
	layer_index_close(x);
	x = merge_index(stack, LAYER_DEVICES_MAX, NULL);
	assert_int_equal(layer_index_ndevices(x), LAYER_DEVICES_MAX);
	layer_index_close(x);
	for (int i = 0; i <= (int)LAYER_DEVICES_MAX; i++)
		layer_index_close(stack[i]);
}

static void objects(void **state)
{
	struct layer_content object = { .kind = LAYER_OBJECT, .digest = sha256_of("o", 1) }, c;
	struct layer_attr a = { .mode = S_IFREG | 0644, .size = 1u << 20 };
	struct layer_tree *t[2] = { new_tree(), new_tree() };
	struct layer_index *x;

	(void)state;
	must(layer_node_set_content(tree_put(t[0], "o", &a), &object));
	must(layer_node_set_xattr(tree_at(t[0], "o"), "user.a", "b", 1));
	x = merge_trees(t, 2);
	must(layer_content(x, index_at(x, "o"), &c));
	assert_int_equal(c.kind, LAYER_OBJECT);
	assert_true(digest_eq(&c.digest, &object.digest));
	assert_int_equal(nxattrs(x, "o"), 3);
	layer_index_close(x);
}

/* One layer, and the merge of a merge, change nothing but what is a layer's alone. */
static void merge_is_stable(void **state)
{
	struct layer_tree *t = new_tree();
	struct layer_index *x, *once, *twice;
	int fd[2];
	struct digest d[2];

	(void)state;
	tree_dir(t, "d", 0755);
	tree_text(t, "d/a", "a");
	tree_link(t, "b", "d/a");
	tree_symlink(t, "l", "b");
	tree_whiteout(t, "w");
	must(layer_node_set_implied(tree_dir(t, "i", 0755)));
	x = tree_index(t, NULL, 0, NULL);
	once = merge_index(&x, 1, &fd[0]);
	twice = merge_index((struct layer_index *[]){ once, x }, 2, &fd[1]);
	for (int i = 0; i < 2; i++) {
		must(sha256_of_fd(fd[i], 0, &d[i], NULL));
		close(fd[i]);
	}
	assert_true(digest_eq(&d[0], &d[1]));
	assert_int_equal(index_at(once, "w"), 0);
	layer_index_close(once);
	layer_index_close(twice);
	layer_index_close(x);
	must_fail(layer_merge(NULL, 0, -1), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whiteouts),
		cmocka_unit_test(opaque),
		cmocka_unit_test(opaque_root),
		cmocka_unit_test(kinds_replace),
		cmocka_unit_test(implied_directories),
		cmocka_unit_test(attributes_override),
		cmocka_unit_test(links_within),
		cmocka_unit_test(links_across),
		cmocka_unit_test(links_to_nothing),
		cmocka_unit_test(devices),
		cmocka_unit_test(objects),
		cmocka_unit_test(merge_is_stable),
	};

	return run_units(tests);
}
