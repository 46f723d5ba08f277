/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile client may send: every answer is an errno of that request, and the union goes on.
 */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "direct.h"

static int setup(void **state)
{
	struct direct *d = malloc(sizeof(*d));

	*state = d;
	return direct_begin(d, UFS_UPPER_MAPPED) || direct_init(d);
}

static int teardown(void **state)
{
	direct_end(*state);
	free(*state);
	return 0;
}

static void short_headers(void **state)
{
	struct direct *d = *state;
	struct wire_in_header h = { .len = 20, .opcode = WIRE_GETATTR, .nodeid = 1 };
	const struct iovec in = { &h, 20 }, whole = { &h, sizeof(h) },
			   out = { d->out, DIRECT_REPLY }, small = { d->out, 8 };

	assert_int_equal(ufs_serve(d->conn, &in, 1, &out, 1), -EINVAL);
	assert_int_equal(ufs_serve(d->conn, &in, 0, &out, 1), -EINVAL);
	/* The length that it claims is not the length that it has. */
	h.len = 4096;
	assert_true(ufs_serve(d->conn, &whole, 1, &out, 1) > 0);
	assert_int_equal(d->out->error, -EINVAL);
	h.len = sizeof(h);
	assert_int_equal(ufs_serve(d->conn, &whole, 1, &small, 1), -ENOSPC);
	assert_int_equal(ufs_serve(d->conn, &whole, 1, NULL, 0), -ENOSPC);
}

static void short_arguments(void **state)
{
	static const char zeros[200];
	struct direct *d = *state;

	/* Every opcode with every length of argument: nothing but an answer. */
	for (uint32_t op = 0; op < WIRE_OPCODES + 10; op++) {
		for (size_t len = 0; len < sizeof(zeros); len++) {
			if (op == WIRE_DESTROY || op == WIRE_INIT)
				continue;
			assert_true(direct_call(d, op, 1, zeros, len) >= 0);
		}
	}
	assert_int_equal(direct_error(d, WIRE_WRITE, 1, zeros, 39), -EINVAL);
	assert_int_equal(direct_error(d, 4096, 1, zeros, 16), -ENOSYS);
	assert_int_equal(direct_error(d, WIRE_OPEN, 1, zeros, 8), -ENOSYS);
	assert_int_equal(direct_error(d, WIRE_CREATE, 1, zeros, 16), -ENOSYS);
}

static void names(void **state)
{
	struct direct *d = *state;
	char long_name[9000];

	memset(long_name, 'x', sizeof(long_name));
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, "f", 1), -EINVAL); /* no NUL */
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, "", 1), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, ".", 2), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, "..", 3), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, "d/g", 4), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, "/etc", 5), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, long_name, sizeof(long_name)),
			 -ENAMETOOLONG);
	long_name[256] = 0;
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, long_name, 257), -ENAMETOOLONG);
	long_name[255] = 0;
	assert_int_equal(direct_error(d, WIRE_LOOKUP, 1, long_name, 256), 0);
	assert_int_equal(direct_error(d, WIRE_SYMLINK, 1, "a\0\0", 3),
			 -ENOENT); /* an empty target */
	assert_int_equal(direct_error(d, WIRE_SYMLINK, 1, "a\0b", 3), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_UNLINK, 1, "..", 3), -EINVAL);
}

static void nodeids(void **state)
{
	static const uint64_t ids[] = { 0,	    2,
					1ull << 62, (1ull << 62) | 1,
					UINT64_MAX, UINT64_MAX - 1,
					1ull << 63, 123456789 };
	struct direct *d = *state;
	struct wire_getattr_in get = { 0 };
	struct wire_read_in read = { .size = 4096 };
	struct wire_setattr_in set = { .valid = WIRE_FATTR_MODE, .mode = 0777 };
	struct wire_link_in link[2] = { 0 };
	struct wire_forget_in forget = { UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_int_equal(direct_error(d, WIRE_GETATTR, ids[i], &get, sizeof(get)), -ESTALE);
		assert_int_equal(direct_error(d, WIRE_LOOKUP, ids[i], "f", 2), -ESTALE);
		assert_int_equal(direct_error(d, WIRE_READ, ids[i], &read, sizeof(read)), -ESTALE);
		assert_int_equal(direct_error(d, WIRE_READDIR, ids[i], &read, sizeof(read)),
				 -ESTALE);
		assert_int_equal(direct_error(d, WIRE_SETATTR, ids[i], &set, sizeof(set)), -ESTALE);
		link[0].oldnodeid = ids[i];
		memcpy(&link[1], "new", 4);
		assert_int_equal(direct_error(d, WIRE_LINK, 1, link, 12), -ESTALE);
		assert_int_equal(direct_call(d, WIRE_FORGET, ids[i], &forget, sizeof(forget)), 0);
	}
	assert_int_equal(direct_error(d, WIRE_GETATTR, 1, &get, sizeof(get)), 0);
}

