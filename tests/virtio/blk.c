/* SPDX-License-Identifier: Apache-2.0 */
/* The block device: sectors of a file, and what a driver may not ask for. */
#include "tests/virtio/driver.h"

#include "base/clock.h"
#include "base/err.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define SECTOR	512u
#define DISK	(64u * 1024)
#define F_FLUSH (UINT64_C(1) << 9)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK, S_IOERR, S_UNSUPP };

struct head {
	uint32_t type, reserved;
	uint64_t sector;
};

struct zeroes {
	uint64_t sector;
	uint32_t sectors, flags;
};

struct fixture {
	struct driver d;
	struct virtio_blk *b;
	int file;
	uint64_t head, data, status;
};

static void start(struct fixture *f, bool rdonly, uint64_t rate, uint64_t features)
{
	struct virtio_blk_config cfg = { .rdonly = rdonly, .rate = rate };

	f->file = cfg.fd = memfd_create("disk", MFD_CLOEXEC);
	assert_ok(ftruncate(f->file, DISK));
	driver_init(&f->d);
	assert_ok(virtio_blk_new(&cfg, &f->d.bus, 0xd0000000, 1, &f->b, &f->d.m));
	driver_start(&f->d, features, 1, 16);
	f->head = driver_alloc(&f->d, sizeof(struct head));
	f->data = driver_alloc(&f->d, DISK);
	f->status = driver_alloc(&f->d, 1);
}

static void end(struct fixture *f)
{
	driver_done(&f->d);
	fd_close(f->file);
}

static uint8_t *data_of(struct fixture *f)
{
	return driver_at(&f->d, f->data);
}

/* Head, data in two pieces, status. */
static void submit(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len, bool to_guest)
{
	struct ring *r = &f->d.rings[0];
	const struct head h = { type, 0, sector };
	const unsigned first = len / 3, flags = DESC_F_NEXT | (to_guest ? DESC_F_WRITE : 0);

	memcpy(driver_at(&f->d, f->head), &h, sizeof(h));
	*(uint8_t *)driver_at(&f->d, f->status) = 0xff;
	ring_desc_set(&f->d, r, 0, f->head, sizeof(h), DESC_F_NEXT, len ? 1 : 3);
	ring_desc_set(&f->d, r, 1, f->data, first ? first : 1, flags, 2);
	ring_desc_set(&f->d, r, 2, f->data + (first ? first : 1), len - (first ? first : 1), flags,
		      3);
	ring_desc_set(&f->d, r, 3, f->status, 1, DESC_F_WRITE, 0);
	ring_publish(&f->d, r, 0);
	reg_put(&f->d, R_NOTIFY, 0);
}

static uint32_t finish(struct fixture *f, uint8_t want)
{
	struct ring_used_elem e;

	while (!ring_used(&f->d, &f->d.rings[0]))
		assert_true(driver_wait(&f->d));
	e = ring_take(&f->d, &f->d.rings[0]);
	assert_int_equal(*(uint8_t *)driver_at(&f->d, f->status), want);
	return e.len;
}

static uint32_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
			bool to_guest, uint8_t want)
{
	submit(f, type, sector, len, to_guest);
	return finish(f, want);
}

static struct virtio_blk_stats stats(struct fixture *f)
{
	struct virtio_blk_stats s;

	virtio_blk_stats(f->b, &s);
	return s;
}

/* ---- tests ---- */

static void config(_unused_ void **state)
{
	struct virtio_blk_config cfg = { .fd = -1 };
	struct virtio_mmio *m;
	struct fixture f;

	start(&f, true, 0, 0);
	assert_int_equal(reg_get(&f.d, R_DEVICE_ID), 2);
	assert_int_equal(reg_get(&f.d, R_CONFIG), DISK / SECTOR);
	assert_int_equal(reg_get(&f.d, R_CONFIG + 20), SECTOR);
	reg_put(&f.d, R_FEATURES_SEL, 0);
	assert_int_equal(reg_get(&f.d, R_FEATURES) & (1u << 5 | 1u << 13), 1u << 5);
	assert_int_equal(virtio_blk_new(&cfg, &f.d.bus, 0, 1, &f.b, &m), -EBADF);
	cfg.fd = f.d.irq_fd;
	assert_int_equal(virtio_blk_new(&cfg, &f.d.bus, 0, 1, &f.b, &m), -EINVAL);
	err_clear();
	end(&f);
}

