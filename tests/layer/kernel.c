/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel mounts what we write, by itself and below overlayfs, and shows what our reader shows.
 * Needs root, 6.12.
 */
#include "tests/layer/list.h"
#include "tests/layer/mount.h"

#define TEXT "what an object holds\n"

struct fixture {
	char dir[64];
	int dirfd;
	int packs[3];
	struct layer_device devices[3];
};

/* Contents of many sizes, laid into the packs in turn. */
static void add_packed(struct fixture *f, struct layer_tree *t, int i)
{
	static uint8_t data[70000];
	struct layer_attr a = { .mode = S_IFREG | 0640,
				.uid = (uint32_t)i,
				.gid = 7,
				.size = (uint64_t)(i * 997 % 70000),
				.mtime = { 1600000000 + i, i } };
	int p = i % 3;
	struct layer_content c = { .kind = LAYER_PACK,
				   .device = (uint16_t)(p + 1),
				   .block = f->devices[p].blocks };
	uint64_t len = ROUND_UP(a.size, LAYER_BLOCK);
	char path[32];

	memset(data, 0, sizeof(data));
	for (size_t k = 0; k < a.size; k++)
		data[k] = (uint8_t)(k * (size_t)(i + 1) >> 3);
	assert_ok(fd_pwrite_full(f->packs[p], data, MIN(len, sizeof(data)),
				 (off_t)c.block * LAYER_BLOCK));
	assert_ok(ftruncate(f->packs[p], (off_t)(c.block * LAYER_BLOCK + len)));
	f->devices[p].blocks += (uint32_t)(len / LAYER_BLOCK);
	snprintf(path, sizeof(path), "packed/%03d", i);
	must(layer_node_set_content(tree_put(t, path, &a), &c));
}

static void add_object(struct fixture *f, struct layer_tree *t)
{
	struct layer_attr a = { .mode = S_IFREG | 0755, .size = strlen(TEXT), .mtime = { 5, 6 } };
	struct layer_content c = { .kind = LAYER_OBJECT, .digest = sha256_of(TEXT, strlen(TEXT)) };
	struct digest_hex hex = digest_hex(&c.digest);
	char path[128];

	snprintf(path, sizeof(path), "objects/%.2s", hex.s);
	assert_ok(fd_mkdir_p(f->dirfd, path, 0755));
	snprintf(path, sizeof(path), "objects/%.2s/%s", hex.s, hex.s);
	temp_file(f->dirfd, path, TEXT);
	must(layer_node_set_content(tree_put(t, "object", &a), &c));
}

static void add_special(struct layer_tree *t)
{
	static char long_target[3000], value[3000];
	struct layer_attr hole = { .mode = S_IFREG | 0600, .size = 3u << 20 };

	memset(long_target, 't', sizeof(long_target) - 1);
	memset(value, 'v', sizeof(value));
	tree_dev(t, "disk", S_IFBLK | 0660, makedev(259, 300));
	tree_dev(t, "tty", S_IFCHR | 0620, makedev(4, 1));
	tree_dev(t, "fifo", S_IFIFO | 0622, 0);
	tree_dev(t, "sock", S_IFSOCK | 0755, 0);
	tree_put(t, "hole", &hole);
	hole.size = LAYER_SIZE_MAX;
	tree_put(t, "vast", &hole);
	tree_text(t, "empty", "");
	tree_symlink(t, "short", "packed/001");
	tree_symlink(t, "long", long_target);
	tree_symlink(t, "heavy", long_target);
	must(layer_node_set_xattr(tree_at(t, "heavy"), "trusted.heavy", value, sizeof(value)));
	must(layer_node_set_xattr(tree_at(t, "packed"), "user.about", "packs", 5));
	must(layer_node_set_xattr(tree_at(t, "packed"), "user.again", value, 2000));
	must(layer_node_set_xattr(tree_at(t, "packed/001"), "security.capability",
				  "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
	tree_link(t, "linked", "packed/001");
}

static void add_inline(struct layer_tree *t)
{
	static uint8_t data[LAYER_BLOCK];
	char path[300];

	memset(data, 'i', sizeof(data));
	tree_dir(t, "inline", 01777);
	for (size_t size = 0; size <= LAYER_BLOCK; size += 61) {
		snprintf(path, sizeof(path), "inline/%04zu-%0*d", size, (int)(size % 200) + 1, 0);
		tree_file(t, path, data, size);
	}
	tree_file(t, "inline/whole", data, LAYER_BLOCK);
}

static void many(struct layer_tree *t)
{
	char path[64];

	tree_dir(t, "many", 0755);
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "many/%d", i * 7919 % 5000);
		tree_text(t, path, path);
	}
}