static void forgets(void **state)
{
	struct direct *d = *state;
	struct wire_forget_in forget = { 1 };
	struct {
		struct wire_batch_forget_in head;
		struct wire_forget_one one[3];
	} batch = { { UINT32_MAX, 0 }, { { 1, UINT64_MAX }, { 77, 5 }, { 0, 1 } } };
	struct wire_getattr_in get = { 0 };
	uint64_t id = direct_lookup(d, 1, "f");

	assert_true(id != 0);
	assert_int_equal(direct_lookup(d, 1, "f"), id);
	assert_int_equal(direct_call(d, WIRE_FORGET, id, &forget, sizeof(forget)), 0);
	assert_int_equal(direct_error(d, WIRE_GETATTR, id, &get, sizeof(get)), 0);
	assert_int_equal(direct_call(d, WIRE_FORGET, id, &forget, sizeof(forget)), 0);
	assert_int_equal(direct_error(d, WIRE_GETATTR, id, &get, sizeof(get)), -ESTALE);
	assert_int_equal(direct_call(d, WIRE_BATCH_FORGET, 0, &batch, sizeof(batch)), 0);
	assert_int_equal(direct_error(d, WIRE_GETATTR, 1, &get, sizeof(get)), 0);
}

static void read_into_pieces(void **state)
{
	struct direct *d = *state;
	struct wire_read_in in = { .size = 100 };
	struct wire_in_header h = { .len = sizeof(h) + sizeof(in), .opcode = WIRE_READ };
	char head[10], rest[9], tail[200];
	const struct iovec req[3] = { { &h, 7 },
				      { (char *)&h + 7, sizeof(h) - 7 },
				      { &in, sizeof(in) } };
	const struct iovec out[3] = { { head, 10 }, { rest, 9 }, { tail, sizeof(tail) } };

	h.nodeid = direct_lookup(d, 1, "f");
	assert_int_equal(ufs_serve(d->conn, req, 3, out, 3), sizeof(struct wire_out_header) + 8);
	assert_memory_equal(rest + 6, "low", 3);
	assert_memory_equal(tail, "er f\n", 5);
}

static void reads(void **state)
{
	struct direct *d = *state;
	uint64_t f = direct_lookup(d, 1, "f");
	struct wire_read_in in = { .size = UINT32_MAX, .offset = 3 };

	assert_int_equal(direct_call(d, WIRE_READ, f, &in, sizeof(in)),
			 sizeof(struct wire_out_header) + 5);
	in.offset = UINT64_MAX;
	assert_int_equal(direct_error(d, WIRE_READ, f, &in, sizeof(in)), -EINVAL);
	in.offset = 1ull << 60;
	assert_int_equal(direct_call(d, WIRE_READ, f, &in, sizeof(in)),
			 sizeof(struct wire_out_header));
	assert_int_equal(direct_error(d, WIRE_READ, 1, &in, sizeof(in)), -EISDIR);
	in.offset = 1ull << 62 | 12345;
	assert_int_equal(direct_error(d, WIRE_READDIR, 1, &in, sizeof(in)), 0);
	in.offset = UINT64_MAX;
	assert_int_equal(direct_error(d, WIRE_READDIR, 1, &in, sizeof(in)), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_READDIR, f, &in, sizeof(in)), -ENOTDIR);
	in.offset = 0;
	in.size = 3;
	assert_int_equal(direct_call(d, WIRE_READDIR, 1, &in, sizeof(in)),
			 sizeof(struct wire_out_header));
}