static void written_and_read(_unused_ void **state)
{
	uint8_t file[2 * SECTOR];
	struct fixture f;

	start(&f, false, 0, F_FLUSH);
	for (unsigned i = 0; i < 2 * SECTOR; i++)
		data_of(&f)[i] = (uint8_t)(i * 7);
	assert_int_equal(request(&f, T_OUT, 3, 2 * SECTOR, false, S_OK), 1);
	assert_int_equal(pread(f.file, file, sizeof(file), 3 * SECTOR), sizeof(file));
	assert_memory_equal(file, data_of(&f), sizeof(file));
	memset(data_of(&f), 0, 2 * SECTOR);
	assert_int_equal(request(&f, T_IN, 3, 2 * SECTOR, true, S_OK), 2 * SECTOR + 1);
	assert_memory_equal(file, data_of(&f), sizeof(file));
	request(&f, T_FLUSH, 0, 0, false, S_OK);
	assert_int_equal(request(&f, T_GET_ID, 0, 20, true, S_OK), 21);
	assert_string_equal((char *)data_of(&f), "strata");
	assert_int_equal(stats(&f).reads, 1);
	assert_int_equal(stats(&f).write_bytes, 2 * SECTOR);
	assert_int_equal(stats(&f).flushes, 1);
	assert_int_equal(stats(&f).errors, 0);
	end(&f);
}

static void who_flushes_nothing_writes_through(_unused_ void **state)
{
	struct fixture f;

	start(&f, false, 0, 0);
	request(&f, T_OUT, 0, SECTOR, false, S_OK);
	assert_int_equal(stats(&f).flushes, 1);
	*(struct zeroes *)data_of(&f) = (struct zeroes){ 0, 1, 0 };
	request(&f, T_WRITE_ZEROES, 0, sizeof(struct zeroes), false, S_OK);
	assert_int_equal(stats(&f).flushes, 2);
	end(&f);
}

static void zeroes(_unused_ void **state)
{
	struct fixture f;
	struct zeroes *z;
	uint8_t file[3];

	start(&f, false, 0, F_FLUSH);
	z = (struct zeroes *)data_of(&f);
	for (unsigned type = T_DISCARD; type <= T_WRITE_ZEROES; type += 2) {
		assert_int_equal(pwrite(f.file, "x", 1, 4096 - 1), 1);
		assert_int_equal(pwrite(f.file, "x", 1, 4096), 1);
		assert_int_equal(pwrite(f.file, "x", 1, 8192), 1);
		*z = (struct zeroes){ 8, 8, 0 };
		request(&f, type, 0, sizeof(*z), false, S_OK);
		assert_int_equal(pread(f.file, file, 1, 4096 - 1), 1);
		assert_int_equal(pread(f.file, file + 1, 1, 4096), 1);
		assert_int_equal(pread(f.file, file + 2, 1, 8192), 1);
		assert_memory_equal(file, "x\0x", 3);
		*z = (struct zeroes){ DISK / SECTOR, 1, 0 };
		request(&f, type, 0, sizeof(*z), false, S_IOERR);
		*z = (struct zeroes){ UINT64_MAX, 2, 0 };
		request(&f, type, 0, sizeof(*z), false, S_IOERR);
		*z = (struct zeroes){ 0, UINT32_MAX, 0 };
		request(&f, type, 0, sizeof(*z), false, S_IOERR);
		*z = (struct zeroes){ 0, 1, 2 };
		request(&f, type, 0, sizeof(*z), false, S_UNSUPP);
		request(&f, type, 0, sizeof(*z) + 1, false, S_IOERR);
	}
	*z = (struct zeroes){ 0, 1, 1 };
	request(&f, T_DISCARD, 0, sizeof(*z), false, S_UNSUPP);
	end(&f);
}

