/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/copy.h"
#include "base/err.h"
#include "tests/builder/tree.h"
#include <sys/sysmacros.h>

/* "outside" stands beside the two roots: nothing may come from it or go there. */
struct world {
	char path[64];
	int dir, from, to, outside;
	struct source s;
	struct copy c;
};

static int open_folder(int dirfd, const char *name)
{
	assert_ok(mkdirat(dirfd, name, 0755));
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int setup(void **state)
{
	struct world *w = new0(struct world);

	w->dir = temp_open(w->path);
	w->from = open_folder(w->dir, "from");
	w->to = open_folder(w->dir, "to");
	w->outside = open_folder(w->dir, "outside");
	temp_file(w->outside, "secret", "secret");
	w->s.root_fd = w->from;
	w->c = (struct copy){ .root_fd = w->to, .owner = { geteuid(), getegid() }, .mode = -1 };
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_file(w->outside, "secret", "secret");
	assert_int_equal(tree_stat(w->outside, ".").st_nlink, 2);
	fd_close(w->from);
	fd_close(w->to);
	fd_close(w->outside);
	temp_close(w->path, w->dir);
	free(w);
	err_clear();
	return 0;
}

static void assert_copied(struct world *w, const char *path, const char *dst, bool into)
{
	int r = copy_source(&w->c, &w->s, path, dst, into);

	if (r < 0)
		fail_msg("%s", err_take(r));
}

static void files_and_names(void **state)
{
	struct world *w = *state;

	tree_file(w->from, "a/f", "text");
	assert_copied(w, "a/f", "x/y", false);
	assert_file(w->to, "x/y", "text");
	assert_copied(w, "a/f", "x/z", true);
	assert_file(w->to, "x/z/f", "text");
	assert_copied(w, "a/f", "", true);
	assert_file(w->to, "f", "text");
	assert_int_equal(copy_source(&w->c, &w->s, "a/f", "", false), -EINVAL);
}

static void a_folder_gives_its_content(void **state)
{
	struct world *w = *state;

	tree_file(w->from, "a/b/c/f", "1");
	tree_file(w->from, "a/b-c", "2");
	tree_file(w->from, "a/b.d/g", "3");
	assert_ok(mkdirat(w->from, "a/empty", 0755));
	tree_file(w->to, "there/b/c/kept", "4");
	assert_copied(w, "a", "there", true);
	assert_file(w->to, "there/b/c/f", "1");
	assert_file(w->to, "there/b/c/kept", "4");
	assert_file(w->to, "there/b-c", "2");
	assert_file(w->to, "there/b.d/g", "3");
	assert_true(S_ISDIR(tree_stat(w->to, "there/empty").st_mode));
	assert_absent(w->to, "there/a");
}

static void modes_and_times_are_kept(void **state)
{
	struct world *w = *state;
	const struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 1000, .tv_nsec = 7 } };
	struct stat st;

	tree_file(w->from, "d/f", "x");
	assert_ok(symlinkat("f", w->from, "d/l"));
	assert_ok(fchmodat(w->from, "d/f", 04751, 0));
	assert_ok(fchmodat(w->from, "d", 01700, 0));
	assert_ok(utimensat(w->from, "d/f", times, 0));
	assert_ok(utimensat(w->from, "d/l", times, AT_SYMLINK_NOFOLLOW));
	assert_ok(utimensat(w->from, "d", times, 0));
	assert_copied(w, "d", "new", false);
	st = tree_stat(w->to, "new/f");
	assert_int_equal(st.st_mode, S_IFREG | 04751);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_nsec, 7);
	st = tree_stat(w->to, "new");
	assert_int_equal(st.st_mode, S_IFDIR | 01700);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_link(w->to, "new/l", "f");
	assert_int_equal(tree_stat(w->to, "new/l").st_mtim.tv_sec, 1000);
	/* A folder that was there keeps what it has; one below the top takes the source's. */
	assert_ok(mkdirat(w->to, "old", 0755));
	assert_copied(w, "d", "old", false);
	assert_int_equal(tree_stat(w->to, "old").st_mode, S_IFDIR | 0755);
	assert_copied(w, "", "", false);
	assert_int_equal(tree_stat(w->to, "d").st_mode, S_IFDIR | 01700);
}

