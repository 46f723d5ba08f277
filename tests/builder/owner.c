/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/owner.h"
#include "base/err.h"
#include "tests/builder/tree.h"

struct world {
	char path[64];
	int dir;
};

static int setup(void **state)
{
	struct world *w = new0(struct world);

	w->dir = temp_open(w->path);
	tree_file(w->dir, "etc/passwd",
		  "root:x:0:0::/:/bin/sh\nuserx:x:1:1::/:\nuser:x:1000:50::/:\nbad:x:-1:1::/:\n"
		  "last:x:9:9");
	tree_file(w->dir, "etc/group", "root:x:0:\nstaff:x:77:user,a\n");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	temp_close(w->path, w->dir);
	free(w);
	err_clear();
	return 0;
}

static void assert_owner(struct world *w, const char *text, uid_t uid, gid_t gid)
{
	struct owner o;
	int r = owner_parse(w->dir, text, &o);

	if (r < 0)
		fail_msg("%s: %s", text, err_take(r));
	assert_int_equal(o.uid, uid);
	assert_int_equal(o.gid, gid);
}

static void assert_refused(struct world *w, const char *text, int e)
{
	struct owner o;

	assert_int_equal(owner_parse(w->dir, text, &o), e);
	assert_non_null(err_text());
	err_clear();
}

static void names_and_numbers(void **state)
{
	struct world *w = *state;

	assert_owner(w, "5", 5, 5);
	assert_owner(w, "5:6", 5, 6);
	assert_owner(w, "user", 1000, 50);
	assert_owner(w, "user:staff", 1000, 77);
	assert_owner(w, "user:9", 1000, 9);
	assert_owner(w, "5:staff", 5, 77);
	assert_owner(w, "last", 9, 9);
	assert_owner(w, "4294967294", 4294967294u, 4294967294u);
}

static void refusals(void **state)
{
	struct world *w = *state;

	assert_refused(w, "use", -ENOENT);
	assert_refused(w, "nobody", -ENOENT);
	assert_refused(w, "bad", -ENOENT);
	assert_refused(w, "4294967295", -ENOENT);
	assert_refused(w, "user:none", -ENOENT);
	assert_refused(w, "user:x:", -ENOENT);
	assert_refused(w, "", -EINVAL);
	assert_refused(w, ":staff", -EINVAL);
	assert_refused(w, "user:", -EINVAL);
}

/* The image chose them. */
static void hostile_files(void **state)
{
	struct world *w = *state;

	assert_ok(unlinkat(w->dir, "etc/passwd", 0));
	assert_refused(w, "root", -ENOENT);
	assert_ok(symlinkat("/etc/../../../../etc/passwd", w->dir, "etc/passwd"));
	assert_refused(w, "root", -ELOOP); /* its own */
	assert_ok(unlinkat(w->dir, "etc/passwd", 0));
	assert_ok(mkfifoat(w->dir, "etc/passwd", 0600));
	assert_refused(w, "root", -EINVAL);
	assert_ok(unlinkat(w->dir, "etc/passwd", 0));
	assert_ok(mkdirat(w->dir, "etc/passwd", 0700));
	assert_refused(w, "root", -EINVAL);
}

static void endless_file(void **state)
{
	struct world *w = *state;
	_close_ int fd = openat(w->dir, "etc/passwd", O_WRONLY | O_CLOEXEC);

	assert_ok(ftruncate(fd, 1ll << 40));
	assert_refused(w, "root", -EFBIG);
}

int main(void)
{
#define unit(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		unit(names_and_numbers),
		unit(refusals),
		unit(hostile_files),
		unit(endless_file),
	};

	return run_units(tests);
}
