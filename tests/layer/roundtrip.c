/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is what is read, and fsck.erofs takes it. */
#include "tests/layer/help.h"

#define MTIME 1700000000

static struct layer_tree *new_tree(void)
{
	struct layer_tree *t = NULL;

	must(layer_tree_new(&t));
	return t;
}

static void empty_tree(void **state)
{
	int fd;
	struct layer_index *x = tree_index(new_tree(), NULL, 0, &fd);
	struct layer_attr a;
	struct layer_dirent e;
	uint64_t nid;

	(void)state;
	must(layer_stat(x, LAYER_ROOT_NID, &a));
	assert_int_equal(a.mode, S_IFDIR | 0755);
	assert_int_equal(a.nlink, 2);
	assert_int_equal(layer_index_ninodes(x), 1);
	assert_int_equal(layer_index_ndevices(x), 0);
	assert_int_equal(layer_index_size(x), 2 * LAYER_BLOCK);
	assert_int_equal(layer_readdir(x, LAYER_ROOT_NID, 0, &e), 1);
	assert_int_equal(e.namelen, 1);
	assert_int_equal(layer_readdir(x, LAYER_ROOT_NID, e.next, &e), 1);
	assert_int_equal(e.namelen, 2);
	assert_int_equal(layer_readdir(x, LAYER_ROOT_NID, e.next, &e), 0);
	assert_int_equal(layer_lookup(x, LAYER_ROOT_NID, "a", 1, &nid), -ENOENT);
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

static void attributes(void **state)
{
	struct layer_attr want = { .mode = S_IFREG | 06751,
				   .uid = 4294967294u,
				   .gid = 70000,
				   .size = 3,
				   .mtime = { MTIME, 123456789 } },
			  old = { .mode = S_IFREG, .mtime = { -86400, 999999999 } }, got;
	struct layer_content c = { .kind = LAYER_INLINE, .data = "abc" };
	struct layer_tree *t = new_tree();
	struct layer_index *x;
	int fd;

	(void)state;
	must(layer_node_set_content(tree_put(t, "f", &want), &c));
	tree_put(t, "old", &old);
	tree_dev(t, "disk", S_IFBLK | 0660, makedev(259, 70000));
	tree_dev(t, "null", S_IFCHR | 0666, makedev(1, 3));
	tree_dev(t, "gone", S_IFCHR, 0);
	tree_dev(t, "fifo", S_IFIFO | 0600, makedev(1, 1));
	tree_dev(t, "sock", S_IFSOCK | 0755, 0);
	x = tree_index(t, NULL, 0, &fd);
	must(layer_stat(x, index_at(x, "f"), &got));
	want.nlink = 1;
	assert_memory_equal(&got, &want, sizeof(got));
	must(layer_stat(x, index_at(x, "old"), &got));
	assert_int_equal(got.mtime.tv_sec, -86400);
	must(layer_stat(x, index_at(x, "disk"), &got));
	assert_int_equal(got.rdev, makedev(259, 70000));
	assert_false(layer_is_whiteout(&got));
	must(layer_stat(x, index_at(x, "fifo"), &got));
	assert_int_equal(got.rdev, 0);
	must(layer_stat(x, index_at(x, "gone"), &got));
	assert_true(layer_is_whiteout(&got));
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

/*
 * Each length at which something changes: nothing, one byte, what just fits beside its inode, and
 * one more.
 */
static void inline_contents(void **state)
{
	static const size_t sizes[] = { 0,    1,    31,	  32,	33,   1023, 1024,
					4000, 4031, 4032, 4033, 4095, 4096 };
	uint8_t data[LAYER_BLOCK];
	struct layer_tree *t = new_tree();
	struct layer_content c;
	struct layer_index *x;
	struct layer_attr a;
	char name[32];
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256 + 1);
	for (size_t k = 0; k < 40; k++) {
		snprintf(name, sizeof(name), "f%02zu", k);
		tree_file(t, name, data, sizes[k % ARRAY_SIZE(sizes)]);
	}
	x = tree_index(t, NULL, 0, &fd);
	for (size_t k = 0; k < 40; k++) {
		size_t size = sizes[k % ARRAY_SIZE(sizes)];

		snprintf(name, sizeof(name), "f%02zu", k);
		must(layer_stat(x, index_at(x, name), &a));
		assert_int_equal(a.size, size);
		must(layer_content(x, index_at(x, name), &c));
		assert_int_equal(c.kind, size ? LAYER_INLINE : LAYER_EMPTY);
		if (size)
			assert_memory_equal(c.data, data, size);
	}
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

static void packs_objects_holes(void **state)
{
	struct layer_device devices[2] = { { sha256_of("a", 1), 20 }, { sha256_of("b", 1), 5 } };
	struct layer_attr a = { .mode = S_IFREG | 0644, .size = 65536 };
	struct layer_content pack = { .kind = LAYER_PACK, .device = 1, .block = 4 }, c;
	struct layer_content object = { .kind = LAYER_OBJECT, .digest = sha256_of("c", 1) };
	struct layer_tree *t = new_tree();
	struct layer_index *x;
	const void *value;
	size_t len;
	int fd, packs[2] = { fd_memfd("a", NULL, 0), fd_memfd("b", NULL, 0) };

	(void)state;
	assert_ok(ftruncate(packs[0], 20 * LAYER_BLOCK));
	assert_ok(ftruncate(packs[1], 5 * LAYER_BLOCK));
	must(layer_node_set_content(tree_put(t, "pack1", &a), &pack));
	pack = (struct layer_content){ .kind = LAYER_PACK, .device = 2, .block = 4 };
	a.size = 1;
	must(layer_node_set_content(tree_put(t, "pack2", &a), &pack));
	a.size = 5ull << 30;
	must(layer_node_set_content(tree_put(t, "object", &a), &object));
	a.size = LAYER_SIZE_MAX;
	tree_put(t, "hole", &a);
	x = tree_index(t, devices, 2, &fd);
	assert_int_equal(layer_index_ndevices(x), 2);
	assert_memory_equal(layer_index_device(x, 1), &devices[1], sizeof(devices[1]));
	assert_null(layer_index_device(x, 2));
	must(layer_content(x, index_at(x, "pack1"), &c));
	assert_int_equal(c.kind, LAYER_PACK);
	assert_int_equal(c.device, 1);
	assert_int_equal(c.block, 4);
	must(layer_content(x, index_at(x, "pack2"), &c));
	assert_int_equal(c.device, 2);
	must(layer_content(x, index_at(x, "object"), &c));
	assert_int_equal(c.kind, LAYER_OBJECT);
	assert_true(digest_eq(&c.digest, &object.digest));
	must(layer_getxattr(x, index_at(x, "object"), "trusted.overlay.redirect", &value, &len));
	assert_int_equal(len, 68);
	must(layer_content(x, index_at(x, "hole"), &c));
	assert_int_equal(c.kind, LAYER_EMPTY);
	must(layer_stat(x, index_at(x, "hole"), &a));
	assert_true(a.size == LAYER_SIZE_MAX);
	fsck_image(fd, packs, 2);
	layer_index_close(x);
	close(fd);
	close(packs[0]);
	close(packs[1]);
}

static void hard_links(void **state)
{
	struct layer_tree *t = new_tree();
	struct layer_index *x;
	struct layer_attr a;

	(void)state;
	tree_dir(t, "d", 0755);
	tree_text(t, "d/a", "one");
	tree_link(t, "b", "d/a");
	tree_link(t, "d/c", "b");
	tree_text(t, "x", "two");
	tree_link(t, "y", "x");
	must(layer_tree_remove(t, layer_tree_root(t), "x", 1));
	assert_int_equal(layer_tree_count(t), 4);
	x = tree_index(t, NULL, 0, NULL);
	assert_int_equal(index_at(x, "b"), index_at(x, "d/a"));
	assert_int_equal(index_at(x, "b"), index_at(x, "d/c"));
	must(layer_stat(x, index_at(x, "b"), &a));
	assert_int_equal(a.nlink, 3);
	must(layer_stat(x, index_at(x, "y"), &a));
	assert_int_equal(a.nlink, 1);
	assert_int_equal(index_at(x, "x"), 0);
	layer_index_close(x);
}

static void xattrs(void **state)
{
	static uint8_t big[65000];
	static const char *const names[] = { "user.a", "user.b", "security.capability",
					     "system.posix_acl_access", "trusted.other" };
	struct layer_tree *t = new_tree();
	struct layer_index *x;
	const void *value;
	size_t len;
	int fd;

	(void)state;
	memset(big, 'x', sizeof(big));
	tree_text(t, "small", "content");
	tree_text(t, "large", "content");
	tree_symlink(t, "link", "small");
	tree_dir(t, "dir", 0755);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		must(layer_node_set_xattr(tree_at(t, "small"), names[i], names[i],
					  strlen(names[i])));
	must(layer_node_set_xattr(tree_at(t, "small"), "user.a", "again", 5));
	must(layer_node_set_xattr(tree_at(t, "large"), "user.big", big, sizeof(big)));
	must(layer_node_set_xattr(tree_at(t, "link"), "trusted.big", big, 8000));
	must(layer_node_set_xattr(tree_at(t, "dir"), "user.big", big, 4000));
	must(layer_node_set_xattr(tree_at(t, ""), "user.big", big, 4100));
	must(layer_node_set_xattr(tree_at(t, ""), "user.none", "", 0));
	must_fail(layer_node_set_xattr(tree_at(t, "large"), "user.more", big, 1000), E2BIG);
	must_fail(layer_node_set_xattr(tree_at(t, "small"), "other.name", "", 0), EOPNOTSUPP);
	must_fail(layer_node_set_xattr(tree_at(t, "small"), "user.", "", 0), EOPNOTSUPP);
	must_fail(layer_node_set_xattr(tree_at(t, "small"), "system.posix_acl_accessx", "", 0),
		  EOPNOTSUPP);
	must_fail(layer_node_set_xattr(tree_at(t, "small"), "trusted.strata.implied", "", 0),
		  EINVAL);
	must_fail(layer_node_set_xattr(tree_at(t, "small"), "trusted.overlay.redirect", "", 0),
		  EINVAL);
	x = tree_index(t, NULL, 0, &fd);
	for (size_t i = 1; i < ARRAY_SIZE(names); i++) {
		must(layer_getxattr(x, index_at(x, "small"), names[i], &value, &len));
		assert_int_equal(len, strlen(names[i]));
		assert_memory_equal(value, names[i], len);
	}
	must(layer_getxattr(x, index_at(x, "small"), "user.a", &value, &len));
	assert_memory_equal(value, "again", 5);
	must(layer_getxattr(x, index_at(x, "large"), "user.big", &value, &len));
	assert_int_equal(len, sizeof(big));
	assert_memory_equal(value, big, len);
	must(layer_getxattr(x, LAYER_ROOT_NID, "user.none", &value, &len));
	assert_int_equal(len, 0);
	assert_int_equal(layer_getxattr(x, LAYER_ROOT_NID, "user.", &value, &len), -ENODATA);
	assert_int_equal(layer_getxattr(x, LAYER_ROOT_NID, "x", &value, &len), -ENODATA);
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

/*
 * Names as long as they get, in directories of one block to thousands, put in an order that is
 * none.
 */
static void directory_of(size_t n, size_t namelen)
{
	struct layer_tree *t = new_tree();
	struct layer_attr a = { .mode = S_IFREG | 0644 };
	struct layer_node *dir = tree_dir(t, "d", 0755), *node;
	struct layer_index *x;
	struct layer_dirent e;
	uint64_t cookie = 0, nid;
	size_t seen = 0;
	char name[256];
	int fd;

	memset(name, 'n', sizeof(name));
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%07zu", (i * 7919) % n);
		name[7] = '-';
		must(layer_tree_put(t, dir, name, namelen, &a, &node));
	}
	x = tree_index(t, NULL, 0, &fd);
	nid = index_at(x, "d");
	while (must(layer_readdir(x, nid, cookie, &e)) > 0) {
		assert_true(e.next != 0 && e.next != cookie);
		cookie = e.next;
		if (e.namelen <= 2)
			continue;
		snprintf(name, sizeof(name), "%07zu", seen++);
		name[7] = '-';
		assert_int_equal(e.namelen, namelen);
		assert_memory_equal(e.name, name, namelen);
		assert_int_equal(e.type, DT_REG);
		must(layer_lookup(x, nid, name, namelen, &e.nid));
	}
	assert_int_equal(seen, n);
	assert_int_equal(layer_lookup(x, nid, "00", 2, &e.nid), -ENOENT);
	assert_int_equal(layer_lookup(x, nid, "zz", 2, &e.nid), -ENOENT);
	assert_int_equal(layer_lookup(x, nid, "!", 1, &e.nid), -ENOENT);
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

static void directories(void **state)
{
	(void)state;
	directory_of(14, 255);
	directory_of(15, 255);
	directory_of(16, 255);
	directory_of(204, 8);
	directory_of(5003, 255);
	directory_of(200003, 12);
}

static void dots_among_names(void **state)
{
	static const char *const names[] = { "!",    "-a",   ".a", "...", "..a", "a",
					     "\xff", "\x01", "a.", "a-",  "aa" };
	struct layer_tree *t = new_tree();
	struct layer_index *x;
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		tree_text(t, names[i], names[i]);
	x = tree_index(t, NULL, 0, &fd);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(index_at(x, names[i]) > 0);
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

static void root_of_many_blocks(void **state)
{
	struct layer_tree *t = new_tree();
	struct layer_index *x;
	char name[300];
	int fd;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%04d-%0*d", i, 150 + i % 100, 0);
		tree_dir(t, name, 0700);
	}
	x = tree_index(t, NULL, 0, &fd);
	assert_int_equal(layer_index_ninodes(x), 1001);
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

static void symlinks(void **state)
{
	static const size_t lens[] = { 1, 59, 60, 1000, 3900, 4031, 4032, 4033, 4095 };
	struct layer_tree *t = new_tree();
	struct layer_index *x;
	const char *target;
	char text[4096], name[16];
	size_t len;
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		memset(text, 'a' + (int)i, sizeof(text));
		text[lens[i]] = 0;
		snprintf(name, sizeof(name), "l%zu", i);
		tree_symlink(t, name, text);
	}
	x = tree_index(t, NULL, 0, &fd);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		snprintf(name, sizeof(name), "l%zu", i);
		must(layer_readlink(x, index_at(x, name), &target, &len));
		assert_int_equal(len, lens[i]);
		assert_int_equal(target[len - 1], 'a' + (int)i);
	}
	assert_int_equal(layer_readlink(x, LAYER_ROOT_NID, &target, &len), -EINVAL);
	fsck_image(fd, NULL, 0);
	layer_index_close(x);
	close(fd);
}

/* The order of growing does not show, and writing twice gives the same. */
static void same_bytes(void **state)
{
	_close_ int fd1 = fd_memfd("1", NULL, 0), fd2 = fd_memfd("2", NULL, 0),
		    fd3 = fd_memfd("3", NULL, 0);
	struct layer_tree *t = new_tree(), *u = new_tree();
	struct digest d1, d2, d3;

	(void)state;
	tree_dir(t, "d", 0755);
	tree_text(t, "d/a", "a");
	tree_link(t, "d/b", "d/a");
	tree_text(t, "c", "c");
	tree_text(u, "c", "to be replaced");
	tree_text(u, "c", "c");
	tree_dir(u, "d", 0700);
	tree_text(u, "d/b", "a");
	tree_link(u, "d/a", "d/b");
	tree_dir(u, "d", 0755);
	must(layer_tree_write(t, NULL, 0, fd1));
	must(layer_tree_write(t, NULL, 0, fd2));
	must(layer_tree_write(u, NULL, 0, fd3));
	must(sha256_of_fd(fd1, 0, &d1, NULL));
	must(sha256_of_fd(fd2, 0, &d2, NULL));
	must(sha256_of_fd(fd3, 0, &d3, NULL));
	assert_true(digest_eq(&d1, &d2));
	assert_true(digest_eq(&d1, &d3));
	layer_tree_free(t);
	layer_tree_free(u);
}

static void deep(void **state)
{
	struct layer_attr a = { .mode = S_IFDIR | 0755 };
	struct layer_tree *t = new_tree();
	struct layer_node *n = layer_tree_root(t), *none;
	struct layer_index *x, *merged;

	(void)state;
	for (unsigned i = 0; i < LAYER_DEPTH_MAX; i++)
		must(layer_tree_put(t, n, "d", 1, &a, &n));
	must_fail(layer_tree_put(t, n, "d", 1, &a, &none), ENAMETOOLONG);
	x = tree_index(t, NULL, 0, NULL);
	assert_int_equal(layer_index_ninodes(x), LAYER_DEPTH_MAX + 1);
	merged = merge_index(&x, 1, NULL);
	assert_int_equal(layer_index_ninodes(merged), LAYER_DEPTH_MAX + 1);
	layer_index_close(merged);
	layer_index_close(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_tree),	       cmocka_unit_test(attributes),
		cmocka_unit_test(inline_contents),     cmocka_unit_test(packs_objects_holes),
		cmocka_unit_test(hard_links),	       cmocka_unit_test(xattrs),
		cmocka_unit_test(directories),	       cmocka_unit_test(dots_among_names),
		cmocka_unit_test(root_of_many_blocks), cmocka_unit_test(symlinks),
		cmocka_unit_test(same_bytes),	       cmocka_unit_test(deep),
	};

	return run_units(tests);
}
