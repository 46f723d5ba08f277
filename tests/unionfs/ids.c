/* SPDX-License-Identifier: Apache-2.0 */
/* Owners shown against owners stored; and what else a mount's options say of every answer. */
#include "base/mem.h"
#include "unionfs/acl.h"
#include "unionfs/union.h"

#include <sys/xattr.h>

#include "direct_unit.h"

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static const struct wire_entry_out *entry(const char *name)
{
	const struct wire_entry_out *o = (const void *)(d.out + 1);

	assert_int_equal(direct_error(&d, WIRE_LOOKUP, 1, name, strlen(name) + 1), 0);
	assert_true(o->nodeid);
	return o;
}

static struct stat on_disk(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static int set_owner(const char *name, uint32_t uid, uint32_t gid)
{
	struct wire_setattr_in in = { .valid = WIRE_FATTR_UID | WIRE_FATTR_GID,
				      .uid = uid,
				      .gid = gid };

	return direct_error(&d, WIRE_SETATTR, entry(name)->nodeid, &in, sizeof(in));
}

/* Made by the client's user @uid:@gid. */
static void make_as(const char *name, uint32_t uid, uint32_t gid)
{
	struct {
		struct wire_in_header h;
		struct wire_mknod_in in;
		char name[16];
	} m = {
		.h = { .opcode = WIRE_MKNOD, .unique = 2, .nodeid = 1, .uid = uid, .gid = gid },
		.in = { .mode = S_IFREG | 0644 },
	};
	size_t len = sizeof(m.h) + sizeof(m.in) + strlen(name) + 1;
	const struct iovec in = { &m, len }, out = { d.out, DIRECT_REPLY };

	memcpy(m.name, name, strlen(name) + 1);
	m.h.len = (uint32_t)len;
	assert_true(ufs_serve(d.conn, &in, 1, &out, 1) > 0);
	assert_int_equal(d.out->error, 0);
}

static const struct ufs_id_range ranges[] = { { 0, 1000, 1 }, { 1, 100000, 10 } };

static void functions(void **state)
{
	const struct ufs_ids from = { .ranges = ranges, .n = 2 },
			     squash = { .squash = true, .squashed = 33 }, none = { 0 };
	struct ids ids;

	(void)state;
	assert_int_equal(ids_init(&ids, &from, 7), 0);
	assert_int_equal(ids_show(&ids, 0), 1000);
	assert_int_equal(ids_show(&ids, 1), 100000);
	assert_int_equal(ids_show(&ids, 10), 100009);
	assert_int_equal(ids_show(&ids, 11), IDS_NOBODY);
	assert_int_equal(ids_store(&ids, 1000), 0);
	assert_int_equal(ids_store(&ids, 100009), 10);
	assert_int_equal(ids_store(&ids, 100010), IDS_NOBODY);
	assert_int_equal(ids_store(&ids, 0), IDS_NOBODY);
	ids_done(&ids);
	assert_int_equal(ids_init(&ids, &squash, 7), 0);
	assert_int_equal(ids_show(&ids, 5), 33);
	assert_int_equal(ids_store(&ids, 5), 7);
	assert_int_equal(ids_init(&ids, &none, 7), 0);
	assert_int_equal(ids_show(&ids, 4294967294u), 4294967294u);
	assert_int_equal(ids_store(&ids, 5), 5);
}

static void bad_ranges(void **state)
{
	static const struct ufs_id_range bad[] = {
		{ 0, 0, 0 },
		{ 0, UINT32_MAX, 1 },
		{ UINT32_MAX - 5, 0, 6 },
		{ 0, 4294967290u, 100 },
	};
	const struct ufs_id_range good = { UINT32_MAX - 6, 0, 6 }, *many;
	struct ids ids;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(ids_init(&ids, &(struct ufs_ids){ .ranges = &bad[i], .n = 1 }, 0),
				 -EINVAL);
		ids_done(&ids);
	}
	many = calloc(UFS_ID_RANGES_MAX + 1, sizeof(*many));
	assert_int_equal(
		ids_init(&ids, &(struct ufs_ids){ .ranges = many, .n = UFS_ID_RANGES_MAX + 1 }, 0),
		-EINVAL);
	free((void *)many);
	assert_int_equal(ids_init(&ids, &(struct ufs_ids){ .ranges = &good, .n = 1 }, 0), 0);
	assert_int_equal(ids_show(&ids, UINT32_MAX - 1), 5);
	ids_done(&ids);
}