static void owners(void **state)
{
	struct world *w = *state;

	need_root();
	tree_file(w->from, "d/f", "x");
	assert_ok(fchownat(w->from, "d/f", 7, 8, 0));
	assert_ok(fchmodat(w->from, "d/f", 06755, 0));
	w->c.owner = (struct owner){ 5, 6 };
	assert_copied(w, "d", "up/new", false);
	assert_int_equal(tree_stat(w->to, "up").st_uid, 5);
	assert_int_equal(tree_stat(w->to, "up/new").st_gid, 6);
	assert_int_equal(tree_stat(w->to, "up/new/f").st_uid, 5);
	assert_int_equal(tree_stat(w->to, "up/new/f").st_mode & 07777, 06755);
	w->c.keep_owner = true;
	w->c.mode = 0640;
	assert_copied(w, "d", "kept", false);
	assert_int_equal(tree_stat(w->to, "kept/f").st_uid, 7);
	assert_int_equal(tree_stat(w->to, "kept/f").st_gid, 8);
	assert_int_equal(tree_stat(w->to, "kept/f").st_mode & 07777, 0640);
	assert_int_equal(tree_stat(w->to, "kept").st_mode & 07777, 0640);
}

static void what_is_there_is_replaced(void **state)
{
	struct world *w = *state;

	tree_file(w->from, "f", "new");
	tree_file(w->from, "d/t/x", "x");
	assert_ok(symlinkat("nowhere", w->from, "l"));
	tree_file(w->to, "target", "target");
	tree_file(w->to, "second", "old");
	assert_ok(symlinkat("target", w->to, "link"));
	assert_ok(linkat(w->to, "second", w->to, "hard", 0));
	assert_copied(w, "f", "link", false); /* not what it led to */
	assert_file(w->to, "link", "new");
	assert_file(w->to, "target", "target");
	assert_copied(w, "f", "hard", false);
	assert_file(w->to, "second", "old");
	assert_int_equal(copy_source(&w->c, &w->s, "l", "never", false), -ENOENT); /* followed */
}

static void folders_are_not_replaced(void **state)
{
	struct world *w = *state;

	tree_file(w->from, "f", "new");
	tree_file(w->from, "d/t/x", "x");
	tree_file(w->to, "folder/in", "in");
	tree_file(w->to, "t", "file");
	assert_int_equal(copy_source(&w->c, &w->s, "f", "folder", false), -EISDIR);
	err_clear();
	assert_int_equal(copy_source(&w->c, &w->s, "d", "", false), -ENOTDIR);
	err_clear();
	assert_int_equal(copy_source(&w->c, &w->s, "f", "t/x", false), -ENOTDIR);
	assert_file(w->to, "folder/in", "in");
}

static void links_of_the_source_stay_inside(void **state)
{
	struct world *w = *state;

	tree_file(w->from, "secret", "own");
	tree_file(w->from, "d/f", "f");
	assert_ok(symlinkat("../outside/secret", w->from, "out"));
	assert_ok(symlinkat("../../outside", w->from, "d/up"));
	assert_ok(symlinkat("/secret", w->from, "absolute"));
	assert_ok(symlinkat("absolute", w->from, "d/../chain"));
	assert_ok(symlinkat("d", w->from, "folder"));
	assert_ok(symlinkat("loop", w->from, "loop"));
	assert_copied(w, "chain", "chain", false);
	assert_file(w->to, "chain", "own");
	assert_copied(w, "folder/f", "g", false);
	assert_file(w->to, "g", "f");
	assert_copied(w, "folder", "copied", false);
	assert_file(w->to, "copied/f", "f");
	assert_link(w->to, "copied/up", "../../outside"); /* as it is */
	assert_int_equal(copy_source(&w->c, &w->s, "out", "x", false), -ENOENT);
	err_clear();
	assert_int_equal(copy_source(&w->c, &w->s, "d/up/secret", "x", false), -ENOENT);
	err_clear();
	assert_int_equal(copy_source(&w->c, &w->s, "loop", "x", false), -ELOOP);
	assert_absent(w->to, "x");
}

static void links_of_the_image_stay_inside(void **state)
{
	struct world *w = *state;

	tree_file(w->from, "d/lib/f", "f");
	tree_file(w->from, "f", "f");
	assert_ok(mkdirat(w->to, "usr", 0755));
	assert_ok(mkdirat(w->to, "usr/lib", 0711));
	assert_ok(symlinkat("usr/lib", w->to, "lib"));
	assert_ok(symlinkat("../outside", w->to, "relative"));
	assert_ok(symlinkat("/../../outside", w->to, "usr/absolute"));
	assert_ok(symlinkat("loop", w->to, "loop"));
	assert_copied(w, "d", "", false);
	assert_file(w->to, "usr/lib/f", "f");
	assert_link(w->to, "lib", "usr/lib");
	assert_int_equal(tree_stat(w->to, "usr/lib").st_mode & 07777, 0711);
	/* Dangling inside of the root: the folder is made there. */
	assert_copied(w, "f", "relative/x", false);
	assert_file(w->to, "outside/x", "f");
	assert_copied(w, "f", "usr/absolute/deep/er/y", false);
	assert_file(w->to, "outside/deep/er/y", "f");
	assert_int_equal(copy_source(&w->c, &w->s, "f", "loop/x", false), -ELOOP);
}

