/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "tests/base/unit.h"
#include <sys/stat.h>

static char work[64];
static int dir = -1;

static int setup(_unused_ void **state)
{
	snprintf(work, sizeof(work), "/tmp/strata-tree.XXXXXX");
	assert_non_null(mkdtemp(work));
	dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	return 0;
}

static int teardown(_unused_ void **state)
{
	dir = fd_close(dir);
	assert_ok(fd_remove_tree(AT_FDCWD, work));
	err_clear();
	return 0;
}

/* ---- records, kept and given to a decoder one by one ---- */

struct records {
	struct buf data;
	uint32_t len[64];
	unsigned n;
};

static int keep(void *ctx, const struct iovec *iov, unsigned n)
{
	struct records *r = ctx;
	size_t before = r->data.len;

	for (unsigned i = 0; i < n; i++)
		buf_add(&r->data, iov[i].iov_base, iov[i].iov_len);
	assert_true(r->n < ARRAY_SIZE(r->len));
	r->len[r->n++] = (uint32_t)(r->data.len - before);
	assert_true(r->len[r->n - 1] <= TREE_RECORD_MAX);
	return 0;
}

static int replay(const struct records *r, struct tree_writer *w)
{
	struct tree_decoder d = { .sink = &tree_writer_sink, .ctx = w };
	size_t at = 0;
	int e = 0;

	for (unsigned i = 0; i < r->n; i++) {
		assert_int_equal(e, 0);
		e = tree_decode(&d, r->data.data + at, r->len[i]);
		at += r->len[i];
		if (e < 0)
			return e;
	}
	return e;
}

static void make_tree(void)
{
	int fd;

	assert_ok(mkdirat(dir, "in", 0755));
	assert_ok(mkdirat(dir, "in/sub", 0711));
	assert_ok(symlinkat("/nowhere", dir, "in/link"));
	assert_ok(mkfifoat(dir, "in/sub/fifo", 0600));
	fd = openat(dir, "in/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_ok(fd_write_full(fd, work, sizeof(work)));
	assert_ok(ftruncate(fd, 100000));
	assert_ok(fchmod(fd, 04755));
	fd_close(fd);
}

static void expect_tree(const char *where, mode_t file_mode)
{
	_free_ char *link = str_fmt("%s/link", where), *fifo = str_fmt("%s/sub/fifo", where),
		    *file = str_fmt("%s/file", where), *sub = str_fmt("%s/sub", where);
	char target[16] = "", start[sizeof(work)];
	struct stat st, in;
	int fd;

	assert_int_equal(readlinkat(dir, link, target, sizeof(target)), 8);
	assert_string_equal(target, "/nowhere");
	assert_ok(fstatat(dir, fifo, &st, 0));
	assert_true(S_ISFIFO(st.st_mode));
	assert_ok(fstatat(dir, sub, &st, 0));
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_ok(fstatat(dir, file, &st, 0));
	assert_ok(fstatat(dir, "in/file", &in, 0));
	assert_int_equal(st.st_size, 100000);
	assert_int_equal(st.st_mode & 07777, file_mode);
	assert_int_equal(st.st_mtim.tv_nsec, in.st_mtim.tv_nsec);
	fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_read_full(fd, start, sizeof(start)), sizeof(start));
	assert_memory_equal(start, work, sizeof(start));
	fd_close(fd);
}

/* ---- tests ---- */

static void copy(_unused_ void **state)
{
	struct tree_writer w = TREE_WRITER_NONE;

	make_tree();
	w.to = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	w.as = "out";
	assert_ok(tree_read(dir, "in", &tree_writer_sink, &w));
	tree_writer_done(&w);
	expect_tree("out", 04755);
	/* Once more, over what is there. */
	w.to = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	w.as = "out";
	assert_ok(tree_read(dir, "in", &tree_writer_sink, &w));
	tree_writer_done(&w);
	expect_tree("out", 04755);
	assert_int_equal(tree_read(dir, "none", &tree_writer_sink, &w), -ENOENT);
}

/* Through records, into a directory that is there, on the host. */
static void stream(_unused_ void **state)
{
	struct records r = { 0 };
	struct tree_encoder e = { keep, &r };
	struct tree_writer w = TREE_WRITER_NONE;

	make_tree();
	assert_ok(mkdirat(dir, "out", 0755));
	assert_ok(tree_read(dir, "in", &tree_encoder_sink, &e));
	w.to = openat(dir, "out", O_PATH | O_DIRECTORY | O_CLOEXEC);
	w.to_host = true;
	assert_int_equal(replay(&r, &w), 1);
	tree_writer_done(&w);
	expect_tree("out", 0755);
	buf_done(&r.data);
}

