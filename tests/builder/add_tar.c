/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/add_tar.h"
#include "base/err.h"
#include "tests/builder/tree.h"
#include <archive.h>
#include <archive_entry.h>
#include <sys/xattr.h>

struct world {
	char path[64];
	int dir, to, outside;
	struct archive *a; /* the tar that is being written */
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
	w->to = open_folder(w->dir, "to");
	w->outside = open_folder(w->dir, "outside");
	temp_file(w->outside, "secret", "secret");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_file(w->outside, "secret", "secret");
	assert_int_equal(tree_stat(w->outside, ".").st_nlink, 2);
	archive_write_free(w->a);
	fd_close(w->to);
	fd_close(w->outside);
	temp_close(w->path, w->dir);
	free(w);
	err_clear();
	return 0;
}

static void tar_begin(struct world *w, int filter)
{
	_free_ char *path = str_fmt("%s/tar", w->path);

	w->a = archive_write_new();
	assert_int_equal(archive_write_add_filter(w->a, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_set_format_pax(w->a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(w->a, path), ARCHIVE_OK);
}

static struct archive_entry *entry(const char *name, mode_t mode)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_copy_pathname(e, name);
	archive_entry_set_mode(e, mode);
	archive_entry_set_uid(e, geteuid());
	archive_entry_set_gid(e, getegid());
	archive_entry_set_mtime(e, 1000, 5);
	return e;
}

/* Writes @e with that content, and frees it. */
static void put(struct world *w, struct archive_entry *e, const char *text)
{
	if (text)
		archive_entry_set_size(e, (la_int64_t)strlen(text));
	assert_true(archive_write_header(w->a, e) >= ARCHIVE_WARN);
	if (text)
		assert_int_equal(archive_write_data(w->a, text, strlen(text)), strlen(text));
	archive_entry_free(e);
}

static void put_file(struct world *w, const char *name, const char *text)
{
	put(w, entry(name, S_IFREG | 0644), text);
}

static void put_symlink(struct world *w, const char *name, const char *target)
{
	struct archive_entry *e = entry(name, S_IFLNK | 0777);

	archive_entry_copy_symlink(e, target);
	put(w, e, NULL);
}

static void put_hardlink(struct world *w, const char *name, const char *target)
{
	struct archive_entry *e = entry(name, S_IFREG | 0644);

	archive_entry_copy_hardlink(e, target);
	put(w, e, NULL);
}

static int tar_open(struct world *w)
{
	int fd;

	if (w->a)
		assert_int_equal(archive_write_close(w->a), ARCHIVE_OK);
	fd = openat(w->dir, "tar", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int extract(struct world *w, const char *dst)
{
	const struct owner owner = { geteuid(), getegid() };
	_close_ int fd = tar_open(w);

	return add_tar_extract(fd, w->to, dst, &owner);
}

static void assert_extracts(struct world *w, const char *dst)
{
	int r = extract(w, dst);

	if (r < 0)
		fail_msg("%s", err_take(r));
}

static void kinds_of_entries(void **state)
{
	struct world *w = *state;
	struct stat st;

	tar_begin(w, ARCHIVE_FILTER_NONE);
	put(w, entry("./", S_IFDIR | 0711), NULL);
	put(w, entry("d/", S_IFDIR | 01700), NULL);
	put(w, entry("d/f", S_IFREG | 04755), "text");
	put_hardlink(w, "hard", "d/f");
	put_symlink(w, "soft", "../x");
	put(w, entry("fifo", S_IFIFO | 0600), NULL);
	put_file(w, "no/folder/for/it", "implied");
	put_file(w, "empty", "");
	assert_extracts(w, "in/here");
	assert_file(w->to, "in/here/d/f", "text");
	st = tree_stat(w->to, "in/here/d/f");
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(tree_stat(w->to, "in/here/hard").st_ino, st.st_ino);
	assert_link(w->to, "in/here/soft", "../x");
	assert_int_equal(tree_stat(w->to, "in/here/soft").st_mtim.tv_sec, 1000);
	assert_int_equal(tree_stat(w->to, "in/here/d").st_mode & 07777, 01700);
	assert_int_equal(tree_stat(w->to, "in/here/d").st_mtim.tv_sec, 1000);
	assert_int_equal(tree_stat(w->to, "in/here").st_mode & 07777, 0711);
	assert_true(S_ISFIFO(tree_stat(w->to, "in/here/fifo").st_mode));
	assert_file(w->to, "in/here/no/folder/for/it", "implied");
	assert_file(w->to, "in/here/empty", "");
}

static void compressions(void **state)
{
	static const int filters[] = { ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				       ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ,
				       ARCHIVE_FILTER_ZSTD };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		char dst[8];
		_close_ int fd = -1;

		snprintf(dst, sizeof(dst), "d%zu", i);
		tar_begin(w, filters[i]);
		put_file(w, "f", "text");
		fd = tar_open(w);
		assert_true(add_tar_is(fd));
		assert_extracts(w, dst);
		archive_write_free(w->a);
		w->a = NULL;
	}
	assert_file(w->to, "d4/f", "text");
}

static void what_is_no_tar(void **state)
{
	static const char *const texts[] = { "", "text", "\x1f\x8b", "PK\3\4", "ustar" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_close_ int fd = -1;

		temp_file(w->dir, "tar", texts[i]);
		fd = tar_open(w);
		assert_false(add_tar_is(fd));
	}
	assert_null(err_text());
}

static void names_beyond_ascii(void **state)
{
	struct world *w = *state;

	tar_begin(w, ARCHIVE_FILTER_NONE);
	put_file(w, "\xc3\xa9t\xc3\xa9", "utf-8");
	put_file(w, "\xe9t\xe9", "latin-1");
	put_symlink(w, "l", "\xc3\xa9t\xc3\xa9");
	assert_extracts(w, "");
	assert_file(w->to, "\xc3\xa9t\xc3\xa9", "utf-8");
	assert_file(w->to, "\xe9t\xe9", "latin-1");
	assert_link(w->to, "l", "\xc3\xa9t\xc3\xa9");
}

static void dots_are_refused(void **state)
{
	static const char *const names[] = { "../outside/x", "a/../../outside/x", "a/..", "..",
					     "/../x" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		tar_begin(w, ARCHIVE_FILTER_NONE);
		put_file(w, names[i], "x");
		assert_int_equal(extract(w, "d"), -EINVAL);
		assert_non_null(strstr(err_take(-EINVAL), "'..'"));
		archive_write_free(w->a);
	}
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put_hardlink(w, "x", "../../outside/secret");
	assert_int_equal(extract(w, "d"), -EINVAL);
}

/* An absolute name is one below the destination. */
static void absolute_names(void **state)
{
	struct world *w = *state;

	tar_begin(w, ARCHIVE_FILTER_NONE);
	put_file(w, "/etc/x", "x");
	assert_extracts(w, "d");
	assert_file(w->to, "d/etc/x", "x");
}

static void links_lead_nowhere_else(void **state)
{
	struct world *w = *state;

	assert_ok(mkdirat(w->to, "etc", 0755));
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put_symlink(w, "up", "../../outside");
	put_file(w, "up/x", "1");
	put_symlink(w, "abs", "/outside");
	put_file(w, "abs/y", "2");
	put_symlink(w, "file", "../outside/secret");
	put_file(w, "file", "replaced");
	put_symlink(w, "img", "/etc");
	put_file(w, "img/z", "3");
	put_hardlink(w, "stolen", "up/x");
	assert_extracts(w, "d");
	/* Within the image, where "/outside" is a folder that was made. */
	assert_file(w->to, "outside/x", "1");
	assert_file(w->to, "outside/y", "2");
	assert_file(w->to, "d/file", "replaced");
	assert_file(w->to, "etc/z", "3");
	assert_file(w->to, "d/stolen", "1");
}

/* The folder that was open for the last file is not the one that its name now means. */
static void a_link_swapped_in(void **state)
{
	struct world *w = *state;

	tar_begin(w, ARCHIVE_FILTER_NONE);
	put_symlink(w, "a", "one");
	put_file(w, "a/f", "1");
	put_symlink(w, "a", "two");
	put_file(w, "a/f", "2");
	assert_extracts(w, "");
	assert_file(w->to, "one/f", "1");
	assert_file(w->to, "two/f", "2");
}

static void replacing(void **state)
{
	struct world *w = *state;

	tree_file(w->to, "d/was-file", "x");
	tree_file(w->to, "d/folder/f", "x");
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put(w, entry("was-file", S_IFDIR | 0755), NULL);
	put_file(w, "was-file/f", "1");
	put_hardlink(w, "self", "was-file/f");
	put_hardlink(w, "self", "self");
	assert_extracts(w, "d");
	assert_file(w->to, "d/was-file/f", "1");
	assert_file(w->to, "d/self", "1");
	archive_write_free(w->a);
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put_file(w, "folder", "1");
	assert_int_equal(extract(w, "d"), -EISDIR);
}

static void attributes(void **state)
{
	struct world *w = *state;
	struct archive_entry *e = entry("f", S_IFREG | 0644);
	_close_ int fd = -1;
	char value[8];

	archive_entry_xattr_add_entry(e, "user.kept", "1", 1);
	archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
	archive_entry_xattr_add_entry(e, "trusted.other", "y", 1);
	archive_entry_xattr_add_entry(e, "user.overlay.redirect", "/", 1);
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put(w, e, "text");
	assert_extracts(w, "");
	fd = openat(w->to, "f", O_RDONLY | O_CLOEXEC);
	if (fsetxattr(fd, "user.test", "1", 1, 0) == 0)
		assert_int_equal(fgetxattr(fd, "user.kept", value, sizeof(value)), 1);
	assert_int_equal(fgetxattr(fd, "user.overlay.redirect", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "trusted.other", value, sizeof(value)), -1);
}

static void owners_and_devices(void **state)
{
	struct world *w = *state;
	struct archive_entry *e;

	need_root();
	e = entry("null", S_IFCHR | 0666);
	archive_entry_set_rdevmajor(e, 1);
	archive_entry_set_rdevminor(e, 3);
	archive_entry_set_uid(e, 7);
	archive_entry_set_gid(e, 70000);
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put(w, e, NULL);
	assert_extracts(w, "");
	assert_int_equal(tree_stat(w->to, "null").st_uid, 7);
	assert_int_equal(tree_stat(w->to, "null").st_gid, 70000);
	assert_int_equal(tree_stat(w->to, "null").st_mode, S_IFCHR | 0666);
	archive_write_free(w->a);
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put(w, entry("white", S_IFCHR | 0666), NULL);
	assert_int_equal(extract(w, ""), -EINVAL);
	err_clear();
	archive_write_free(w->a);
	e = entry("f", S_IFREG | 0644);
	archive_entry_set_uid(e, 0xffffffffll);
	tar_begin(w, ARCHIVE_FILTER_NONE);
	put(w, e, "x");
	assert_int_equal(extract(w, ""), -ERANGE);
}

static void damage(void **state)
{
	struct world *w = *state;
	_free_ char *data = NULL;
	size_t len;

	tar_begin(w, ARCHIVE_FILTER_GZIP);
	put_file(w, "f", "text");
	fd_close(tar_open(w));
	assert_ok(file_read_all(w->dir, "tar", 1 << 20, &data, &len));
	for (size_t cut = 1; cut < len; cut++) {
		_free_ char *path = str_fmt("%s/tar", w->path);

		assert_ok(truncate(path, (off_t)(len - cut)));
		if (extract(w, "d") < 0)
			err_clear();
	}
}

int main(void)
{
#define unit(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		unit(kinds_of_entries),
		unit(compressions),
		unit(what_is_no_tar),
		unit(names_beyond_ascii),
		unit(dots_are_refused),
		unit(absolute_names),
		unit(links_lead_nowhere_else),
		unit(a_link_swapped_in),
		unit(replacing),
		unit(attributes),
		unit(owners_and_devices),
		unit(damage),
	};

	return run_units(tests);
}
