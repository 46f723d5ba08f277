/* SPDX-License-Identifier: Apache-2.0 */
/* Users from hostile passwd and group files. Needs no privileges. */
#include "container/passwd.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

static char dir[64];
static int root;

static void put(const char *path, const void *data, size_t len)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, data, len), 0);
	fd_close(fd);
}

static void puts_(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static int setup(void **state _unused_)
{
	str_copy(dir, sizeof(dir), "/tmp/strata-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(root, "etc", 0755), 0);
	return 0;
}

static int teardown(void **state _unused_)
{
	fd_close(root);
	return fd_remove_tree(AT_FDCWD, dir);
}

static void no_files(void **state _unused_)
{
	struct user u;

	assert_int_equal(user_find(root, "", &u), 0);
	assert_int_equal(u.uid, 0);
	assert_int_equal(u.gid, 0);
	assert_string_equal(u.home, "/");
	assert_int_equal(u.ngroups, 1);
	user_done(&u);
	assert_int_equal(user_find(root, NULL, &u), 0);
	user_done(&u);
	assert_int_equal(user_find(root, "12:34", &u), 0);
	assert_int_equal(u.uid, 12);
	assert_int_equal(u.gid, 34);
	user_done(&u);
	assert_int_equal(user_find(root, "name", &u), -EINVAL);
	err_clear();
	assert_int_equal(user_find(root, "1:name", &u), -EINVAL);
	err_clear();
}

/* (uid_t)-1 would change nothing: refused, as is what does not fit 32 bits. */
static void ids_out_of_range(void **state _unused_)
{
	static const char *const bad[] = { "4294967295",   "4294967296",	   "-1", "0x10",
					   "1:4294967295", "99999999999999999999", " 1", "1 " };
	struct user u;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(user_find(root, bad[i], &u), -EINVAL);
		err_clear();
	}
	assert_int_equal(user_find(root, "4294967294", &u), 0);
	assert_int_equal(u.uid, 4294967294u);
	user_done(&u);
}

static void odd_lines(void **state _unused_)
{
	struct user u;

	puts_("etc/passwd",
	      "\n:::::::\n#x:x:1:1:::\nshort:x:5\nneg:x:-1:1::/:\nbig:x:4294967295:1::/:\n"
	      "rel:x:6:6::relative:\nok:x:7:8:,,,:/home/ok:/bin/sh:more:fields\ncut:x:9:9::/");
	puts_("etc/group",
	      "g:x:20:ok,ok\nh:x:21:no,ok\nh2:x:21:ok\nbad:x:y:ok\nnone:x:22\nlast:x:23:xok,okx\n");
	assert_int_equal(user_find(root, "ok", &u), 0);
	assert_int_equal(u.uid, 7);
	assert_string_equal(u.home, "/home/ok");
	assert_int_equal(u.ngroups, 3);
	assert_int_equal(u.groups[0], 8);
	assert_int_equal(u.groups[1], 20);
	assert_int_equal(u.groups[2], 21);
	user_done(&u);
	assert_int_equal(user_find(root, "rel", &u), 0);
	assert_string_equal(u.home, "/");
	user_done(&u);
	for (const char *const *name = (const char *const[]){ "short", "neg", "big", "cut", NULL };
	     *name; name++) {
		assert_int_equal(user_find(root, *name, &u), -EINVAL);
		err_clear();
	}
	assert_int_equal(user_find(root, "ok:none", &u), 0);
	assert_int_equal(u.gid, 22);
	assert_int_equal(u.ngroups, 1);
	user_done(&u);
	assert_int_equal(user_find(root, "ok:", &u), 0);
	assert_int_equal(u.gid, 8);
	user_done(&u);
}

static void nul_and_long_lines(void **state _unused_)
{
	_buf_done_ struct buf b = { 0 };
	static const char nul[] = "nul:x:3:3::/:\0\nnul\0:x:3:3::/:\n";
	struct user u;

	buf_add(&b, nul, sizeof(nul) - 1);
	buf_adds(&b, "long:x:4:4:");
	for (int i = 0; i < 100000; i++)
		buf_adds(&b, "long:x:4:4::/:");
	buf_adds(&b, "\nafter:x:5:5::/after:\n");
	put("etc/passwd", b.data, b.len);
	assert_int_equal(user_find(root, "nul", &u), -EINVAL);
	err_clear();
	assert_int_equal(user_find(root, "long", &u), -EINVAL);
	err_clear();
	assert_int_equal(user_find(root, "after", &u), 0);
	assert_string_equal(u.home, "/after");
	user_done(&u);
}

static void huge_files(void **state _unused_)
{
	_buf_done_ struct buf b = { 0 };
	struct user u;
	int fd;

	puts_("etc/passwd", "u:x:1:1::/:\n");
	for (int i = 0; i < 100000; i++)
		buf_addf(&b, "g%d:x:%d:u\n", i, i + 100);
	put("etc/group", b.data, b.len);
	assert_int_equal(user_find(root, "u", &u), 0);
	assert_int_equal(u.ngroups, 1024);
	user_done(&u);
	/* A terabyte of nothing is not read to its end. */
	fd = openat(root, "etc/passwd", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	fd_close(fd);
	assert_int_equal(user_find(root, "v", &u), -EINVAL);
	err_clear();
}

static void no_regular_files(void **state _unused_)
{
	struct user u;

	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
	assert_int_equal(user_find(root, "1", &u), 0);
	user_done(&u);
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(mkdirat(root, "etc/passwd", 0755), 0);
	assert_int_equal(user_find(root, "1", &u), 0);
	user_done(&u);
	unlinkat(root, "etc/passwd", AT_REMOVEDIR);
	/* The host's file is not the image's. */
	assert_int_equal(symlinkat("/../../../../../etc/passwd", root, "etc/passwd"), 0);
	assert_int_equal(user_find(root, "root", &u), -EINVAL);
	err_clear();
	unlinkat(root, "etc/passwd", 0);
}

static void long_home(void **state _unused_)
{
	_buf_done_ struct buf b = { 0 };
	struct user u;

	buf_adds(&b, "u:x:1:1::/");
	for (int i = 0; i < 300; i++)
		buf_addc(&b, 'h');
	buf_adds(&b, ":/bin/sh\n");
	put("etc/passwd", b.data, b.len);
	assert_int_equal(user_find(root, "u", &u), 0);
	assert_string_equal(u.home, "/");
	user_done(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_files),   cmocka_unit_test(ids_out_of_range),
		cmocka_unit_test(odd_lines),  cmocka_unit_test(nul_and_long_lines),
		cmocka_unit_test(huge_files), cmocka_unit_test(no_regular_files),
		cmocka_unit_test(long_home),
	};

	return cmocka_run_group_tests_name("passwd", tests, setup, teardown);
}
