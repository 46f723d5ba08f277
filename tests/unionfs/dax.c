/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DAX window without a guest: requests put together by hand, files mapped into memory of this
 * process, which is looked at.
 */
#include "layer/layer.h"
#include "tests/base/unit.h"
#include "tests/unionfs/direct.h"
#include "unionfs/dax.h"

#include <linux/fs.h>
#include <sys/mman.h>

#define SLOTS	 4u
#define WINDOW	 (SLOTS * DAX_SLOT)
#define BIG	 (DAX_SLOT + 8192 + 100) /* bytes of the object */
#define FROM_END (BIG - DAX_SLOT - 1)

struct fixture {
	struct direct d;
	int object, index, pack, sums[2];
	uint8_t *window;
	uint64_t big, small;
	bool writes; /* somebody does, while the object is being opened */
};

static uint8_t content(uint64_t at)
{
	return (uint8_t)(at / 4096 * 7 + at);
}

/* ---- the carrier ---- */

static int window_map(void *ctx, int fd, uint64_t off, uint64_t at, uint64_t len, bool write)
{
	struct fixture *f = ctx;
	int prot = PROT_READ | (write ? PROT_WRITE : 0);

	assert_true(at < WINDOW && len <= WINDOW - at);
	return mmap(f->window + at, len, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)off) ==
			       MAP_FAILED ?
		       -errno :
		       0;
}

