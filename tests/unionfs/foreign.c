/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuse-overlayfs and containers/storage leave in layers and tops: read in lowers, turned into
 * ours in a top, never shown.
 */
#include "base/mem.h"
#include "unionfs/foreign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "direct.h"

static struct direct d;
static int layer[3]; /* topmost first */

/* Each word: "NAME/" a directory, else a file. Parents come first. */
static void fill(int dir, const char *words)
{
	char *copy = strdup(words), *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		size_t len = strlen(w);

		if (w[len - 1] == '/') {
			w[len - 1] = 0;
			assert_int_equal(mkdirat(dir, w, 0755), 0);
		} else {
			direct_file(dir, w, w);
		}
	}
	free(copy);
}

static void set_opaque(int dir, const char *name, const char *xattr)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fsetxattr(fd, xattr, "y", 1, 0), 0);
	close(fd);
}

static int begin(void **state)
{
	static const char *const names[] = { "l0", "l1", "l2" };
	int e = direct_make(&d);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layer); i++)
		layer[i] = direct_sub(&d, names[i]);
	return e;
}

static int end(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layer); i++)
		close(layer[i]);
	direct_end(&d);
	return 0;
}

static void open_with(enum ufs_upper_mode mode, bool foreign)
{
	struct ufs_lower lowers[3] = { 0 };
	struct ufs_config cfg = { .lowers = lowers,
				  .nlowers = 3,
				  .upper = mode,
				  .is_volatile = true,
				  .userxattr = true,
				  .foreign = foreign };

	for (size_t i = 0; i < 3; i++)
		lowers[i] = (struct ufs_lower){ .kind = UFS_LOWER_DIR, .fd = layer[i] };
	assert_int_equal(direct_open(&d, &cfg), 0);
	assert_int_equal(direct_init(&d), 0);
}

/* The nodeid at the end of a path, 0: there is none. */
static uint64_t find(const char *path)
{
	char *copy = strdup(path), *save = NULL;
	uint64_t id = 1;

	for (char *s = strtok_r(copy, "/", &save); s && id; s = strtok_r(NULL, "/", &save))
		id = direct_lookup(&d, id, s);
	free(copy);
	return id;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of directory @path in order, each with a blank behind it. */
static const char *names(const char *path)
{
	static char text[4096];
	struct wire_read_in in = { .size = DIRECT_REPLY - 64 };
	char name[256], *v[64];
	size_t n = 0, at = 0, body;

	assert_int_equal(direct_error(&d, WIRE_READDIR, find(path), &in, sizeof(in)), 0);
	body = d.out->len - sizeof(*d.out);
	while (at < body) {
		struct wire_dirent e;
		const char *p = (const char *)(d.out + 1) + at;

		memcpy(&e, p, sizeof(e));
		memcpy(name, p + sizeof(e), e.namelen);
		name[e.namelen] = 0;
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && n < ARRAY_SIZE(v))
			v[n++] = strdup(name);
		at += (sizeof(e) + e.namelen + 7) & ~(size_t)7;
	}
	qsort(v, n, sizeof(v[0]), by_name);
	text[0] = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s ", v[i]);
		free(v[i]);
	}
	return text;
}

static void make_layers(void)
{
	fill(layer[2], "gone both dir/ dir/old opq/ opq/old fuse/ fuse/old user/ user/old again/ "
		       "again/old kept/ kept/old .wh.nothing");
	fill(layer[1],
	     ".wh.gone .wh.both both dir/ dir/.wh.old dir/mid opq/ opq/.wh..wh..opq opq/new "
	     "fuse/ fuse/new user/ user/new .wh.again again/ again/new kept/ "
	     ".wh..wh.plnk");
	set_opaque(layer[1], "fuse", "user.fuseoverlayfs.opaque");
	set_opaque(layer[1], "user", "user.overlay.opaque");
	fill(layer[0], "dir/ dir/top opq/ kept/");
}

/* What the three layers together show. */
static void check_layers(void)
{
	assert_string_equal(names(""), "again both dir fuse kept opq user ");
	assert_string_equal(names("dir"), "mid top ");
	assert_string_equal(names("opq"), "new ");
	assert_string_equal(names("fuse"), "new ");
	assert_string_equal(names("user"), "new ");
	assert_string_equal(names("again"), "new ");
	assert_string_equal(names("kept"), "old ");
	assert_int_equal(find("gone"), 0);
	assert_true(find("both"));
	assert_int_equal(find("dir/old"), 0);
	assert_int_equal(find("opq/old"), 0);
	assert_int_equal(find("fuse/old"), 0);
	assert_int_equal(find("user/old"), 0);
	assert_int_equal(find("again/old"), 0);
	assert_true(find("again/new"));
	assert_true(find("kept/old"));
}

static void in_lowers(void **state)
{
	(void)state;
	make_layers();
	open_with(UFS_UPPER_NONE, true);
	check_layers();
	assert_int_equal(find(".wh.gone"), 0);
	assert_int_equal(find("opq/.wh..wh..opq"), 0);
}