static void special_files(void **state)
{
	struct world *w = *state;

	assert_ok(mkdirat(w->from, "d", 0755));
	assert_ok(mkfifoat(w->from, "d/fifo", 0600));
	assert_int_equal(copy_source(&w->c, &w->s, "d", "x", false), -EINVAL);
	err_clear();
	w->c.special = true;
	assert_copied(w, "d", "y", false);
	assert_true(S_ISFIFO(tree_stat(w->to, "y/fifo").st_mode));
}

static void devices(void **state)
{
	struct world *w = *state;

	need_root();
	w->c.special = true;
	assert_ok(mkdirat(w->from, "d", 0755));
	if (mknodat(w->from, "d/null", S_IFCHR | 0620, makedev(1, 3)) < 0)
		skip();
	assert_ok(fchmodat(w->from, "d/null", 0620, 0));
	assert_copied(w, "d", "x", false);
	assert_int_equal(tree_stat(w->to, "x/null").st_mode, S_IFCHR | 0620);
	assert_true(tree_stat(w->to, "x/null").st_rdev == makedev(1, 3));
	/* A whiteout is for the union alone. */
	assert_ok(mknodat(w->from, "d/white", S_IFCHR | 0600, makedev(0, 0)));
	assert_int_equal(copy_source(&w->c, &w->s, "d", "y", false), -EINVAL);
}

static void what_is_ignored_stays_out(void **state)
{
	struct world *w = *state;
	struct dockerignore d;

	tree_file(w->from, "a/b/wanted", "1");
	tree_file(w->from, "a/b/not", "2");
	tree_file(w->from, "a/c/not", "3");
	tree_file(w->from, "top", "4");
	assert_ok(fchmodat(w->from, "a/b", 0700, 0));
	assert_ok(dockerignore_parse("a\n!a/b/wanted\n", &d));
	w->s.ignore = &d;
	assert_copied(w, "", "x", false);
	assert_file(w->to, "x/a/b/wanted", "1");
	assert_file(w->to, "x/top", "4");
	assert_absent(w->to, "x/a/b/not");
	assert_absent(w->to, "x/a/c");
	assert_int_equal(tree_stat(w->to, "x/a/b").st_mode & 07777, 0700);
	assert_int_equal(copy_source(&w->c, &w->s, "a/c", "y", false), -ENOENT);
	dockerignore_done(&d);
}

static void big_and_sparse(void **state)
{
	struct world *w = *state;
	_close_ int fd = openat(w->from, "big", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	const struct source s = { .root_fd = w->from }, t = { .root_fd = w->to };
	struct sha256 a, b;
	struct digest x, y;

	assert_ok(ftruncate(fd, 9 << 20));
	assert_ok(fd_pwrite_full(fd, "in the middle", 13, 5 << 20));
	assert_copied(w, "big", "big", false);
	sha256_init(&a);
	sha256_init(&b);
	assert_ok(source_hash(&s, "big", &a));
	assert_ok(source_hash(&t, "big", &b));
	x = sha256_final(&a);
	y = sha256_final(&b);
	assert_true(digest_eq(&x, &y));
}

static void deep_trees(void **state)
{
	struct world *w = *state;
	int fd = dup(w->from);

	for (unsigned i = 0; i < SOURCE_DEPTH_MAX - 1; i++) {
		int next;

		assert_ok(mkdirat(fd, "d", 0755));
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		fd_close(fd);
		fd = next;
	}
	assert_copied(w, "", "x", false);
	assert_ok(mkdirat(fd, "d", 0755));
	fd_close(fd);
	assert_int_equal(copy_source(&w->c, &w->s, "", "y", false), -ELOOP);
}

int main(void)
{
#define unit(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		unit(files_and_names),
		unit(a_folder_gives_its_content),
		unit(modes_and_times_are_kept),
		unit(owners),
		unit(what_is_there_is_replaced),
		unit(folders_are_not_replaced),
		unit(links_of_the_source_stay_inside),
		unit(links_of_the_image_stay_inside),
		unit(special_files),
		unit(devices),
		unit(what_is_ignored_stays_out),
		unit(big_and_sparse),
		unit(deep_trees),
	};

	return run_units(tests);
}