struct write_request {
	struct wire_write_in in;
	char data[16];
};

static void writes(void **state)
{
	struct direct *d = *state;
	uint64_t f = direct_lookup(d, 1, "f");
	struct write_request w = { { .size = 65536 }, "UPPER" };
	char text[32] = "";
	int fd;

	assert_int_equal(direct_error(d, WIRE_WRITE, f, &w, sizeof(w)), -EINVAL);
	w.in.size = 5;
	assert_int_equal(direct_error(d, WIRE_WRITE, f, &w, sizeof(w.in) + 4), -EINVAL);
	w.in.offset = INT64_MAX;
	assert_int_equal(direct_error(d, WIRE_WRITE, f, &w, sizeof(w.in) + 5), -EINVAL);
	w.in.offset = 0;
	assert_int_equal(direct_error(d, WIRE_WRITE, f, &w, sizeof(w.in) + 5), 0);
	assert_int_equal(direct_error(d, WIRE_WRITE, 1, &w, sizeof(w.in) + 5), -EISDIR);
	fd = openat(d->upper, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 8);
	assert_string_equal(text, "UPPER f\n");
	close(fd);
	/* The lower is as it was. */
	fd = openat(d->lower, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 8);
	assert_string_equal(text, "lower f\n");
	close(fd);
}

static void xattrs(void **state)
{
	struct direct *d = *state;
	struct {
		struct wire_setxattr_in in;
		char rest[64];
	} set = { { .size = 70000 }, "user.a\0value" };
	struct {
		struct wire_getxattr_in in;
		char name[64];
	} get = { { .size = UINT32_MAX }, "user.a" };

	assert_int_equal(direct_error(d, WIRE_SETXATTR, 1, &set, sizeof(set.in) + 12), -E2BIG);
	set.in.size = 6;
	assert_int_equal(direct_error(d, WIRE_SETXATTR, 1, &set, sizeof(set.in) + 12), -EINVAL);
	set.in.size = 5;
	assert_int_equal(direct_error(d, WIRE_SETXATTR, 1, &set, sizeof(set.in) + 12), 0);
	assert_int_equal(direct_call(d, WIRE_GETXATTR, 1, &get, sizeof(get.in) + 7),
			 sizeof(struct wire_out_header) + 5);
	memcpy(set.rest, "user.containers.override_stat\0x", 31);
	set.in.size = 1;
	assert_int_equal(direct_error(d, WIRE_SETXATTR, 1, &set, sizeof(set.in) + 31), -EPERM);
	memcpy(get.name, "user.containers.override_stat", 30);
	assert_int_equal(direct_error(d, WIRE_GETXATTR, 1, &get, sizeof(get.in) + 30), -ENODATA);
	memcpy(set.rest, "system.posix_acl_access\0x", 25);
	assert_int_equal(direct_error(d, WIRE_SETXATTR, 1, &set, sizeof(set.in) + 25), -EINVAL);
	memcpy(get.name, "security.selinux", 17);
	assert_int_equal(direct_error(d, WIRE_GETXATTR, 1, &get, sizeof(get.in) + 17), -EOPNOTSUPP);
}

static void init_again(void **state)
{
	struct direct *d = *state;
	struct wire_init_in in = { .major = 7, .minor = 20, .flags = UINT32_MAX };
	const struct wire_init_out *o = (const void *)(d->out + 1);
	struct wire_getattr_in get = { 0 };
	uint64_t f = direct_lookup(d, 1, "f");

	assert_int_equal(direct_init(d), 0);
	assert_int_equal(o->major, 7);
	assert_int_equal(o->max_write, 1 << 20);
	/* It starts anew: what it knew is gone. */
	assert_int_equal(direct_error(d, WIRE_GETATTR, f, &get, sizeof(get)), -ESTALE);
	assert_true(direct_lookup(d, 1, "f") != 0);
	assert_int_equal(direct_error(d, WIRE_INIT, 0, &in, sizeof(in)), -EPROTO);
	in.major = 8;
	assert_int_equal(direct_error(d, WIRE_INIT, 0, &in, sizeof(in)), 0);
	assert_int_equal(o->major, 7);
	in = (struct wire_init_in){ .major = 7,
				    .minor = 31,
				    .flags = UINT32_MAX & ~(uint32_t)WIRE_INIT_EXT };
	assert_int_equal(direct_error(d, WIRE_INIT, 0, &in, 16), 0);
	assert_int_equal(direct_error(d, WIRE_DESTROY, 0, NULL, 0), 0);
	assert_int_equal(direct_error(d, WIRE_GETATTR, 1, &get, sizeof(get)), -EIO);
	assert_int_equal(direct_init(d), 0);
	assert_int_equal(direct_error(d, WIRE_GETATTR, 1, &get, sizeof(get)), 0);
}