/* A top makes no difference; nor does a name that is made where one was hidden. */
static void beneath_a_top(void **state)
{
	struct {
		struct wire_mkdir_in in;
		char name[8];
	} m = { .in = { .mode = 0755 }, .name = "gone" };

	(void)state;
	make_layers();
	open_with(UFS_UPPER_NATIVE, true);
	check_layers();
	assert_int_equal(direct_error(&d, WIRE_MKDIR, 1, &m, sizeof(m.in) + 5), 0);
	assert_string_equal(names("gone"), "");
	memcpy(m.name, "x", 2);
	assert_int_equal(direct_error(&d, WIRE_MKDIR, find("opq"), &m, sizeof(m.in) + 2), 0);
	assert_string_equal(names("opq"), "new x ");
	assert_int_equal(direct_error(&d, WIRE_UNLINK, find("again"), "new", 4), 0);
	assert_string_equal(names("again"), "");
}

/* The whole layer is hidden by an opaque root, whatever its neighbours say. */
static void opaque_root(void **state)
{
	(void)state;
	fill(layer[2], "a");
	fill(layer[1], "b .wh..wh..opq");
	fill(layer[0], "c");
	open_with(UFS_UPPER_NONE, true);
	assert_string_equal(names(""), "b c ");
	assert_int_equal(find("a"), 0);
}