static void mapped_owners(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(fchownat(d.lower, "f", 3, 30, 0), 0);
	open_with((struct ufs_config){ .uids = { .ranges = ranges, .n = 2 } });
	assert_int_equal(entry("f")->attr.uid, 100002);
	assert_int_equal(entry("f")->attr.gid, 30); /* no ranges of groups: as they are */
	assert_int_equal(entry("d")->attr.uid, 1000);
	make_as("new", 100004, 9);
	assert_int_equal(on_disk(d.upper, "new").st_uid, 5);
	assert_int_equal(on_disk(d.upper, "new").st_gid, 9);
	assert_int_equal(entry("new")->attr.uid, 100004);
	/* The host's root is nobody there. */
	make_as("other", 0, 0);
	assert_int_equal(on_disk(d.upper, "other").st_uid, IDS_NOBODY);
	assert_int_equal(entry("other")->attr.uid, IDS_NOBODY);
	assert_int_equal(set_owner("f", 100000, 31), 0);
	assert_int_equal(on_disk(d.upper, "f").st_uid, 1);
	assert_int_equal(on_disk(d.upper, "f").st_gid, 31);
	assert_int_equal(entry("f")->attr.uid, 100000);
}

static void squashed(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(fchownat(d.lower, "f", 3, 30, 0), 0);
	open_with((struct ufs_config){ .uids = { .squash = true, .squashed = 33 },
				       .gids = { .squash = true, .squashed = 34 } });
	assert_int_equal(entry("f")->attr.uid, 33);
	assert_int_equal(entry("f")->attr.gid, 34);
	make_as("new", 33, 34);
	assert_int_equal(on_disk(d.upper, "new").st_uid, geteuid());
	assert_int_equal(entry("new")->attr.uid, 33);
	/* Accepted, without effect; what was copied up keeps its owner. */
	assert_int_equal(set_owner("f", 500, 501), 0);
	assert_int_equal(on_disk(d.upper, "f").st_uid, 3);
	assert_int_equal(on_disk(d.upper, "f").st_gid, 30);
	assert_int_equal(entry("f")->attr.gid, 34);
}

static const struct {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[6];
} acl = { 2,
	  { { 1, 7, UINT32_MAX },
	    { 2, 6, 100001 },
	    { 4, 5, UINT32_MAX },
	    { 8, 4, 100002 },
	    { 0x10, 7, UINT32_MAX },
	    { 0x20, 0, UINT32_MAX } } };

/* Sets the ACL above on @name: the answer's error. */
static int set_acl(const char *name)
{
	struct {
		struct wire_setxattr_in in;
		char rest[sizeof(ACL_ACCESS) + sizeof(acl)];
	} m = { .in = { .size = sizeof(acl) } };

	memcpy(m.rest, ACL_ACCESS, sizeof(ACL_ACCESS));
	memcpy(m.rest + sizeof(ACL_ACCESS), &acl, sizeof(acl));
	return direct_error(&d, WIRE_SETXATTR, entry(name)->nodeid, &m, sizeof(m));
}

static int get_acl(const char *name)
{
	struct {
		struct wire_getxattr_in in;
		char name[sizeof(ACL_ACCESS)];
	} m = { .in = { .size = 1024 }, .name = ACL_ACCESS };

	return direct_error(&d, WIRE_GETXATTR, entry(name)->nodeid, &m, sizeof(m));
}

static uint32_t id_at(const void *value, size_t entry_no)
{
	uint32_t id;

	memcpy(&id, (const char *)value + 4 + entry_no * 8 + 4, sizeof(id));
	return id;
}