static struct layer_index *make(struct fixture *f, int *ret_fd)
{
	struct layer_tree *t;
	_close_ int fd = openat(f->dirfd, "index", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct layer_index *x;
	char name[16];

	must(layer_tree_new(&t));
	tree_dir(t, "packed", 0711);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "pack%d", i);
		f->packs[i] = openat(f->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		f->devices[i] = (struct layer_device){ .diff_id = sha256_of(name, strlen(name)) };
	}
	for (int i = 0; i < 200; i++)
		add_packed(f, t, i);
	add_object(f, t);
	add_special(t);
	add_inline(t);
	many(t);
	must(layer_tree_write(t, f->devices, 3, fd));
	layer_tree_free(t);
	must(layer_index_open(fd, &x));
	must(layer_index_check(x));
	*ret_fd = take_fd(fd);
	return x;
}

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	f->dirfd = temp_open(f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mount_leave(f->dir);
	for (int i = 0; i < 3; i++)
		fd_close(f->packs[i]);
	temp_close(f->dir, f->dirfd);
	free(f);
	return 0;
}

static void erofs(void **state)
{
	struct fixture *f = *state;
	struct layer_index *x;
	char *ours, *theirs, path[128];
	int fd, r;

	if (!mount_enter())
		skip_because("no mount namespace of our own");
	x = make(f, &fd);
	fsck_image(fd, f->packs, 3);
	snprintf(path, sizeof(path), "%s/mnt", f->dir);
	assert_ok(mkdir(path, 0700));
	r = mount_erofs(f->dir, "index", 3, path);
	if (r < 0) {
		layer_index_close(x);
		close(fd);
		skip_because("the kernel mounts no EROFS from a file: %s", strerror(-r));
	}
	ours = list_index(x, f->packs, -1, LIST_ALL & ~LIST_MTIME);
	theirs = list_path(path, LIST_ALL & ~LIST_MTIME);
	/*
	 * By itself the kernel reads an object as the hole that it is there: listed by digest,
	 * compared below overlayfs.
	 */
	assert_non_null(strstr(ours, "/object "));
	memset(strstr(strstr(ours, "/object "), "sha256 ") + 7, '-', 16);
	memset(strstr(strstr(theirs, "/object "), "sha256 ") + 7, '-', 16);
	same_listing(ours, theirs);
	free(ours);
	free(theirs);
	ours = list_index(x, f->packs, -1, LIST_MTIME);
	theirs = list_path(path, LIST_MTIME);
	memset(strstr(strstr(ours, "/object "), "sha256 ") + 7, '-', 16);
	memset(strstr(strstr(theirs, "/object "), "sha256 ") + 7, '-', 16);
	same_listing(ours, theirs);
	free(ours);
	free(theirs);
	layer_index_close(x);
	close(fd);
}

static void overlay_over_erofs(void **state)
{
	struct fixture *f = *state;
	struct layer_index *x;
	char *ours, *theirs, path[128], top[128], options[512];
	int fd, r, objects;

	if (!mount_enter())
		skip_because("no mount namespace of our own");
	x = make(f, &fd);
	snprintf(path, sizeof(path), "%s/mnt", f->dir);
	snprintf(top, sizeof(top), "%s/top", f->dir);
	assert_ok(mkdir(path, 0700));
	assert_ok(mkdir(top, 0700));
	snprintf(options, sizeof(options), "lowerdir=%s::%s/objects,metacopy=on,redirect_dir=on",
		 path, f->dir);
	r = mount_erofs(f->dir, "index", 3, path);
	if (r == 0 && mount("overlay", top, "overlay", MS_RDONLY, options) < 0)
		r = -errno;
	if (r < 0) {
		layer_index_close(x);
		close(fd);
		skip_because("no EROFS from a file, or no overlayfs with data-only lowers: %s",
			     strerror(-r));
	}
	objects = openat(f->dirfd, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ours = list_index(x, f->packs, objects, LIST_NLINK | LIST_MTIME);
	theirs = list_path(top, LIST_NLINK | LIST_MTIME);
	same_listing(ours, theirs);
	free(ours);
	free(theirs);
	close(objects);
	layer_index_close(x);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(erofs, setup, teardown),
		cmocka_unit_test_setup_teardown(overlay_over_erofs, setup, teardown),
	};

	return run_units(tests);
}
