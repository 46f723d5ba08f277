/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge shows what the kernel's overlayfs shows: random stacks of small layers, made as
 * directories in overlayfs' dialect, mounted, and merged by us. Seeds are fixed; STACKS=n tries
 * more. Needs root.
 */
#include "tests/layer/list.h"
#include "tests/layer/mount.h"

#define LAYERS_MAX 6

static uint64_t seed;

/* A number below @n (xorshift64*, Vigna 2016). */
static unsigned pick(unsigned n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (unsigned)((seed * 0x2545F4914F6CDD1Du) >> 33) % n;
}

/* ---- a layer as a directory ---- */

static void decorate(const char *path, bool link)
{
	struct timespec t[2] = { { 0, 0 }, { 1000000 + pick(1000), pick(1000000000) } };

	assert_ok(lchown(path, pick(3) * 1000, pick(3) * 1000));
	if (!link)
		assert_ok(chmod(path, 0400 | pick(07777)));
	if (pick(3) == 0)
		assert_ok(
			lsetxattr(path, pick(2) ? "trusted.a" : "trusted.b", "value", pick(6), 0));
	assert_ok(utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW));
}

static void make_file(const char *path)
{
	char text[3000];
	size_t len = pick(3) ? pick(20) : pick(sizeof(text));

	memset(text, 'a' + (int)pick(26), sizeof(text));
	{
		_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		assert_true(fd >= 0);
		assert_ok(fd_write_full(fd, text, len));
	}
}

static void make_dir(const char *path, unsigned depth, char *last_file);

static void make_one(const char *path, unsigned depth, char *last_file)
{
	switch (depth < 4 ? pick(9) : pick(5)) {
	case 0:
		assert_ok(mknod(path, S_IFCHR, 0));
		return;
	case 1:
		assert_ok(symlink("a/b", path));
		decorate(path, true);
		return;
	case 2:
		assert_ok(mknod(path, pick(2) ? S_IFIFO | 0600 : S_IFCHR | 0600, makedev(1, 5)));
		break;
	case 3:
		if (*last_file) {
			assert_ok(link(last_file, path));
			return;
		}
		make_file(path);
		break;
	case 4:
		make_file(path);
		snprintf(last_file, 256, "%s", path);
		break;
	default:
		make_dir(path, depth, last_file);
	}
	decorate(path, false);
}

static void fill_dir(const char *path, unsigned depth, char *last_file)
{
	for (const char *name = "abcd"; *name; name++) {
		_free_ char *child = str_fmt("%s/%c", path, *name);

		if (pick(3))
			make_one(child, depth + 1, last_file);
	}
}

static void make_dir(const char *path, unsigned depth, char *last_file)
{
	assert_ok(mkdir(path, 0755));
	fill_dir(path, depth, last_file);
	if (pick(4) == 0)
		assert_ok(lsetxattr(path, "trusted.overlay.opaque", "y", 1, 0));
}

/* ---- the same as a tree ---- */

struct scan {
	struct layer_tree *t;
	ino_t inos[256];
	struct layer_node *nodes[256];
	size_t n;
};

static void scan_xattrs(struct layer_node *node, const char *path)
{
	char names[1024], value[64];
	ssize_t n = llistxattr(path, names, sizeof(names)), len;

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		len = lgetxattr(path, names + i, value, sizeof(value));
		must(layer_node_set_xattr(node, names + i, value, (size_t)len));
	}
}

static void scan_content(struct layer_node *node, const char *path, const struct stat *st)
{
	char data[4096];
	struct layer_content c = { .kind = LAYER_INLINE, .data = data };

	if (S_ISLNK(st->st_mode)) {
		assert_true(readlink(path, data, sizeof(data)) > 0);
	} else if (S_ISREG(st->st_mode)) {
		_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

		assert_int_equal(fd_read_full(fd, data, sizeof(data)), st->st_size);
	} else {
		return;
	}
	must(layer_node_set_content(node, &c));
}

static void scan_dir(struct scan *s, struct layer_node *dir, const char *path);

