/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stack of directories is known by: the numbers of its things, which others may give to
 * other things meanwhile, and who holds an entry while several threads let it go.
 */
#include "unionfs/lower_dirs.h"

#include "direct_unit.h"

#include <pthread.h>

#define ROUNDS 3000
#define TRIES  200 /* until a number is given again; a file system may never */

static const struct timespec none;

static void open_lowers(struct ufs_config cfg)
{
	cfg.upper = UFS_UPPER_NONE;
	assert_int_equal(direct_open(&d, &cfg), 0);
	assert_int_equal(direct_init(&d), 0);
}

static void open_lower(const struct timespec *timeout)
{
	open_lowers((struct ufs_config){ .timeout = timeout });
}

static void forget(struct direct *conn, uint64_t nodeid)
{
	const struct wire_forget_in in = { .nlookup = 1 };
	const struct wire_in_header h = {
		.len = sizeof(h) + sizeof(in), .opcode = WIRE_FORGET, .unique = 2, .nodeid = nodeid
	};
	const struct iovec iov[] = { { (void *)&h, sizeof(h) }, { (void *)&in, sizeof(in) } };

	ufs_serve(conn->conn, iov, 2, NULL, 0);
}

/* ---- several threads ---- */

static pthread_barrier_t begins, ends;
static uint64_t parent;

static void *forget_parents(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&begins);
		forget(&d, parent);
		pthread_barrier_wait(&ends);
	}
	return arg;
}

/* A directory and what is in it are let go at once: the last of both takes the directory along. */
static void parent_and_child(void **state)
{
	pthread_t thread;
	uint64_t child;

	(void)state;
	open_lower(&none);
	assert_int_equal(pthread_barrier_init(&begins, NULL, 2), 0);
	assert_int_equal(pthread_barrier_init(&ends, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, forget_parents, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		parent = direct_lookup(&d, 1, "d");
		child = direct_lookup(&d, parent, "g");
		assert_true(parent && child);
		pthread_barrier_wait(&begins);
		forget(&d, child);
		pthread_barrier_wait(&ends);
		/* The root alone is left. */
		assert_int_equal(d.u->lower.dirs->by_id.count, 1);
		assert_int_equal(d.u->lower.dirs->by_key.count, 1);
		assert_int_equal(d.u->lower.dirs->root->refs, 1);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&begins);
	pthread_barrier_destroy(&ends);
}

/* ---- numbers that are another thing's ---- */

static uint32_t mode_of(const char *name)
{
	const struct wire_entry_out *o = (const void *)(d.out + 1);

	assert_true(direct_lookup(&d, 1, name));
	return o->attr.mode & S_IFMT;
}

static void moved_beneath(void **state)
{
	uint64_t f, g;

	(void)state;
	open_lower(&none);
	f = direct_lookup(&d, 1, "f");
	g = direct_lookup(&d, 1, "d");
	assert_true(f && g);
	assert_int_equal(renameat(d.lower, "f", d.lower, "f2"), 0);
	assert_int_equal(renameat(d.lower, "d", d.lower, "d2"), 0);
	assert_int_equal(mode_of("f2"), S_IFREG);
	assert_int_equal(mode_of("d2"), S_IFDIR);
	assert_int_not_equal(direct_lookup(&d, 1, "f2"), f);
	assert_true(direct_lookup(&d, direct_lookup(&d, 1, "d2"), "g"));
	assert_int_equal(direct_lookup(&d, 1, "f"), 0);
	/* What it had been can be forgotten, and is gone then. */
	forget(&d, f);
	forget(&d, g);
	assert_int_equal(mode_of("f2"), S_IFREG);
}

static void linked_beneath(void **state)
{
	uint64_t f;

	(void)state;
	open_lower(&none);
	f = direct_lookup(&d, 1, "f");
	assert_int_equal(linkat(d.lower, "f", d.lower, "f2", 0), 0);
	assert_int_equal(direct_lookup(&d, 1, "f2"), f);
	/* The name that it was found by goes: the other one is found by itself. */
	assert_int_equal(unlinkat(d.lower, "f", 0), 0);
	assert_int_equal(mode_of("f2"), S_IFREG);
	assert_int_not_equal(direct_lookup(&d, 1, "f2"), f);
}

static ino_t ino_of(const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(d.lower, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

/* A file went while the client knew it, and a directory has its number. */
static void given_again(void **state)
{
	ino_t ino;
	int i;

	(void)state;
	open_lower(&none);
	for (i = 0; i < TRIES; i++) {
		direct_file(d.lower, "old", "old\n");
		ino = ino_of("old");
		assert_int_equal(mode_of("old"), S_IFREG);
		assert_int_equal(unlinkat(d.lower, "old", 0), 0);
		assert_int_equal(mkdirat(d.lower, "old", 0755), 0);
		if (ino_of("old") == ino)
			break;
		assert_int_equal(unlinkat(d.lower, "old", AT_REMOVEDIR), 0);
	}
	if (i == TRIES)
		skip();
	assert_int_equal(mode_of("old"), S_IFDIR);
	direct_file(d.lower, "old/in", "in\n");
	assert_true(direct_lookup(&d, direct_lookup(&d, 1, "old"), "in"));
}

/* A directory of one layer becomes one of two. */
static void more_beneath(void **state)
{
	const int second = direct_sub(&d, "second");
	const struct ufs_lower both[] = { { .kind = UFS_LOWER_DIR, .fd = d.lower },
					  { .kind = UFS_LOWER_DIR, .fd = second } };
	uint64_t dir;

	(void)state;
	open_lowers((struct ufs_config){ .timeout = &none, .lowers = both, .nlowers = 2 });
	dir = direct_lookup(&d, 1, "d");
	assert_int_equal(mkdirat(second, "d", 0755), 0);
	direct_file(second, "d/h", "second\n");
	assert_int_equal(direct_lookup(&d, dir, "h"), 0);
	dir = direct_lookup(&d, 1, "d");
	assert_true(direct_lookup(&d, dir, "g"));
	assert_true(direct_lookup(&d, dir, "h"));
	close(second);
}

/* Where nobody changes them, links alone have a number twice: nothing is looked at again. */
static void unchanged(void **state)
{
	uint64_t f;

	(void)state;
	assert_int_equal(linkat(d.lower, "f", d.lower, "f2", 0), 0);
	open_lower(NULL);
	f = direct_lookup(&d, 1, "f");
	assert_int_equal(direct_lookup(&d, 1, "f2"), f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parent_and_child, begin, end),
		cmocka_unit_test_setup_teardown(moved_beneath, begin, end),
		cmocka_unit_test_setup_teardown(linked_beneath, begin, end),
		cmocka_unit_test_setup_teardown(given_again, begin, end),
		cmocka_unit_test_setup_teardown(more_beneath, begin, end),
		cmocka_unit_test_setup_teardown(unchanged, begin, end),
	};

	return cmocka_run_group_tests_name("unionfs/numbers", tests, NULL, NULL);
}