/* A link that stands where a directory or a file is to go is not followed. */
static void links(_unused_ void **state)
{
	struct tree_writer w = TREE_WRITER_NONE;
	struct stat st;

	make_tree();
	assert_ok(mkdirat(dir, "secret", 0755));
	assert_ok(mkdirat(dir, "out", 0755));
	assert_ok(symlinkat("../secret", dir, "out/sub"));
	w.to = openat(dir, "out", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(tree_read(dir, "in", &tree_writer_sink, &w) < 0);
	tree_writer_done(&w);
	assert_int_equal(fstatat(dir, "secret/fifo", &st, 0), -1);
	assert_ok(unlinkat(dir, "out/sub", 0));
	unlinkat(dir, "out/file", 0); /* there already, or not: in what order it came */
	assert_ok(symlinkat("../secret/file", dir, "out/file"));
	w.to = openat(dir, "out", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(tree_read(dir, "in", &tree_writer_sink, &w));
	tree_writer_done(&w);
	assert_int_equal(fstatat(dir, "secret/file", &st, 0), -1);
	expect_tree("out", 04755);
}

struct node {
	uint32_t kind, mode, uid, gid;
	int64_t mtime;
	uint32_t mtime_ns, name_len;
	uint64_t rdev;
	char name[32];
};

enum { ENTER = 1, LEAVE, FILE_, DATA, END, LINK, SPECIAL };

static int decode(struct tree_decoder *d, uint32_t kind, mode_t mode, const char *name,
		  size_t extra)
{
	struct node n = { .kind = kind, .mode = mode, .name_len = (uint32_t)strlen(name) };

	memcpy(n.name, name, n.name_len);
	return tree_decode(d, &n, offsetof(struct node, name) + n.name_len + extra);
}

/* What is no tree: each after a directory has been entered. */
static void hostile(_unused_ void **state)
{
	static const struct {
		uint32_t kind;
		mode_t mode;
		const char *name;
		size_t extra;
	} cases[] = {
		{ FILE_, S_IFREG, "", 0 },     { FILE_, S_IFREG, ".", 0 },
		{ FILE_, S_IFREG, "..", 0 },   { FILE_, S_IFREG, "a/b", 0 },
		{ FILE_, S_IFREG, "/etc", 0 }, { FILE_, S_IFDIR, "a", 0 },
		{ FILE_, S_IFREG, "a", 1 },    { ENTER, S_IFREG, "a", 0 },
		{ LINK, S_IFLNK, "a", 0 },     { LINK, S_IFREG, "a", 4 },
		{ SPECIAL, S_IFREG, "a", 0 },  { SPECIAL, S_IFSOCK, "a", 0 },
		{ 0, S_IFREG, "a", 0 },	       { 99, S_IFREG, "a", 0 },
	};
	const uint32_t data = DATA, end = END, leave = LEAVE;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tree_writer w = { .to = fcntl(dir, F_DUPFD_CLOEXEC, 0), .out = -1 };
		struct tree_decoder d = { .sink = &tree_writer_sink, .ctx = &w };

		assert_int_equal(decode(&d, ENTER, S_IFDIR | 0755, "", 0), 0);
		assert_int_equal(tree_decode(&d, &data, 4), -EPROTO);
		assert_int_equal(tree_decode(&d, &end, 4), -EPROTO);
		assert_int_equal(tree_decode(&d, &data, 3), -EPROTO);
		assert_int_equal(decode(&d, cases[i].kind, cases[i].mode, cases[i].name,
					cases[i].extra),
				 -EPROTO);
		assert_int_equal(tree_decode(&d, &leave, 4), 1);
		assert_int_equal(tree_decode(&d, &leave, 4), -EPROTO);
		assert_int_equal(decode(&d, FILE_, S_IFREG, "", 0), -EPROTO);
		tree_writer_done(&w);
		err_clear();
	}
}

/* Directories in directories, without end. */
static void deep(_unused_ void **state)
{
	struct tree_writer w = { .to = fcntl(dir, F_DUPFD_CLOEXEC, 0), .out = -1 };
	struct tree_decoder d = { .sink = &tree_writer_sink, .ctx = &w };
	unsigned n = 0;
	int r = decode(&d, ENTER, S_IFDIR | 0755, "", 0);

	for (; r == 0; n++)
		r = decode(&d, ENTER, S_IFDIR | 0755, "d", 0);
	assert_true(r < 0 && n <= TREE_DEPTH_MAX + 1);
	tree_writer_done(&w);
}

static void paths(_unused_ void **state)
{
	static const struct {
		const char *text, *path, *parent, *name;
		bool slash, content;
	} cases[] = {
		{ "/a/b", "/a/b", "/a", "b", false, false },
		{ "/a/b/", "/a/b", "/a", "b", true, false },
		{ "/a/b/.", "/a/b", "/a", "b", true, true },
		{ "/a", "/a", "/", "a", false, false },
		{ "a", "a", "", "a", false, false },
		{ "/", "/", "/", "", true, true },
		{ ".", ".", "", ".", false, true },
		{ "x/..", "x/..", "x", "..", false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tree_path p;

		assert_ok(tree_path_init(&p, cases[i].text));
		assert_string_equal(p.path, cases[i].path);
		assert_string_equal(p.parent, cases[i].parent);
		assert_string_equal(p.name, cases[i].name);
		assert_int_equal(p.slash, cases[i].slash);
		assert_int_equal(p.content, cases[i].content);
		tree_path_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copy, setup, teardown),
		cmocka_unit_test_setup_teardown(stream, setup, teardown),
		cmocka_unit_test_setup_teardown(links, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(deep, setup, teardown),
		cmocka_unit_test(paths),
	};

	return cmocka_run_group_tests_name("base/tree", tests, NULL, NULL);
}
