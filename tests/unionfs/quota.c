/* SPDX-License-Identifier: Apache-2.0 */
/* size=: how much the top may hold, and what is counted. */
#include "base/mem.h"
#include "unionfs/union.h"

#include <linux/falloc.h>
#include <sys/xattr.h>

#include "direct_unit.h"

#define LIMIT (1u << 20)
#define CHUNK 65536u
#define SLACK 8192u /* a file's last block, and one that a file system needs to find the others */

static int make(const char *name, uint32_t mode)
{
	struct {
		struct wire_in_header h;
		struct wire_mknod_in in;
		char name[32];
	} m = {
		.h = { .opcode = WIRE_MKNOD,
		       .unique = 2,
		       .nodeid = 1,
		       .uid = geteuid(),
		       .gid = getegid() },
		.in = { .mode = mode },
	};
	size_t len = sizeof(m.h) + sizeof(m.in) + strlen(name) + 1;
	const struct iovec in = { &m, len }, out = { d.out, DIRECT_REPLY };

	memcpy(m.name, name, strlen(name) + 1);
	m.h.len = (uint32_t)len;
	d.out->error = 0;
	assert_true(ufs_serve(d.conn, &in, 1, &out, 1) > 0);
	return d.out->error;
}

/* Bytes written or -errno. */
static int64_t put(const char *name, uint64_t off, uint32_t len, uint32_t flags)
{
	struct wire_write_in in = { .offset = off, .size = len, .write_flags = flags };
	_free_ char *all = calloc(1, sizeof(in) + len);
	int e;

	memcpy(all, &in, sizeof(in));
	memset(all + sizeof(in), 'x', len);
	e = direct_error(&d, WIRE_WRITE, direct_lookup(&d, 1, name), all, sizeof(in) + len);
	return e ? e : (int64_t)((const struct wire_write_out *)(d.out + 1))->size;
}

/* Writes until nothing more goes: how much it was. */
static uint64_t fill(const char *name, uint64_t off)
{
	uint64_t all = 0;
	int64_t n;

	while ((n = put(name, off + all, CHUNK, 0)) > 0)
		all += (uint64_t)n;
	assert_int_equal(n, -ENOSPC);
	return all;
}

static void near_limit(uint64_t bytes, uint64_t limit)
{
	if (bytes > limit || bytes + 4 * SLACK < limit)
		fail_msg("%llu bytes went in where %llu may be", (unsigned long long)bytes,
			 (unsigned long long)limit);
}

static int truncate_to(const char *name, uint64_t size)
{
	struct wire_setattr_in in = { .valid = WIRE_FATTR_SIZE, .size = size };

	return direct_error(&d, WIRE_SETATTR, direct_lookup(&d, 1, name), &in, sizeof(in));
}

static int unlink_name(const char *name)
{
	return direct_error(&d, WIRE_UNLINK, 1, name, strlen(name) + 1);
}

static void forget(uint64_t id)
{
	struct wire_forget_in in = { UINT32_MAX };

	direct_call(&d, WIRE_FORGET, id, &in, sizeof(in));
}

static void writing(void **state)
{
	uint64_t n, id;

	(void)state;
	open_with((struct ufs_config){ .size = LIMIT });
	assert_int_equal(make("a", S_IFREG | 0644), 0);
	n = fill("a", 0);
	near_limit(n, LIMIT);
	/* What is there can be written again, nothing beyond; nor made. */
	assert_int_equal(put("a", 0, CHUNK, 0), CHUNK);
	assert_int_equal(put("a", n, 1, 0), -ENOSPC);
	assert_int_equal(make("b", S_IFIFO | 0644), -ENOSPC);
	/* Shorter: there is room again. */
	assert_int_equal(truncate_to("a", n / 2), 0);
	assert_int_equal(make("b", S_IFREG | 0644), 0);
	near_limit(fill("b", 0) + n / 2, LIMIT);
	/* Removed, but known: not yet; forgotten: yes. */
	id = direct_lookup(&d, 1, "a");
	assert_int_equal(unlink_name("a"), 0);
	assert_int_equal(make("c", S_IFREG | 0644), -ENOSPC);
	forget(id);
	assert_int_equal(make("c", S_IFREG | 0644), 0);
	assert_true(fill("c", 0) + 4 * SLACK >= n / 2);
}

