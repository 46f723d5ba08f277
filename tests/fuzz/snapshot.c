/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot whose digests are right and nothing else need be: the input is the head, from its
 * number of records on, then records, extents, memory and runs. Each record is sought, and a
 * console and a balloon load what says that it is a device's state, and go on with it.
 */
#include "microvm/snapshot_file.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/virtio.h"
#include <sys/mman.h>
#include <unistd.h>

#define RAM	 0x10000u
#define FILE_MAX (1u << 20)
#define KINDS	 (SNAPSHOT_EVENTS + 2u)

/* Places in the head: docs/formats/snapshot.md. */
enum {
	AT_VERSION = 8,
	AT_FREE = 12,
	AT_KEY = 16,
	AT_EXTENTS = 56,
	AT_RUNS = 60,
	AT_RECORDS_LEN = 64
};
enum { AT_DATA_LEN = 72, AT_STATE = 80, AT_HEAD = 144, HEAD_LEN = 176 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct digest key;

static void irq(_unused_ void *ctx, _unused_ unsigned gsi)
{
}

static uint64_t word(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, p, len);
	return v;
}

static uint64_t state_len(const uint8_t *file)
{
	return word(file + AT_RECORDS_LEN, 8) + word(file + AT_EXTENTS, 4) * 16;
}

static uint64_t runs_off(const uint8_t *file)
{
	return SNAPSHOT_PAGE + ROUND_UP(state_len(file), (uint64_t)SNAPSHOT_PAGE) +
	       word(file + AT_DATA_LEN, 8);
}

static uint64_t runs_len(const uint8_t *file)
{
	return word(file + AT_RUNS, 4) * 8;
}

static void add(struct sha256 *h, int fd, uint64_t off, uint64_t len)
{
	uint8_t data[4096];

	while (len) {
		size_t n = (size_t)MIN(len, (uint64_t)sizeof(data));

		if (fd_pread_full(fd, data, n, (off_t)off) != (ssize_t)n)
			return;
		sha256_update(h, data, n);
		off += n;
		len -= n;
	}
}

/* Makes the digests what they should be, of the file as it is in @fd. */
static void sign(uint8_t *file, int fd)
{
	const uint32_t version = 2;
	struct sha256 state;
	struct digest d;

	sha256_init(&state);
	add(&state, fd, SNAPSHOT_PAGE, state_len(file));
	add(&state, fd, runs_off(file), runs_len(file));
	d = sha256_final(&state);
	memcpy(file, "STRTSNAP", 8);
	memcpy(file + AT_VERSION, &version, sizeof(version));
	memcpy(file + AT_KEY, key.b, sizeof(key.b));
	memcpy(file + AT_STATE, d.b, sizeof(d.b));
	d = sha256_of(file, AT_HEAD);
	memcpy(file + AT_HEAD, d.b, sizeof(d.b));
}

/* As large as its head says, in @fd, if that is not too much. */
static bool write_file(uint8_t *file, size_t len, int fd)
{
	const uint64_t state = state_len(file), runs = runs_len(file);
	const uint64_t data = word(file + AT_DATA_LEN, 8);

	if (state > FILE_MAX || data > FILE_MAX || runs_off(file) + runs > FILE_MAX ||
	    fd_pwrite_full(fd, file, len, 0) < 0 ||
	    ftruncate(fd, (off_t)(runs_off(file) + runs)) < 0)
		return false;
	sign(file, fd);
	return fd_pwrite_full(fd, file, HEAD_LEN, 0) == 0;
}

static void device(int balloon, uint8_t *ram, const void *state, size_t len)
{
	struct mem mem = { { { 0, RAM, ram } }, 1 };
	const struct virtio_bus bus = { .mem = &mem, .irq = irq };
	const struct virtio_console_port ports[] = { { NULL, -1, -1, false },
						     { "port", -1, -1, true } };
	struct virtio_balloon *b;
	struct virtio_mmio *m;
	int r = balloon ? virtio_balloon_new(&bus, 0xd0000000, 1, &b, &m) :
			  virtio_console_new(ports, ARRAY_SIZE(ports), &bus, 0xd0000000, 1, &m);

	if (r < 0)
		return;
	if (virtio_mmio_load(m, state, len) == 0)
		virtio_mmio_resume(m);
	virtio_mmio_free(m);
}

static void use(const struct snapshot_file *f, uint8_t *ram)
{
	for (unsigned type = 0; type < KINDS; type++) {
		for (uint32_t i = 0; i < 4; i++) {
			size_t len;
			const void *p = snapshot_file_find(f, type, i, &len);

			if (p && type == SNAPSHOT_DEVICE)
				device(i & 1, ram, p, len);
		}
	}
	snapshot_file_verify(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *ram, *file;
	struct snapshot_file f;
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	if (!ram) {
		ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		file = malloc(FILE_MAX);
	}
	memset(file, 0, HEAD_LEN + SNAPSHOT_PAGE);
	memset(ram, 0, RAM);
	size = MIN(size, (size_t)(FILE_MAX - SNAPSHOT_PAGE));
	memcpy(file + AT_FREE, data, MIN(size, (size_t)(HEAD_LEN - AT_FREE)));
	if (size > HEAD_LEN) {
		memcpy(file + SNAPSHOT_PAGE, data + HEAD_LEN, size - HEAD_LEN);
		size -= HEAD_LEN;
	}
	if (write_file(file, SNAPSHOT_PAGE + size, fd) && snapshot_file_open(fd, &key, &f) == 0) {
		use(&f, ram);
		snapshot_file_done(&f);
	}
	err_clear();
	fd_close(fd);
	return 0;
}