static void outside_of_the_disk(_unused_ void **state)
{
	const uint64_t last = DISK / SECTOR - 1;
	struct stat st;
	struct fixture f;

	start(&f, false, 0, F_FLUSH);
	request(&f, T_IN, last, SECTOR, true, S_OK);
	request(&f, T_IN, last, 2 * SECTOR, true, S_IOERR);
	request(&f, T_OUT, last, 2 * SECTOR, false, S_IOERR);
	request(&f, T_OUT, last + 1, SECTOR, false, S_IOERR);
	request(&f, T_IN, UINT64_MAX, SECTOR, true, S_IOERR);
	request(&f, T_IN, UINT64_MAX / SECTOR, SECTOR, true, S_IOERR);
	request(&f, T_IN, 0, SECTOR + 1, true, S_IOERR);
	request(&f, T_OUT, 0, SECTOR - 1, false, S_IOERR);
	request(&f, T_GET_ID, 0, 19, true, S_IOERR);
	request(&f, 99, 0, SECTOR, true, S_UNSUPP);
	assert_int_equal(stats(&f).errors, 9);
	assert_ok(fstat(f.file, &st));
	assert_int_equal(st.st_size, DISK);
	/* Somebody made the file shorter. */
	assert_ok(ftruncate(f.file, SECTOR));
	request(&f, T_IN, 0, 2 * SECTOR, true, S_IOERR);
	end(&f);
}

static void read_only(_unused_ void **state)
{
	struct fixture f;
	uint8_t byte;

	start(&f, true, 0, F_FLUSH);
	data_of(&f)[0] = 1;
	request(&f, T_OUT, 0, SECTOR, false, S_IOERR);
	request(&f, T_DISCARD, 0, sizeof(struct zeroes), false, S_IOERR);
	request(&f, T_IN, 0, SECTOR, true, S_OK);
	assert_int_equal(pread(f.file, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	end(&f);
}

static void without_head_or_status(_unused_ void **state)
{
	struct fixture f;

	for (unsigned i = 0; i < 2; i++) {
		start(&f, false, 0, F_FLUSH);
		ring_add(&f.d, &f.d.rings[0], f.head, i ? 16 : 15, false);
		if (i)
			ring_add(&f.d, &f.d.rings[0], f.status, 1, true);
		reg_put(&f.d, R_NOTIFY, 0);
		while (!(reg_get(&f.d, R_STATUS) & S_NEEDS_RESET))
			assert_true(driver_wait(&f.d));
		end(&f);
	}
}

static void no_faster_than_its_rate(_unused_ void **state)
{
	struct fixture f;
	uint64_t began, took;

	start(&f, false, 200 * SECTOR, F_FLUSH); /* a burst of 20 sectors, then 200 a second */
	began = clock_ns();
	for (unsigned i = 0; i < 4; i++)
		request(&f, T_OUT, 0, 20 * SECTOR, false, S_OK);
	took = (clock_ns() - began) / 1000000;
	assert_true(took >= 150); /* the second and third wait for 100 ms each */
	end(&f);
}

static void a_reset_while_it_waits(_unused_ void **state)
{
	struct fixture f;

	start(&f, false, SECTOR, F_FLUSH);
	request(&f, T_OUT, 0, 20 * SECTOR, false, S_OK);
	submit(&f, T_OUT, 0, SECTOR, false);
	reg_put(&f.d, R_STATUS, 0);
	assert_int_equal(stats(&f).writes, 1);
	driver_start(&f.d, F_FLUSH, 1, 16);
	request(&f, T_OUT, 0, SECTOR, false, S_OK);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config),
		cmocka_unit_test(written_and_read),
		cmocka_unit_test(who_flushes_nothing_writes_through),
		cmocka_unit_test(zeroes),
		cmocka_unit_test(outside_of_the_disk),
		cmocka_unit_test(read_only),
		cmocka_unit_test(without_head_or_status),
		cmocka_unit_test(no_faster_than_its_rate),
		cmocka_unit_test(a_reset_while_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