/* As much of a write as there is room for, but all or nothing of what a map wrote back. */
static void short_writes(void **state)
{
	int64_t n;

	(void)state;
	open_with((struct ufs_config){ .size = CHUNK });
	assert_int_equal(make("a", S_IFREG | 0644), 0);
	assert_int_equal(put("a", 0, 2 * CHUNK, WIRE_WRITE_CACHE), -ENOSPC);
	n = put("a", 0, 2 * CHUNK, 0);
	assert_true(n > 0 && n <= CHUNK);
}

static void holes(void **state)
{
	struct wire_fallocate_in in = { .length = LIMIT / 2 };

	(void)state;
	open_with((struct ufs_config){ .size = LIMIT });
	assert_int_equal(make("a", S_IFREG | 0644), 0);
	/* A large hole takes no room; what is put into it does. */
	assert_int_equal(truncate_to("a", 1ull << 32), 0);
	assert_int_equal(put("a", 1ull << 31, 4096, 0), 4096);
	assert_int_equal(truncate_to("a", 0), 0);
	assert_int_equal(
		direct_error(&d, WIRE_FALLOCATE, direct_lookup(&d, 1, "a"), &in, sizeof(in)), 0);
	assert_int_equal(make("b", S_IFREG | 0644), 0);
	near_limit(fill("b", 0) + LIMIT / 2, LIMIT);
	/* Room that was allocated is the file's. */
	assert_int_equal(put("a", CHUNK, CHUNK, 0), CHUNK);
	in.length = LIMIT;
	assert_int_equal(direct_error(&d, WIRE_FALLOCATE, direct_lookup(&d, 1, "a"), &in,
				      sizeof(in)),
			 -ENOSPC);
	in = (struct wire_fallocate_in){ .length = LIMIT / 2,
					 .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
	assert_int_equal(
		direct_error(&d, WIRE_FALLOCATE, direct_lookup(&d, 1, "a"), &in, sizeof(in)), 0);
	assert_int_equal(put("b", LIMIT, CHUNK, 0), CHUNK);
}

static void make_lower(const char *name, uint32_t size)
{
	int fd = openat(d.lower, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	for (uint32_t at = 0; at < size; at += CHUNK) {
		static const char bytes[CHUNK] = { 1 };

		assert_int_equal(pwrite(fd, bytes, CHUNK, at), CHUNK);
	}
	close(fd);
}

static void check_copies(bool metacopy)
{
	struct wire_setattr_in chmod = { .valid = WIRE_FATTR_MODE, .mode = 0600 };
	struct stat st;

	make_lower("large", 2 * LIMIT);
	make_lower("small", 2 * CHUNK);
	open_with((struct ufs_config){ .size = LIMIT, .metacopy = metacopy });
	assert_int_equal(put("large", 0, 1, 0), -ENOSPC);
	assert_int_equal(direct_error(&d, WIRE_SETATTR, direct_lookup(&d, 1, "large"), &chmod,
				      sizeof(chmod)),
			 metacopy ? 0 : -ENOSPC);
	assert_int_equal(put("large", 0, 1, 0), -ENOSPC);
	assert_int_equal(put("small", 0, 1, 0), 1);
	assert_int_equal(fstatat(d.upper, "small", &st, 0), 0);
	assert_int_equal(st.st_size, 2 * CHUNK);
	assert_int_equal(make("a", S_IFREG | 0644), 0);
	near_limit(fill("a", 0) + 2 * CHUNK, LIMIT);
	/* Cut to nothing, a file needs no copy. */
	assert_int_equal(truncate_to("a", 0), 0);
	assert_int_equal(truncate_to("large", 0), 0);
	near_limit(fill("large", 0) + 2 * CHUNK, LIMIT);
}

static void copies(void **state)
{
	(void)state;
	check_copies(false);
}

static void copies_of_attributes(void **state)
{
	(void)state;
	check_copies(true);
}

/* The names of one file are one file; a replaced file is gone; a directory costs. */
static void names(void **state)
{
	struct {
		struct wire_link_in in;
		char name[8];
	} link = { .name = "b" };
	struct {
		struct wire_rename_in in;
		char names[8];
	} rename = { .in = { .newdir = 1 }, .names = "c\0a" };
	struct {
		struct wire_mkdir_in in;
		char name[8];
	} dir = { .in = { .mode = 0755 } };
	int made = 0;

	(void)state;
	open_with((struct ufs_config){ .size = LIMIT });
	assert_int_equal(make("a", S_IFREG | 0644), 0);
	link.in.oldnodeid = direct_lookup(&d, 1, "a");
	near_limit(fill("a", 0), LIMIT);
	assert_int_equal(direct_error(&d, WIRE_LINK, 1, &link, sizeof(link.in) + 2), 0);
	forget(link.in.oldnodeid);
	assert_int_equal(unlink_name("a"), 0);
	/* The other name keeps it. */
	assert_int_equal(make("c", S_IFREG | 0644), -ENOSPC);
	assert_int_equal(truncate_to("b", LIMIT / 2), 0);
	assert_int_equal(make("c", S_IFREG | 0644), 0);
	forget(direct_lookup(&d, 1, "b"));
	rename.names[2] = 'b';
	assert_int_equal(direct_error(&d, WIRE_RENAME, 1, &rename, sizeof(rename.in) + 4), 0);
	near_limit(fill("b", 0), LIMIT);
	assert_int_equal(truncate_to("b", LIMIT / 2), 0);
	do {
		snprintf(dir.name, sizeof(dir.name), "d%d", made++);
	} while (direct_error(&d, WIRE_MKDIR, 1, &dir, sizeof(dir.in) + strlen(dir.name) + 1) ==
			 0 &&
		 made < 1000);
	assert_in_range(made, LIMIT / 2 / 4096 - 8, LIMIT / 2 / 4096 + 1);
	assert_int_equal(d.out->error, -ENOSPC);
}

/* What is there when it begins is counted, and each file once. */
static void counted_anew(void **state)
{
	const struct wire_statfs_out *o;

	(void)state;
	open_with((struct ufs_config){ 0 });
	assert_int_equal(make("a", S_IFREG | 0644), 0);
	assert_int_equal(put("a", 0, 4 * CHUNK, 0), 4 * CHUNK);
	for (int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "l%d", i);
		assert_int_equal(linkat(d.upper, "a", d.upper, name, 0), 0);
	}
	assert_int_equal(unlink_name("f"), 0); /* a whiteout: nothing */
	direct_close(&d);
	open_with((struct ufs_config){ .size = LIMIT });
	assert_int_equal(direct_error(&d, WIRE_STATFS, 1, NULL, 0), 0);
	o = (const void *)(d.out + 1);
	assert_int_equal(o->blocks * o->frsize, LIMIT);
	near_limit((o->blocks - o->bfree) * o->frsize + LIMIT - 4 * CHUNK - SLACK, LIMIT);
	assert_int_equal(make("b", S_IFREG | 0644), 0);
	near_limit(fill("b", 0) + 4 * CHUNK, LIMIT);
	assert_int_equal(direct_error(&d, WIRE_STATFS, 1, NULL, 0), 0);
	o = (const void *)(d.out + 1);
	assert_in_range(o->bfree * o->frsize, 0, SLACK);
	direct_close(&d);
	/* Smaller than what is there: nothing more goes in, all can be read and removed. */
	open_with((struct ufs_config){ .size = 4096 });
	assert_int_equal(make("c", S_IFREG | 0644), -ENOSPC);
	assert_int_equal(put("b", 0, 10, 0), 10);
	assert_int_equal(unlink_name("b"), 0);
}

static void xattrs(void **state)
{
	struct {
		struct wire_setxattr_in in;
		char rest[3000];
	} m = { .in = { .size = 2900 }, .rest = "user.x" };

	(void)state;
	open_with((struct ufs_config){ .size = LIMIT });
	assert_int_equal(make("a", S_IFREG | 0644), 0);
	assert_int_equal(direct_error(&d, WIRE_SETXATTR, direct_lookup(&d, 1, "a"), &m,
				      sizeof(m.in) + 7 + 2900),
			 0);
	near_limit(fill("a", 0), LIMIT);
	assert_int_equal(make("b", S_IFREG | 0644), -ENOSPC);
	m.rest[5] = 'y';
	assert_int_equal(direct_error(&d, WIRE_SETXATTR, direct_lookup(&d, 1, "a"), &m,
				      sizeof(m.in) + 7 + 2900),
			 -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writing, begin, end),
		cmocka_unit_test_setup_teardown(short_writes, begin, end),
		cmocka_unit_test_setup_teardown(holes, begin, end),
		cmocka_unit_test_setup_teardown(copies, begin, end),
		cmocka_unit_test_setup_teardown(copies_of_attributes, begin, end),
		cmocka_unit_test_setup_teardown(names, begin, end),
		cmocka_unit_test_setup_teardown(counted_anew, begin, end),
		cmocka_unit_test_setup_teardown(xattrs, begin, end),
	};

	return cmocka_run_group_tests_name("unionfs/quota", tests, NULL, NULL);
}
