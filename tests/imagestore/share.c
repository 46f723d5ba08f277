/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of a file system that shares blocks, and what its errors end: one range, or all. It
 * is played here, by an ioctl(2) in place of libc's; the real one is in tests/images.bats.
 */
#include "tests/imagestore/kit.h"

#include <linux/fs.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define BLOCK ((size_t)4096)
#define SIZE  (64 * BLOCK)
#define FILES 3

static struct {
	int of_call, of_probe; /* what the kernel says as a whole; of what is asked first */
	int of_first;	       /* of the first range that is meant */
	unsigned probes, asked, shared;
	uint64_t bytes;
} world;

/* One block is asked for to learn of the file system: runs are longer. */
static int answer(const struct file_dedupe_range *range)
{
	bool probe = range->src_length <= BLOCK;

	if (probe)
		return world.probes++ == 0 ? world.of_probe : 0;
	return world.asked++ == 0 ? world.of_first : 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	assert_ok(fstat(a, &x));
	assert_ok(fstat(b, &y));
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct file_dedupe_range *range;
	va_list args;
	void *arg;
	int status;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request != FIDEDUPERANGE)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	range = arg;
	assert_int_equal(range->dest_count, 1);
	assert_false(same_file(fd, (int)range->info[0].dest_fd));
	assert_int_equal(range->src_offset % BLOCK, 0);
	assert_int_equal(range->src_length % BLOCK, 0);
	status = answer(range);
	if (world.of_call) {
		errno = -world.of_call;
		return -1;
	}
	range->info[0].status = status;
	range->info[0].bytes_deduped = status ? 0 : range->src_length;
	if (!status && range->src_length > BLOCK) {
		world.shared++;
		world.bytes += range->src_length;
	}
	return 0;
}

/* Files of random bytes; in each the block @changed is another, none for SIZE. */
static void add_files(struct buf *tar, size_t changed)
{
	for (unsigned i = 0; i < FILES; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		tar_big(tar, name, SIZE, i + 1);
		if (changed < SIZE)
			memset((char *)tar->data + tar->len - SIZE + changed, 0, BLOCK);
	}
	tar_end(tar);
}

/*
 * An image whose upper layer has each file with its block 20 changed: two runs a file. Its lower
 * one stands in it @lowers times.
 */
static void make(struct kit *k, size_t lowers)
{
	struct buf tars[3] = { 0 };
	struct image_layer l[3];

	memset(&world.probes, 0, sizeof(world) - offsetof(typeof(world), probes));
	for (size_t i = 0; i < lowers; i++)
		add_files(&tars[i], SIZE);
	add_files(&tars[lowers], 20 * BLOCK);
	assert_done(import_image(k->s, "x", tars, lowers + 1, l));
	assert_exports(k->s, &l[lowers].diff_id, &tars[lowers]);
	assert_sound(k->s);
	for (size_t i = 0; i <= lowers; i++)
		buf_done(&tars[i]);
}

static void shares(void **state)
{
	memset(&world, 0, sizeof(world));
	make(*state, 1);
	assert_int_equal(world.probes, 1);
	assert_int_equal(world.shared, 2 * FILES);
	assert_int_equal(world.bytes, FILES * (SIZE - BLOCK));
}

/* A file is not compared with itself, which EINVAL would be for. */
static void twice(void **state)
{
	memset(&world, 0, sizeof(world));
	make(*state, 2);
	assert_int_equal(world.probes, 1);
	assert_int_equal(world.shared, 2 * FILES);
}

/* One range, or two files, that cannot be: the others can. */
static void one_range(void **state)
{
	const int errors[] = { -EINVAL, -ETXTBSY, FILE_DEDUPE_RANGE_DIFFERS };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct kit k;

		kit_open(&k);
		memset(&world, 0, sizeof(world));
		world.of_first = errors[i];
		make(&k, 1);
		assert_int_equal(world.asked, 2 * FILES);
		assert_int_equal(world.shared, 2 * FILES - 1);
		kit_close(&k);
	}
	(void)state;
}

/* XFS without reflink knows the call and says so at the first range alone. */
static void never(void **state)
{
	const int errors[] = { -EOPNOTSUPP, -EXDEV };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct kit k;

		kit_open(&k);
		memset(&world, 0, sizeof(world));
		world.of_first = errors[i];
		make(&k, 1);
		assert_int_equal(world.asked, 1);
		assert_int_equal(world.shared, 0);
		kit_close(&k);
	}
	(void)state;
}

/* Said of a range that nothing is wrong with: no file is read for it. */
static void not_here(void **state)
{
	memset(&world, 0, sizeof(world));
	world.of_probe = -EINVAL; /* an overlay above a file system that cannot */
	make(*state, 1);
	assert_int_equal(world.probes, 1);
	assert_int_equal(world.asked, 0);
}

static void no_such_call(void **state)
{
	memset(&world, 0, sizeof(world));
	world.of_call = -EOPNOTSUPP; /* ext4 */
	make(*state, 1);
	assert_int_equal(world.probes, 1);
	assert_int_equal(world.asked, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(shares), kit_test(twice),    kit_test(one_range),
		kit_test(never),  kit_test(not_here), kit_test(no_such_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