static void renames(void **state)
{
	struct direct *d = *state;
	struct {
		struct wire_rename2_in in;
		char names[16];
	} r = { { .newdir = 99, .flags = 0 }, "f\0g" };

	assert_int_equal(direct_error(d, WIRE_RENAME2, 1, &r, sizeof(r.in) + 4), -ESTALE);
	r.in.newdir = 1;
	r.in.flags = 1 << 2; /* RENAME_WHITEOUT */
	assert_int_equal(direct_error(d, WIRE_RENAME2, 1, &r, sizeof(r.in) + 4), -EINVAL);
	r.in.flags = 3;
	assert_int_equal(direct_error(d, WIRE_RENAME2, 1, &r, sizeof(r.in) + 4), -EINVAL);
	r.in.flags = 0;
	assert_int_equal(direct_error(d, WIRE_RENAME2, 1, &r, sizeof(r.in) + 2), -EINVAL);
	assert_int_equal(direct_error(d, WIRE_RENAME2, 1, &r, sizeof(r.in) + 4), 0);
	assert_int_equal(direct_lookup(d, 1, "f"), 0);
	r.in.newdir = direct_lookup(d, 1, "g");
	memcpy(r.names, "d\0x", 4);
	assert_int_equal(direct_error(d, WIRE_RENAME2, 1, &r, sizeof(r.in) + 4), -ENOTDIR);
	memcpy(r.names, "s\0x", 4);
	assert_int_equal(direct_error(d, WIRE_RENAME2, 1, &r, sizeof(r.in) + 4), -ENOTDIR);
}

static void read_only(void **state)
{
	struct direct d;
	struct {
		struct wire_mkdir_in in;
		char name[4];
	} m = { { .mode = 0755 }, "x" };

	(void)state;
	assert_int_equal(direct_begin(&d, UFS_UPPER_NONE), 0);
	assert_int_equal(direct_error(&d, WIRE_LOOKUP, 1, "f", 2), -EIO); /* before INIT */
	assert_int_equal(direct_init(&d), 0);
	assert_int_equal(direct_error(&d, WIRE_MKDIR, 1, &m, sizeof(m.in) + 2), -EROFS);
	assert_true(direct_lookup(&d, 1, "d") != 0);
	direct_end(&d);
}

static void top_in_use(void **state)
{
	struct direct *d = *state;
	struct ufs_lower lower = { .kind = UFS_LOWER_DIR, .fd = d->lower };
	struct ufs_config cfg = {
		.lowers = &lower, .nlowers = 1, .upper = UFS_UPPER_MAPPED, d->upper, d->work
	};
	struct ufs *u;

	assert_int_equal(ufs_new(&cfg, &u), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(short_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(short_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(nodeids, setup, teardown),
		cmocka_unit_test_setup_teardown(forgets, setup, teardown),
		cmocka_unit_test_setup_teardown(read_into_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(reads, setup, teardown),
		cmocka_unit_test_setup_teardown(writes, setup, teardown),
		cmocka_unit_test_setup_teardown(xattrs, setup, teardown),
		cmocka_unit_test_setup_teardown(init_again, setup, teardown),
		cmocka_unit_test_setup_teardown(renames, setup, teardown),
		cmocka_unit_test(read_only),
		cmocka_unit_test_setup_teardown(top_in_use, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