/* On the way to what was moved a whiteout hides as anywhere: all beneath, not its own layer. */
static void on_a_moved_way(void **state)
{
	static const char *const from[] = { "/gone/dir", "/both/dir", "/way/gone", "/way/dir" };
	static const char *const moved[] = { "gone", "both", "last", "shown" };

	(void)state;
	fill(layer[2], "gone/ gone/dir/ gone/dir/x both/ both/dir/ both/dir/x way/ way/gone/ "
		       "way/gone/x way/dir/ way/dir/x");
	fill(layer[1], ".wh.gone .wh.both both/ both/dir/ both/dir/y way/ way/.wh.gone");
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		int fd;

		mkdirat(layer[0], moved[i], 0755);
		fd = openat(layer[0], moved[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(
			fsetxattr(fd, "user.overlay.redirect", from[i], strlen(from[i]), 0), 0);
		close(fd);
	}
	open_with(UFS_UPPER_NONE, true);
	assert_string_equal(names("gone"), "");
	assert_string_equal(names("both"), "y ");
	assert_string_equal(names("last"), "");
	assert_string_equal(names("shown"), "x ");
	assert_int_equal(find("gone/x"), 0);
	assert_int_equal(find("both/x"), 0);
}

static void not_asked_for(void **state)
{
	(void)state;
	fill(layer[1], "a dir/ dir/x");
	fill(layer[0], ".wh.a dir/ dir/.wh..wh..opq");
	open_with(UFS_UPPER_NONE, false);
	assert_string_equal(names(""), ".wh.a a dir ");
	assert_string_equal(names("dir"), ".wh..wh..opq x ");
	assert_true(find("dir/x"));
}

static bool is_whiteout(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

static bool is_there(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_opaque(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char c = 0;
	bool yes = fgetxattr(fd, "user.overlay.opaque", &c, 1) == 1 && c == 'y';

	close(fd);
	return yes;
}

static void make_top(void)
{
	fill(layer[1], "gone dir/ dir/old dir/sub/ dir/sub/x opq/ opq/old fuse/ fuse/old twin/ "
		       "twin/old");
	fill(d.upper, ".wh.gone dir/ dir/.wh.old dir/.wh.sub opq/ opq/.wh..wh..opq opq/new fuse/ "
		      ".wh.twin twin/ twin/new .wh..wh.aufs");
	set_opaque(d.upper, "fuse", "user.fuseoverlayfs.opaque");
}

static void in_a_top(void **state)
{
	(void)state;
	make_top();
	open_with(UFS_UPPER_NATIVE, true);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(names(""), "dir fuse opq twin ");
		assert_string_equal(names("dir"), "");
		assert_string_equal(names("opq"), "new ");
		assert_string_equal(names("fuse"), "");
		assert_string_equal(names("twin"), "new ");
		assert_int_equal(find("dir/sub"), 0);
		assert_int_equal(find("opq/old"), 0);
	}
	assert_true(is_whiteout(d.upper, "gone") && is_whiteout(d.upper, "dir/old") &&
		    is_whiteout(d.upper, "dir/sub"));
	assert_false(is_there(d.upper, ".wh.gone"));
	assert_false(is_there(d.upper, "dir/.wh.old"));
	assert_false(is_there(d.upper, "opq/.wh..wh..opq"));
	assert_false(is_there(d.upper, ".wh.twin"));
	assert_false(is_there(d.upper, ".wh..wh.aufs"));
	assert_true(is_opaque(d.upper, "opq") && is_opaque(d.upper, "fuse") &&
		    is_opaque(d.upper, "twin"));
	assert_false(is_opaque(d.upper, "dir"));
	/* As any other union's from now on. */
	direct_close(&d);
	open_with(UFS_UPPER_NATIVE, false);
	assert_string_equal(names(""), "dir fuse opq twin ");
	assert_string_equal(names("opq"), "new ");
	assert_int_equal(find("gone"), 0);
}

static void names_refused(void **state)
{
	struct {
		struct wire_mknod_in in;
		char name[16];
	} m = { .in = { .mode = S_IFREG | 0644 }, .name = ".wh.x" };
	struct wire_rename_in to = { .newdir = 1 };
	char rename[sizeof(to) + 16];

	(void)state;
	fill(layer[0], "a");
	open_with(UFS_UPPER_NATIVE, true);
	assert_int_equal(direct_error(&d, WIRE_MKNOD, 1, &m, sizeof(m.in) + 6), -EINVAL);
	memcpy(m.name, ".wh.", 5);
	assert_int_equal(direct_error(&d, WIRE_MKNOD, 1, &m, sizeof(m.in) + 5), -EINVAL);
	memcpy(rename, &to, sizeof(to));
	memcpy(rename + sizeof(to), "a\0.wh.b", 8);
	assert_int_equal(direct_error(&d, WIRE_RENAME, 1, rename, sizeof(to) + 8), -EINVAL);
	assert_int_equal(direct_error(&d, WIRE_UNLINK, 1, ".wh.a", 6), -EINVAL);
	assert_int_equal(direct_error(&d, WIRE_LOOKUP, 1, ".wh.a", 6), -ENOENT);
	assert_string_equal(names(""), "a ");
}

static void xattrs_hidden(void **state)
{
	struct wire_getxattr_in list = { .size = 1024 };
	struct {
		struct wire_getxattr_in in;
		char name[40];
	} get = { .in = { .size = 100 }, .name = "user.fuseoverlayfs.origin" };
	int fd;

	(void)state;
	fill(layer[0], "f");
	fd = openat(layer[0], "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(fsetxattr(fd, "user.fuseoverlayfs.origin", "f", 1, 0), 0);
	assert_int_equal(fsetxattr(fd, "user.overlay.origin", "f", 1, 0), 0);
	assert_int_equal(fsetxattr(fd, "user.strata.origin", "f", 1, 0), 0);
	assert_int_equal(fsetxattr(fd, "user.mine", "f", 1, 0), 0);
	close(fd);
	open_with(UFS_UPPER_NATIVE, true);
	assert_int_equal(direct_error(&d, WIRE_LISTXATTR, find("f"), &list, sizeof(list)), 0);
	assert_int_equal(d.out->len, sizeof(*d.out) + sizeof("user.mine"));
	assert_memory_equal(d.out + 1, "user.mine", sizeof("user.mine"));
	assert_int_equal(direct_error(&d, WIRE_GETXATTR, find("f"), &get, sizeof(get)), -ENODATA);
}

/* user.* cannot be set on a symbolic link: it is copied up all the same. */
static void link_with_userxattr(void **state)
{
	struct wire_setattr_in in = { .valid = WIRE_FATTR_MTIME, .mtime = 77 };
	struct stat st;

	(void)state;
	assert_int_equal(symlinkat("target", layer[0], "s"), 0);
	open_with(UFS_UPPER_NATIVE, true);
	assert_int_equal(direct_error(&d, WIRE_SETATTR, find("s"), &in, sizeof(in)), 0);
	assert_int_equal(fstatat(d.upper, "s", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_mtime, 77);
}

static void what_is_a_mark(void **state)
{
	(void)state;
	assert_true(foreign_is_mark(".wh.a") && foreign_is_mark(".wh."));
	assert_false(foreign_is_mark(".wha") || foreign_is_mark("a.wh.b"));
	assert_string_equal(foreign_hides(".wh.a"), "a");
	assert_null(foreign_hides(".wh."));
	assert_null(foreign_hides(".wh..wh..opq"));
	assert_null(foreign_hides(".wh..."));
	assert_null(foreign_hides(".wh.."));
	assert_null(foreign_hides("a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_a_mark),
		cmocka_unit_test_setup_teardown(in_lowers, begin, end),
		cmocka_unit_test_setup_teardown(beneath_a_top, begin, end),
		cmocka_unit_test_setup_teardown(opaque_root, begin, end),
		cmocka_unit_test_setup_teardown(on_a_moved_way, begin, end),
		cmocka_unit_test_setup_teardown(not_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(in_a_top, begin, end),
		cmocka_unit_test_setup_teardown(names_refused, begin, end),
		cmocka_unit_test_setup_teardown(xattrs_hidden, begin, end),
		cmocka_unit_test_setup_teardown(link_with_userxattr, begin, end),
	};

	return cmocka_run_group_tests_name("unionfs/foreign", tests, NULL, NULL);
}