static void mapped_acl(void **state)
{
	char stored[128];
	int fd;

	(void)state;
	need_root();
	open_with((struct ufs_config){ .uids = { .ranges = ranges, .n = 2 },
				       .gids = { .ranges = ranges, .n = 2 } });
	assert_int_equal(set_acl("f"), 0);
	fd = openat(d.upper, "f", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fgetxattr(fd, ACL_ACCESS, stored, sizeof(stored)), sizeof(acl));
	close(fd);
	assert_int_equal(id_at(stored, 1), 2);
	assert_int_equal(id_at(stored, 3), 3);
	assert_int_equal(get_acl("f"), 0);
	assert_memory_equal(d.out + 1, &acl, sizeof(acl));
}

static void without_acl(void **state)
{
	struct wire_getxattr_in list = { .size = 1024 };
	struct wire_init_in init = { .major = 7, .minor = 38, .flags = UINT32_MAX };
	const struct wire_init_out *o;
	int fd;

	(void)state;
	need_root();
	fd = openat(d.lower, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(fsetxattr(fd, ACL_ACCESS, &acl, sizeof(acl), 0), 0);
	assert_int_equal(fsetxattr(fd, "user.x", "1", 1, 0), 0);
	close(fd);
	open_with((struct ufs_config){ .noacl = true });
	assert_int_equal(direct_error(&d, WIRE_INIT, 0, &init, sizeof(init)), 0);
	o = (const void *)(d.out + 1);
	assert_false(o->flags & WIRE_POSIX_ACL);
	assert_int_equal(get_acl("f"), -EOPNOTSUPP);
	assert_int_equal(set_acl("f"), -EOPNOTSUPP);
	assert_int_equal(direct_error(&d, WIRE_LISTXATTR, entry("f")->nodeid, &list, sizeof(list)),
			 0);
	assert_memory_equal(d.out + 1, "user.x", 7);
	assert_int_equal(d.out->len, sizeof(*d.out) + 7);
}

static void validity(void **state)
{
	const struct timespec t = { 2, 500000000 };
	struct wire_init_in init = { .major = 7, .minor = 38, .flags = UINT32_MAX };
	const struct wire_entry_out *o;
	const struct wire_attr_out *a;
	struct wire_getattr_in get = { 0 };

	(void)state;
	open_with((struct ufs_config){ .timeout = &t, .static_nlink = true });
	o = entry("f");
	assert_int_equal(o->entry_valid, 2);
	assert_int_equal(o->entry_valid_nsec, 500000000);
	assert_int_equal(o->attr_valid, 2);
	assert_int_equal(o->attr_valid_nsec, 500000000);
	assert_int_equal(direct_error(&d, WIRE_LOOKUP, 1, "absent", 7), 0);
	o = (const void *)(d.out + 1);
	assert_int_equal(o->nodeid, 0);
	assert_int_equal(o->entry_valid, 2);
	assert_int_equal(direct_error(&d, WIRE_GETATTR, 1, &get, sizeof(get)), 0);
	a = (const void *)(d.out + 1);
	assert_int_equal(a->attr_valid_nsec, 500000000);
	assert_int_equal(a->attr.nlink, 1); /* a directory's, with static_nlink */
	assert_int_equal(direct_error(&d, WIRE_INIT, 0, &init, sizeof(init)), 0);
	assert_true(((const struct wire_init_out *)(d.out + 1))->flags & WIRE_AUTO_INVAL_DATA);
	direct_close(&d);
	open_with((struct ufs_config){ 0 });
	assert_int_equal(entry("f")->entry_valid, 1 << 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions),
		cmocka_unit_test(bad_ranges),
		cmocka_unit_test_setup_teardown(mapped_owners, begin, end),
		cmocka_unit_test_setup_teardown(squashed, begin, end),
		cmocka_unit_test_setup_teardown(mapped_acl, begin, end),
		cmocka_unit_test_setup_teardown(without_acl, begin, end),
		cmocka_unit_test_setup_teardown(validity, begin, end),
	};

	return cmocka_run_group_tests_name("unionfs/ids", tests, NULL, NULL);
}
