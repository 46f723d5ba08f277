/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/imagestore/kit.h"

static void life(void **state)
{
	struct kit *k = *state;
	struct digest missing = sha256_of("x", 1);
	_free_ struct digest *base = NULL;
	int lock, upper, work, again, a, b;
	size_t n;

	assert_err(snapshot_create(k->s, "s", &missing, 1), -ENOENT, "is not in the store");
	assert_done(snapshot_create(k->s, "s", NULL, 0));
	assert_err(snapshot_create(k->s, "s", NULL, 0), -EEXIST, "snapshots/s");
	assert_done(snapshot_base(k->s, "s", &base, &n));
	assert_int_equal(n, 0);
	assert_done(snapshot_open(k->s, "s", &lock, &upper, &work));
	assert_err(snapshot_open(k->s, "s", &again, &a, &b), -EBUSY, "in use");
	assert_err(snapshot_remove(k->s, "s"), -EBUSY, "in use");
	temp_file(upper, "file", "data");
	fd_close(lock);
	fd_close(upper);
	fd_close(work);
	assert_done(snapshot_remove(k->s, "s"));
	assert_done(snapshot_remove(k->s, "s"));
	assert_err(snapshot_open(k->s, "s", &lock, &upper, &work), -ENOENT, "no snapshot s");
	assert_int_equal(faccessat(k->dirfd, "snapshots/s", F_OK, 0), -1);
}

static void ids(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".x", "a/b", "../x", "a b", "\xff" };
	struct kit *k = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(snapshot_create(k->s, bad[i], NULL, 0), -EINVAL, "a snapshot's id");
}

static int add(void *ctx, const char *id)
{
	return strv_add(ctx, id);
}

static void list(void **state)
{
	struct kit *k = *state;
	_strv_free_ char **found = NULL;

	assert_done(snapshot_create(k->s, "one", NULL, 0));
	assert_done(snapshot_create(k->s, "two", NULL, 0));
	assert_done(snapshot_each(k->s, add, &found));
	assert_int_equal(strv_len(found), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { kit_test(life), kit_test(ids), kit_test(list) };

	return run_units(tests);
}