static int window_unmap(void *ctx, uint64_t at, uint64_t len)
{
	struct fixture *f = ctx;

	assert_true(at < WINDOW && len <= WINDOW - at);
	mmap(f->window + at, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return 0;
}

static int write_at(struct fixture *f, uint64_t off, const char *text);

static int object_open(void *ctx, _unused_ uint64_t nid, _unused_ const struct digest *digest)
{
	struct fixture *f = ctx;
	bool writes = f->writes;

	f->writes = false;
	if (writes)
		assert_ok(write_at(f, 4000, "written!"));
	return fcntl(f->object, F_DUPFD_CLOEXEC, 0);
}

/* ---- the union ---- */

static void object_make(struct fixture *f)
{
	_free_ uint8_t *data = malloc(BIG);

	assert_non_null(data);
	for (uint64_t i = 0; i < BIG; i++)
		data[i] = content(i);
	f->object = memfd_create("object", MFD_CLOEXEC);
	assert_ok(fd_pwrite_full(f->object, data, BIG, 0));
}

static void put(struct layer_tree *t, const char *name, uint64_t size, struct layer_content c)
{
	struct layer_attr a = { .mode = S_IFREG | 0644, .size = size };
	struct layer_node *n;

	assert_ok(layer_tree_put(t, layer_tree_root(t), name, strlen(name), &a, &n));
	assert_ok(layer_node_set_content(n, &c));
}

static void index_make(struct fixture *f)
{
	struct layer_content big = { .kind = LAYER_OBJECT };
	struct layer_device dev = { .blocks = 1 };
	struct layer_tree *t;

	assert_ok(sha256_of_fd(f->object, 0, &big.digest, NULL));
	assert_ok(layer_tree_new(&t));
	put(t, "big", BIG, big);
	put(t, "small", 5, (struct layer_content){ .kind = LAYER_INLINE, .data = "small" });
	f->index = memfd_create("index", MFD_CLOEXEC);
	f->pack = memfd_create("pack", MFD_CLOEXEC);
	assert_ok(ftruncate(f->pack, LAYER_BLOCK));
	assert_ok(layer_tree_write(t, &dev, 1, f->index));
	layer_tree_free(t);
	for (int i = 0; i < 2; i++) {
		f->sums[i] = memfd_create("sums", MFD_CLOEXEC);
		assert_ok(layer_index_sums(i ? f->pack : f->index, f->sums[i]));
	}
}

static void serve(struct fixture *f, enum ufs_upper_mode mode, bool has_window)
{
	const struct ufs_lower lower = { .kind = UFS_LOWER_INDEX,
					 .fd = f->index,
					 .packs = &f->pack,
					 .npacks = 1,
					 .sums = f->sums,
					 .object_open = object_open,
					 .ctx = f };
	const struct ufs_config cfg = {
		.lowers = &lower, .nlowers = 1, .upper = mode, .metacopy = true, .is_volatile = true
	};
	const struct ufs_carrier carrier = { .dax_len = has_window ? WINDOW : 0,
					     .dax_map = window_map,
					     .dax_unmap = window_unmap };

	assert_ok(direct_open(&f->d, &cfg));
	ufs_conn_free(f->d.conn);
	f->d.conn = ufs_conn_new(f->d.u, &carrier, f);
	assert_non_null(f->d.conn);
	assert_ok(direct_init(&f->d));
	f->big = direct_lookup(&f->d, 1, "big");
	f->small = direct_lookup(&f->d, 1, "small");
	assert_true(f->big && f->small);
}

static int setup_as(void **state, enum ufs_upper_mode mode, bool has_window)
{
	struct fixture *f = new0(struct fixture);

	assert_ok(direct_make(&f->d));
	f->window = mmap(NULL, WINDOW, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(f->window != MAP_FAILED);
	object_make(f);
	index_make(f);
	serve(f, mode, has_window);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_as(state, UFS_UPPER_MAPPED, true);
}

static int setup_rdonly(void **state)
{
	return setup_as(state, UFS_UPPER_NONE, true);
}

static int setup_without(void **state)
{
	return setup_as(state, UFS_UPPER_MAPPED, false);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	direct_end(&f->d);
	munmap(f->window, WINDOW);
	fd_close(f->object);
	fd_close(f->index);
	fd_close(f->pack);
	fd_close(f->sums[0]);
	fd_close(f->sums[1]);
	free(f);
	return 0;
}

/* ---- requests ---- */

static int map_as(struct fixture *f, uint64_t id, uint64_t off, uint64_t at, uint64_t len,
		  uint64_t flags)
{
	const struct wire_setupmapping_in in = {
		.fh = UINT64_MAX, .foffset = off, .len = len, .flags = flags, .moffset = at
	};

	return direct_error(&f->d, WIRE_SETUPMAPPING, id, &in, sizeof(in));
}

static int map(struct fixture *f, uint64_t off, unsigned slot)
{
	return map_as(f, f->big, off, slot * DAX_SLOT, DAX_SLOT, WIRE_MAP_READ);
}

static int unmap_as(struct fixture *f, uint32_t count, uint32_t sent, uint64_t at, uint64_t len)
{
	struct {
		struct wire_removemapping_in in;
		uint8_t ones[300 * sizeof(struct wire_removemapping_one)];
	} __attribute__((packed)) r = { .in = { count } };

	for (uint32_t i = 0; i < sent; i++) {
		const struct wire_removemapping_one one = { at, len };

		memcpy(r.ones + i * sizeof(one), &one, sizeof(one));
	}
	return direct_error(&f->d, WIRE_REMOVEMAPPING, f->big, &r,
			    sizeof(r.in) + sent * sizeof(struct wire_removemapping_one));
}

static int unmap(struct fixture *f, unsigned slot)
{
	return unmap_as(f, 1, 1, slot * DAX_SLOT, DAX_SLOT);
}

static bool says_dax(struct fixture *f, const char *name)
{
	assert_true(direct_lookup(&f->d, 1, name) != 0);
	return ((const struct wire_entry_out *)(f->d.out + 1))->attr.flags & WIRE_ATTR_DAX;
}

static int write_at(struct fixture *f, uint64_t off, const char *text)
{
	struct {
		struct wire_write_in in;
		char text[8];
	} w = { .in = { .offset = off, .size = 8 } };

	memcpy(w.text, text, 8);
	return direct_error(&f->d, WIRE_WRITE, f->big, &w, sizeof(w));
}

static const char *read_at(struct fixture *f, uint64_t off)
{
	const struct wire_read_in in = { .offset = off, .size = 8 };

	assert_ok(direct_error(&f->d, WIRE_READ, f->big, &in, sizeof(in)));
	return (const char *)(f->d.out + 1);
}

/* ---- tests ---- */

static void maps_objects(void **state)
{
	struct fixture *f = *state;

	assert_true(says_dax(f, "big"));
	assert_false(says_dax(f, "small"));
	assert_ok(map(f, 0, 1));
	assert_ok(map(f, DAX_SLOT, 3));
	for (uint64_t i = 0; i < DAX_SLOT; i += 1021)
		assert_int_equal(f->window[DAX_SLOT + i], content(i));
	assert_int_equal(f->window[3 * DAX_SLOT + FROM_END], content(DAX_SLOT + FROM_END));
	assert_int_equal(f->window[0], 0);
	/* Another place of the same in the same slot, shorter than what was there. */
	assert_ok(map_as(f, f->big, DAX_SLOT, DAX_SLOT, 4096, WIRE_MAP_READ));
	assert_int_equal(f->window[DAX_SLOT], content(DAX_SLOT));
	assert_int_equal(f->window[DAX_SLOT + 4096], 0);
	assert_ok(unmap(f, 3));
	assert_int_equal(f->window[3 * DAX_SLOT], 0);
	assert_ok(unmap(f, 3)); /* once more */
	assert_ok(unmap(f, 0)); /* never mapped */
}

static void refuses(void **state)
{
	struct fixture *f = *state;
	const uint64_t huge = UINT64_MAX - DAX_SLOT + 1;
	static const struct wire_mknod_in node = { .mode = S_IFREG | 0644 };
	struct {
		struct wire_mknod_in in;
		char name[8];
	} mk = { node, "born" };
	uint64_t born;

	assert_int_equal(map_as(f, f->big, 0, WINDOW, DAX_SLOT, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 0, huge, DAX_SLOT, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 0, 4096, DAX_SLOT, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 0, 0, 0, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 0, 0, 100, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 0, 0, DAX_SLOT + 4096, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 0, 0, UINT64_MAX - 4095, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 4096, 0, DAX_SLOT, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, huge, 0, DAX_SLOT, 2), -EINVAL);
	assert_int_equal(map_as(f, f->big, 0, 0, DAX_SLOT, 4), -EINVAL);
	assert_int_equal(map_as(f, f->small, 0, 0, DAX_SLOT, 2), -EOPNOTSUPP);
	assert_int_equal(map_as(f, 1, 0, 0, DAX_SLOT, 2), -EISDIR);
	assert_int_equal(map_as(f, 4711, 0, 0, DAX_SLOT, 2), -ESTALE);
	assert_ok(direct_error(&f->d, WIRE_MKNOD, 1, &mk, sizeof(mk)));
	born = ((const struct wire_entry_out *)(f->d.out + 1))->nodeid;
	assert_int_equal(map_as(f, born, 0, 0, DAX_SLOT, 2), -EOPNOTSUPP);
	assert_int_equal(unmap_as(f, 0, 0, 0, DAX_SLOT), -EINVAL);
	assert_int_equal(unmap_as(f, 257, 257, 0, DAX_SLOT), -EINVAL);
	assert_int_equal(unmap_as(f, UINT32_MAX, 1, 0, DAX_SLOT), -EINVAL);
	assert_int_equal(unmap_as(f, 2, 1, 0, DAX_SLOT), -EINVAL);
	assert_int_equal(unmap_as(f, 1, 1, WINDOW, DAX_SLOT), -EINVAL);
	assert_int_equal(unmap_as(f, 1, 1, 1, DAX_SLOT), -EINVAL);
	assert_int_equal(unmap_as(f, 1, 1, 0, UINT64_MAX), -EINVAL);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(f->window[i * DAX_SLOT], 0);
}

/* However often it is asked, there is one mapping a slot. */
static void flood(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 5000; i++)
		assert_ok(map(f, i % 3 ? DAX_SLOT : 0, i % SLOTS));
	assert_ok(unmap_as(f, 256, 256, 0, DAX_SLOT));
	assert_int_equal(f->window[0], 0);
	assert_ok(direct_init(&f->d)); /* the client starts anew */
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(f->window[i * DAX_SLOT], 0);
}

/* What is written shows in a mapping from before, and in one from after. */
static void copied_up(void **state)
{
	struct fixture *f = *state;

	assert_ok(map(f, 0, 0));
	assert_ok(write_at(f, 4000, "written!"));
	assert_memory_equal(f->window + 4000, "written!", 8);
	assert_false(says_dax(f, "big"));
	assert_ok(map(f, 0, 1));
	assert_memory_equal(f->window + DAX_SLOT + 4000, "written!", 8);
	assert_ok(write_at(f, BIG, "the end!"));
	assert_ok(map(f, DAX_SLOT, 2));
	assert_memory_equal(f->window + 2 * DAX_SLOT + FROM_END + 1, "the end!", 8);
}

/* Likewise when it is copied up between the mapping's first look at it and the mapping. */
static void copied_up_meanwhile(void **state)
{
	struct fixture *f = *state;

	f->writes = true;
	assert_ok(map(f, 0, 0));
	assert_false(f->writes);
	assert_memory_equal(f->window + 4000, "written!", 8);
	assert_ok(write_at(f, 5000, "and more"));
	assert_memory_equal(f->window + 5000, "and more", 8);
}

static void after_metacopy(void **state)
{
	struct fixture *f = *state;
	const struct wire_setattr_in mode = { .valid = WIRE_FATTR_MODE, .mode = S_IFREG | 0600 };

	assert_ok(map(f, 0, 0));
	assert_ok(direct_error(&f->d, WIRE_SETATTR, f->big, &mode, sizeof(mode)));
	assert_true(says_dax(f, "big")); /* its bytes are where they were */
	assert_ok(map(f, 0, 1));
	assert_ok(write_at(f, 0, "written!"));
	assert_memory_equal(f->window, "written!", 8);
	assert_memory_equal(f->window + DAX_SLOT, "written!", 8);
	assert_int_equal(f->window[8], content(8));
}

static void truncated(void **state)
{
	struct fixture *f = *state;
	const struct wire_setattr_in cut = { .valid = WIRE_FATTR_SIZE, .size = 100 };

	assert_ok(map(f, 0, 0));
	assert_ok(direct_error(&f->d, WIRE_SETATTR, f->big, &cut, sizeof(cut)));
	assert_int_equal(f->window[99], content(99));
	assert_int_equal(f->window[100], 0);
}

/* Stores into a mapping are the file's, and never the object's. */
static void stores(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 0;

	assert_ok(map_as(f, f->big, 0, 0, DAX_SLOT, WIRE_MAP_READ | WIRE_MAP_WRITE));
	assert_int_equal(f->window[77], content(77));
	memcpy(f->window + 4096, "by store", 8);
	assert_memory_equal(read_at(f, 4096), "by store", 8);
	assert_int_equal(pread(f->object, &byte, 1, 4096), 1);
	assert_int_equal(byte, content(4096));
}

/* Nor are they when only its attributes were copied up. */
static void stores_after_metacopy(void **state)
{
	struct fixture *f = *state;
	const struct wire_setattr_in mode = { .valid = WIRE_FATTR_MODE, .mode = S_IFREG | 0600 };

	assert_ok(map(f, 0, 1));
	assert_ok(direct_error(&f->d, WIRE_SETATTR, f->big, &mode, sizeof(mode)));
	stores(state);
	assert_memory_equal(f->window + DAX_SLOT + 4096, "by store", 8);
}

static int set_flags(struct fixture *f, uint32_t flags)
{
	struct {
		struct wire_ioctl_in in;
		uint32_t flags;
	} s = { .in = { .cmd = FS_IOC_SETFLAGS, .in_size = sizeof(flags) }, .flags = flags };

	return direct_error(&f->d, WIRE_IOCTL, f->big, &s, sizeof(s.in) + sizeof(flags));
}

/* A write through the window asks for no other leave than its mapping. */
static void immutable(void **state)
{
	struct fixture *f = *state;
	const uint64_t both = WIRE_MAP_READ | WIRE_MAP_WRITE;

	assert_ok(set_flags(f, FS_IMMUTABLE_FL));
	assert_int_equal(map_as(f, f->big, 0, 0, DAX_SLOT, both), -EPERM);
	assert_ok(map(f, 0, 0));
	assert_int_equal(f->window[77], content(77));
	assert_ok(set_flags(f, FS_APPEND_FL));
	assert_int_equal(map_as(f, f->big, 0, 0, DAX_SLOT, both), -EPERM);
	assert_ok(set_flags(f, 0));
	assert_ok(map_as(f, f->big, 0, 0, DAX_SLOT, both));
}

static void read_only(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(map_as(f, f->big, 0, 0, DAX_SLOT, WIRE_MAP_WRITE), -EROFS);
	assert_ok(map(f, 0, 0));
	assert_int_equal(f->window[77], content(77));
}

static void damaged(void **state)
{
	struct fixture *f = *state;

	assert_ok(fd_pwrite_full(f->object, "flipped", 7, BIG - 7));
	assert_int_equal(map(f, 0, 0), -EIO);
	assert_int_equal(f->window[0], 0);
}

static void without_window(void **state)
{
	struct fixture *f = *state;

	assert_false(says_dax(f, "big"));
	assert_int_equal(map(f, 0, 0), -ENOSYS);
	assert_int_equal(unmap(f, 0), -ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(maps_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(flood, setup, teardown),
		cmocka_unit_test_setup_teardown(copied_up, setup, teardown),
		cmocka_unit_test_setup_teardown(copied_up_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(after_metacopy, setup, teardown),
		cmocka_unit_test_setup_teardown(truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(stores, setup, teardown),
		cmocka_unit_test_setup_teardown(stores_after_metacopy, setup, teardown),
		cmocka_unit_test_setup_teardown(immutable, setup, teardown),
		cmocka_unit_test_setup_teardown(read_only, setup_rdonly, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(without_window, setup_without, teardown),
	};

	return cmocka_run_group_tests_name("unionfs/dax", tests, NULL, NULL);
}