static void scan_one(struct scan *s, struct layer_node *dir, const char *path, const char *name)
{
	struct layer_node *node;
	struct layer_attr a;
	struct stat st;

	assert_ok(lstat(path, &st));
	for (size_t i = 0; i < s->n; i++) {
		if (s->inos[i] == st.st_ino) {
			must(layer_tree_link(s->t, dir, name, strlen(name), s->nodes[i]));
			return;
		}
	}
	a = (struct layer_attr){ .mode = st.st_mode,
				 .uid = st.st_uid,
				 .gid = st.st_gid,
				 .rdev = st.st_rdev,
				 .size = (uint64_t)st.st_size,
				 .mtime = st.st_mtim };
	must(layer_tree_put(s->t, dir, name, strlen(name), &a, &node));
	scan_content(node, path, &st);
	scan_xattrs(node, path);
	if (S_ISDIR(st.st_mode)) {
		scan_dir(s, node, path);
	} else if (st.st_nlink > 1) {
		assert_true(s->n < ARRAY_SIZE(s->inos));
		s->inos[s->n] = st.st_ino;
		s->nodes[s->n++] = node;
	}
}

static void scan_dir(struct scan *s, struct layer_node *dir, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		_free_ char *child = str_fmt("%s/%s", path, e->d_name);

		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			scan_one(s, dir, child, e->d_name);
	}
	closedir(d);
}

static struct layer_index *scan_layer(const char *path)
{
	struct scan s = { .n = 0 };
	struct layer_attr a;
	struct stat st;

	must(layer_tree_new(&s.t));
	assert_ok(lstat(path, &st));
	a = (struct layer_attr){
		.mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid, .mtime = st.st_mtim
	};
	must(layer_node_set_attr(layer_tree_root(s.t), &a));
	scan_xattrs(layer_tree_root(s.t), path);
	scan_dir(&s, layer_tree_root(s.t), path);
	return tree_index(s.t, NULL, 0, NULL);
}

/* ---- both ---- */

static void compare(const char *top, struct layer_index **stack, size_t n)
{
	struct layer_index *merged = merge_index(stack, n, NULL);
	_free_ char *ours = list_index(merged, NULL, -1, LIST_MTIME | LIST_XATTRS);
	_free_ char *theirs = list_path(top, LIST_MTIME | LIST_XATTRS);

	assert_true(strlen(ours) > 40);
	same_listing(ours, theirs);
	layer_index_close(merged);
}

/* Makes a stack in the empty folder @dir/mnt, mounts it on @dir/top, and compares. */
static void one_stack(const char *dir)
{
	struct layer_index *stack[LAYERS_MAX];
	size_t n = 1 + pick(LAYERS_MAX);
	_buf_done_ struct buf options = { 0 };
	char path[128], top[128], last_file[256];

	snprintf(top, sizeof(top), "%s/top", dir);
	buf_adds(&options, "lowerdir=");
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/mnt/%zu", dir, i);
		*last_file = 0;
		assert_ok(mkdir(path, 0755));
		fill_dir(path, 0, last_file);
		decorate(path, false);
		stack[i] = scan_layer(path);
	}
	for (size_t i = n; i--;)
		buf_addf(&options, "%s/mnt/%zu:", dir, i);
	buf_addf(&options, "%s/mnt/empty", dir);
	assert_ok(mount("overlay", top, "overlay", MS_RDONLY, options.data));
	compare(top, stack, n);
	assert_ok(umount(top));
	for (size_t i = 0; i < n; i++)
		layer_index_close(stack[i]);
}

static void random_stacks(void **state)
{
	const char *dir = *state, *more = getenv("STACKS");
	unsigned long n = more ? strtoul(more, NULL, 10) : 150;
	char path[128];

	if (!mount_enter())
		skip_because("no mount namespace of our own");
	for (unsigned long i = 1; i <= n; i++) {
		seed = i * 0x9E3779B97F4A7C15u;
		snprintf(path, sizeof(path), "%s/mnt", dir);
		if (mount("tmpfs", path, "tmpfs", 0, NULL) < 0)
			skip_because("no tmpfs to be had");
		snprintf(path, sizeof(path), "%s/mnt/empty", dir);
		assert_ok(mkdir(path, 0755));
		one_stack(dir);
		snprintf(path, sizeof(path), "%s/mnt", dir);
		assert_ok(umount(path));
	}
}

static int setup(void **state)
{
	static char dir[64];
	int fd = temp_open(dir);

	assert_ok(mkdirat(fd, "mnt", 0755));
	assert_ok(mkdirat(fd, "top", 0755));
	close(fd);
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	mount_leave(*state);
	temp_close(*state, -1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_stacks, setup, teardown),
	};

	return run_units(tests);
}
