/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/source.h"
#include "base/err.h"
#include "tests/builder/tree.h"

struct world {
	char path[64];
	int dir;
	struct source s;
	struct dockerignore ignore;
};

static int setup(void **state)
{
	struct world *w = new0(struct world);

	w->dir = temp_open(w->path);
	w->s.root_fd = w->dir;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	dockerignore_done(&w->ignore);
	temp_close(w->path, w->dir);
	free(w);
	err_clear();
	return 0;
}

static void ignore(struct world *w, const char *text)
{
	dockerignore_done(&w->ignore);
	assert_ok(dockerignore_parse(text, &w->ignore));
	w->s.ignore = &w->ignore;
}

/* What is found, with blanks between. */
static void assert_finds(struct world *w, const char *pattern, const char *expected)
{
	_strv_free_ char **found = NULL;
	char text[256] = "";
	size_t n = 0;
	int r = source_find(&w->s, pattern, &found);

	if (r < 0)
		fail_msg("%s", err_take(r));
	for (size_t i = 0; i < strv_len(found); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", found[i]);
	assert_string_equal(text, expected);
}

static void assert_missing(struct world *w, const char *pattern, int e)
{
	char **found = NULL;

	assert_int_equal(source_find(&w->s, pattern, &found), e);
	assert_null(found);
	assert_non_null(strstr(err_take(e), pattern));
}

static void plain_paths(void **state)
{
	struct world *w = *state;

	tree_file(w->dir, "a/f", "");
	assert_finds(w, "a/f", "a/f");
	assert_finds(w, "/./a//f", "a/f");
	assert_finds(w, "a/../a/", "a");
	assert_finds(w, ".", "");
	assert_missing(w, "none", -ENOENT);
	assert_missing(w, "a/f/x", -ENOTDIR);
	assert_missing(w, "..", -EINVAL);
	assert_missing(w, "a/../../x", -EINVAL);
	assert_missing(w, "/../x", -EINVAL);
}

static void wildcards(void **state)
{
	struct world *w = *state;

	tree_file(w->dir, "a/1.txt", "");
	tree_file(w->dir, "a/2.txt", "");
	tree_file(w->dir, "a/3.c", "");
	tree_file(w->dir, "b/1.txt", "");
	tree_file(w->dir, ".hidden", "");
	tree_file(w->dir, "f", "");
	assert_ok(symlinkat("a", w->dir, "link"));
	assert_ok(symlinkat("/..", w->dir, "up"));
	assert_finds(w, "a/*.txt", "a/1.txt a/2.txt");
	assert_finds(w, "[ab]/1.txt", "a/1.txt b/1.txt");
	assert_finds(w, "?/3.c", "a/3.c");
	assert_finds(w, "link/*", "link/1.txt link/2.txt link/3.c");
	assert_finds(w, "*", ".hidden a b f link up");
	assert_missing(w, "*.none", -ENOENT);
	assert_missing(w, "../*", -EINVAL);
}

static void ignored(void **state)
{
	struct world *w = *state;

	tree_file(w->dir, "a/secret", "");
	tree_file(w->dir, "a/open", "");
	tree_file(w->dir, "b/secret", "");
	ignore(w, "**/secret\nb");
	assert_finds(w, "a/*", "a/open");
	assert_finds(w, "*", "a");
	assert_missing(w, "a/secret", -ENOENT);
	assert_missing(w, "b", -ENOENT);
	ignore(w, "*\n!a/open");
	assert_finds(w, "*", "a");
	assert_finds(w, "a", "a");
	assert_finds(w, "a/open", "a/open");
	assert_missing(w, "a/secret", -ENOENT);
	assert_missing(w, "b", -ENOENT);
}

static struct digest hash(struct world *w, const char *path)
{
	struct sha256 h;
	int r;

	sha256_init(&h);
	r = source_hash(&w->s, path, &h);
	if (r < 0)
		fail_msg("%s", err_take(r));
	return sha256_final(&h);
}

/* The hash of "d" is another one, or the same, after what was done. */
static void assert_changed(struct world *w, struct digest *last, bool changed)
{
	struct digest now = hash(w, "d");

	assert_int_equal(!digest_eq(last, &now), changed);
	*last = now;
}

static void hashes(void **state)
{
	struct world *w = *state;
	const struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 5 } };
	struct digest last;

	tree_file(w->dir, "d/a", "text");
	tree_file(w->dir, "d/e/b", "");
	last = hash(w, "d");
	assert_changed(w, &last, false);
	assert_ok(utimensat(w->dir, "d/a", times, 0));
	assert_ok(utimensat(w->dir, "d", times, 0));
	assert_changed(w, &last, false);
	temp_file(w->dir, "d/a", "Text");
	assert_changed(w, &last, true);
	assert_ok(fchmodat(w->dir, "d/a", 0600, 0));
	assert_changed(w, &last, true);
	assert_ok(fchmodat(w->dir, "d/e", 0700, 0));
	assert_changed(w, &last, true);
	assert_ok(renameat(w->dir, "d/a", w->dir, "d/c"));
	assert_changed(w, &last, true);
	assert_ok(symlinkat("x", w->dir, "d/l"));
	assert_changed(w, &last, true);
	assert_ok(unlinkat(w->dir, "d/l", 0));
	assert_ok(symlinkat("y", w->dir, "d/l"));
	assert_changed(w, &last, true);
	assert_ok(mkdirat(w->dir, "d/empty", 0755));
	assert_changed(w, &last, true);
	ignore(w, "d/empty");
	assert_changed(w, &last, true);
}

/* Bytes that move from one file to the next are another tree. */
static void borders(void **state)
{
	struct world *w = *state;
	struct digest x, y;

	tree_file(w->dir, "x/a", "12");
	tree_file(w->dir, "x/b", "3");
	tree_file(w->dir, "y/a", "1");
	tree_file(w->dir, "y/b", "23");
	x = hash(w, "x");
	y = hash(w, "y");
	assert_false(digest_eq(&x, &y));
}

static void hash_of_owners(void **state)
{
	struct world *w = *state;
	struct digest last;

	need_root();
	tree_file(w->dir, "d/a", "text");
	last = hash(w, "d");
	assert_ok(fchownat(w->dir, "d/a", 7, 7, 0));
	assert_changed(w, &last, false);
	w->s.owners = true;
	assert_changed(w, &last, true);
	assert_ok(fchownat(w->dir, "d/a", 8, 7, 0));
	assert_changed(w, &last, true);
}

/* Names in a folder in the thousands are listed once, and in order. */
static void wide_folders(void **state)
{
	struct world *w = *state;
	_strv_free_ char **found = NULL;
	char name[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "f%04d", 4999 - i);
		temp_file(w->dir, name, "");
	}
	assert_ok(source_find(&w->s, "f*", &found));
	assert_int_equal(strv_len(found), 5000);
	assert_string_equal(found[0], "f0000");
	assert_string_equal(found[4999], "f4999");
}

int main(void)
{
#define unit(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		unit(plain_paths), unit(wildcards),	 unit(ignored),	     unit(hashes),
		unit(borders),	   unit(hash_of_owners), unit(wide_folders),
	};

	return run_units(tests);
}
