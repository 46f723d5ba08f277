/* SPDX-License-Identifier: Apache-2.0 */
/* What ufs_changes() gives after some requests, in both dialects: as text, one line a change. */
#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "direct.h"

static void *request(size_t fixed, const void *arg, const char *a, const char *b, size_t *ret)
{
	size_t la = a ? strlen(a) + 1 : 0, lb = b ? strlen(b) + 1 : 0;
	char *p = malloc(fixed + la + lb);

	memcpy(p, arg, fixed);
	if (a)
		memcpy(p + fixed, a, la);
	if (b)
		memcpy(p + fixed + la, b, lb);
	*ret = fixed + la + lb;
	return p;
}

static void call(struct direct *d, uint32_t op, uint64_t node, size_t fixed, const void *arg,
		 const char *a, const char *b)
{
	size_t len;
	_free_ void *p = request(fixed, arg, a, b, &len);

	assert_int_equal(direct_error(d, op, node, p, len), 0);
}

static void change_some(struct direct *d)
{
	const struct wire_mkdir_in dir = { .mode = 0750 };
	const struct wire_mknod_in file = { .mode = S_IFREG | 0644 },
				   fifo = { .mode = S_IFIFO | 0600 };
	const struct wire_rename_in to_root = { 1 };
	struct wire_link_in link = { 0 };
	struct {
		struct wire_setxattr_in in;
		char rest[32];
	} x = { { .size = 4 }, "user.color\0blue" };
	struct {
		struct wire_write_in in;
		char data[8];
	} w = { { .size = 4 }, "data" };
	uint64_t f;

	call(d, WIRE_MKDIR, 1, sizeof(dir), &dir, "made", NULL);
	call(d, WIRE_MKNOD, direct_lookup(d, 1, "made"), sizeof(file), &file, "b", NULL);
	call(d, WIRE_MKNOD, direct_lookup(d, 1, "made"), sizeof(fifo), &fifo, "a", NULL);
	call(d, WIRE_SYMLINK, 1, 0, "", "link", "made/b");
	f = direct_lookup(d, direct_lookup(d, 1, "made"), "b");
	assert_int_equal(direct_error(d, WIRE_WRITE, f, &w, sizeof(w.in) + 4), 0);
	assert_int_equal(direct_error(d, WIRE_SETXATTR, f, &x, sizeof(x.in) + 15), 0);
	link.oldnodeid = f;
	call(d, WIRE_LINK, 1, sizeof(link), &link, "hard", NULL);
	call(d, WIRE_RENAME, 1, sizeof(to_root), &to_root, "f", "g");
	call(d, WIRE_UNLINK, direct_lookup(d, 1, "d"), 0, "", "g", NULL);
	call(d, WIRE_RMDIR, 1, 0, "", "d", NULL);
	call(d, WIRE_MKDIR, 1, sizeof(dir), &dir, "d", NULL);
	call(d, WIRE_UNLINK, 1, 0, "", "s", NULL);
}

static int add_line(void *ctx, const struct ufs_change *c)
{
	struct buf *b = ctx;
	char text[16] = "", value[16] = "";

	if (c->kind == UFS_CHANGE_DELETE) {
		buf_addf(b, "-%s\n", c->path);
		return 0;
	}
	if (c->fd >= 0 && pread(c->fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	if (c->xattrs_len)
		c->getxattr(c, c->xattrs, value, sizeof(value) - 1);
	buf_addf(b, "%s %o%s%s%s%s%s%s%s", c->path, c->mode, c->opaque ? " opaque" : "",
		 c->target ? " -> " : "", c->target ? c->target : "", *text ? " " : "", text,
		 c->xattrs_len ? " " : "", c->xattrs_len ? c->xattrs : "");
	buf_addf(b, "%s%s%s\n", *value ? "=" : "", value,
		 S_ISREG(c->mode) && c->nlink > 1 ? " linked" : "");
	return 0;
}

static const char expected[] = " 40755\n"
			       "d 40750 opaque\n"
			       "-f\n"
			       "g 100644 lower f\n\n"
			       "hard 100644 data user.color=blue linked\n"
			       "link 120777 -> made/b\n"
			       "made 40750\n"
			       "made/a 10600\n"
			       "made/b 100644 data user.color=blue linked\n"
			       "-s\n";

/* A lower directory at another place, in it a change; a lower file with another mode alone. */
static void move_some(struct direct *d)
{
	const struct wire_rename_in to_root = { 1 };
	const struct wire_mkdir_in dir = { .mode = 0750 };
	const struct wire_mknod_in file = { .mode = S_IFREG | 0644 };
	const struct wire_setattr_in mode = { .valid = WIRE_FATTR_MODE, .mode = 0600 };
	struct wire_rename_in to;
	struct stat st;

	call(d, WIRE_RENAME, 1, sizeof(to_root), &to_root, "d", "e");
	call(d, WIRE_MKNOD, direct_lookup(d, 1, "e"), sizeof(file), &file, "b", NULL);
	call(d, WIRE_MKDIR, 1, sizeof(dir), &dir, "d", NULL);
	to = (struct wire_rename_in){ direct_lookup(d, 1, "d") };
	call(d, WIRE_RENAME, 1, sizeof(to), &to, "e", "e");
	assert_int_equal(
		direct_error(d, WIRE_SETATTR, direct_lookup(d, 1, "f"), &mode, sizeof(mode)), 0);
	assert_int_equal(fstatat(d->upper, "f", &st, 0), 0);
	/* At most a block of xattrs. */
	assert_true(st.st_blocks <= 8);
	assert_int_equal(st.st_size, 8);
	call(d, WIRE_RENAME, 1, sizeof(to_root), &to_root, "f", "m");
}

static const char moved[] = " 40755\n"
			    "d 40750 opaque\n"
			    "d/e 40755\n"
			    "d/e/b 100644\n"
			    "d/e/g 100644 lower g\n\n"
			    "-f\n"
			    "m 100600 lower f\n\n";

static void run_moved(enum ufs_upper_mode upper)
{
	_buf_done_ struct buf b = { 0 };
	struct direct d;

	assert_int_equal(direct_begin(&d, upper), 0);
	assert_int_equal(direct_init(&d), 0);
	move_some(&d);
	assert_int_equal(ufs_changes(d.u, add_line, &b), 0);
	assert_string_equal(b.data, moved);
	direct_end(&d);
}

static int stop(void *ctx, const struct ufs_change *c)
{
	(void)c;
	++*(int *)ctx;
	return 7;
}

static void run(enum ufs_upper_mode mode)
{
	_buf_done_ struct buf b = { 0 };
	struct direct d;
	int calls = 0;

	assert_int_equal(direct_begin(&d, mode), 0);
	assert_int_equal(direct_init(&d), 0);
	change_some(&d);
	assert_int_equal(ufs_changes(d.u, add_line, &b), 0);
	assert_string_equal(b.data, expected);
	assert_int_equal(ufs_changes(d.u, stop, &calls), 7);
	assert_int_equal(calls, 1);
	direct_end(&d);
}

static void mapped(void **state)
{
	(void)state;
	run(UFS_UPPER_MAPPED);
}

static void mapped_moved(void **state)
{
	(void)state;
	run_moved(UFS_UPPER_MAPPED);
}

static void native_moved(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	run_moved(UFS_UPPER_NATIVE);
}

static void native(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	run(UFS_UPPER_NATIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped),
		cmocka_unit_test(native),
		cmocka_unit_test(mapped_moved),
		cmocka_unit_test(native_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
