/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: missing, foreign, half made, of another version, read-only; and who died here before. */
#include "tests/imagestore/kit.h"

#include <sys/wait.h>

static void missing(_unused_ void **state)
{
	struct store *s;

	assert_err(store_open("/nonexistent/store", 0, &s), -ENOENT,
		   "no store there: pull or load");
	assert_err(store_open("/dev/null", 0, &s), -ENOTDIR, "/dev/null");
}

static void foreign(_unused_ void **state)
{
	struct store *s;
	char path[64];
	int fd = temp_open(path);

	assert_err(store_open(path, 0, &s), -ENOENT, "no FORMAT");
	temp_file(fd, "important", "data");
	assert_err(store_open(path, STORE_CREATE, &s), -EINVAL, "neither empty nor a store");
	assert_int_equal(faccessat(fd, "lock", F_OK, 0), -1);
	temp_close(path, fd);
}

static void half_made(_unused_ void **state)
{
	struct store *s;
	char path[64];
	int fd = temp_open(path);

	assert_ok(mkdirat(fd, "blobs", 0755));
	temp_file(fd, "lock", "");
	temp_file(fd, ".tmp-0123", "{");
	assert_done(store_open(path, STORE_CREATE, &s));
	assert_int_equal(count_images(s), 0);
	store_close(s);
	assert_done(store_open(path, 0, &s));
	store_close(s);
	temp_close(path, fd);
}

/* All begin when the pipe is closed. */
static void open_at_once(const char *path, int begin)
{
	struct store *s;
	char c;

	if (read(begin, &c, 1) != 0)
		_exit(2);
	_exit(store_open(path, STORE_CREATE, &s) < 0);
}

static void made_at_once(_unused_ void **state)
{
	enum { MAKERS = 24, ROUNDS = 60 };

	for (int round = 0; round < ROUNDS; round++) {
		char path[64];
		int fd = temp_open(path), begin[2], status;

		assert_ok(pipe(begin));
		for (int i = 0; i < MAKERS; i++) {
			if (fork() == 0) {
				close(begin[1]);
				open_at_once(path, begin[0]);
			}
		}
		close(begin[0]);
		close(begin[1]);
		for (int i = 0; i < MAKERS; i++)
			assert_true(wait(&status) > 0 && status == 0);
		temp_close(path, fd);
	}
}

static void other_format(void **state)
{
	struct kit *k = *state;
	struct store *s;

	temp_file(k->dirfd, "FORMAT", "strata store 7\n");
	assert_err(store_open(k->root, 0, &s), -EPROTO, "\"strata store 7\"");
	assert_err(store_open(k->root, STORE_CREATE, &s), -EPROTO, "\"strata store 7\"");
}

static void read_only(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct gc_result gc;
	struct image_layer l;
	struct stack stack;
	struct store *s;
	struct txn *t;

	tar_big(&tar, "file", 5000, 1);
	tar_end(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	assert_ok(fd_remove_tree(k->dirfd, "merged"));
	assert_ok(mkdirat(k->dirfd, "merged", 0755));
	assert_done(store_open(k->root, STORE_RDONLY, &s));
	assert_err(txn_begin(s, &t), -EROFS, "read-only");
	assert_err(store_gc(s, &gc), -EROFS, "read-only");
	assert_done(stack_open(s, &l.diff_id, 1, &stack)); /* in memory */
	assert_int_equal(stack.npacks, 1);
	stack_close(&stack);
	assert_int_equal(count_images(s), 1);
	assert_exports(s, &l.diff_id, &tar);
	store_close(s);
}

static void dead_transactions(void **state)
{
	struct kit *k = *state;
	struct store *s;
	struct txn *t;

	assert_done(txn_begin(k->s, &t)); /* of the living */
	assert_ok(fd_mkdir_p(k->dirfd, "tmp/dead/blobs", 0755));
	temp_file(k->dirfd, "tmp/dead/live", "");
	temp_file(k->dirfd, "tmp/dead/blobs/x", "left behind");
	assert_ok(mkdirat(k->dirfd, "tmp/unborn", 0755));
	assert_ok(fd_mkdir_p(k->dirfd, "trash/1/2", 0755));
	assert_ok(mkdirat(k->dirfd, "snapshots/.half", 0755));
	assert_done(store_open(k->root, 0, &s));
	store_close(s);
	assert_int_equal(faccessat(k->dirfd, "tmp/dead", F_OK, 0), -1);
	assert_int_equal(faccessat(k->dirfd, "tmp/unborn", F_OK, 0), -1);
	assert_int_equal(faccessat(k->dirfd, "trash/1", F_OK, 0), -1);
	assert_int_equal(faccessat(k->dirfd, "snapshots/.half", F_OK, 0), -1);
	assert_done(txn_commit(t));
	txn_abort(t);
}

static void empty_stack(void **state)
{
	struct kit *k = *state;
	struct stack stack;

	assert_done(stack_open(k->s, NULL, 0, &stack));
	assert_int_equal(stack.npacks, 0);
	stack_close(&stack);
}

static void paths(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	_free_ char *index = NULL;
	_strv_free_ char **packs = NULL;
	struct image_layer l[2];

	tar_big(&tar, "file", 5000, 1);
	tar_end(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, l));
	assert_done(stack_paths(k->s, &l[0].diff_id, 1, &index, &packs));
	assert_ok(access(index, R_OK));
	assert_int_equal(strv_len(packs), 1);
	assert_ok(access(packs[0], R_OK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing), cmocka_unit_test(foreign), cmocka_unit_test(half_made),
		cmocka_unit_test(made_at_once),
		kit_test(other_format),	   kit_test(read_only),	      kit_test(dead_transactions),
		kit_test(empty_stack),	   kit_test(paths),
	};

	return run_units(tests);
}
