/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/index.h"

#include "base/fd.h"
#include <sys/mman.h>

void index_bad_text(uint64_t nid, const char *what)
{
	err(-EBADMSG, "index: node %llu: %s", (unsigned long long)nid, what);
}

static int bad_super(const char *what)
{
	return err(-EBADMSG, "not an index of strata: %s", what);
}

/* Everything but inos, blocks, the number of devices and one bit is the same in each image. */
static int check_super(const struct erofs_super *s, size_t size)
{
	struct erofs_super want = {
		.magic = EROFS_MAGIC,
		.feature_compat = s->feature_compat & EROFS_NO_ACLS,
		.blkszbits = EROFS_BLOCK_BITS,
		.root_nid = LAYER_ROOT_NID,
		.inos = s->inos,
		.blocks = s->blocks,
		.volume_name = EROFS_VOLUME,
		.feature_incompat = EROFS_CHUNKED_FILE | EROFS_DEVICE_TABLE,
		.extra_devices = s->extra_devices,
		.devt_slotoff = EROFS_DEVT_SLOT,
	};

	if (s->magic != EROFS_MAGIC)
		return bad_super("no EROFS");
	if (s->extra_devices > LAYER_DEVICES_MAX)
		return bad_super("too many packs");
	want.meta_blkaddr = erofs_meta_block(s->extra_devices);
	if (memcmp(s, &want, sizeof(want)))
		return bad_super("another superblock than strata writes");
	if ((uint64_t)s->blocks * LAYER_BLOCK != size)
		return bad_super("it is longer or shorter than it says");
	if (s->blocks <= s->meta_blkaddr || s->inos == 0 || s->inos > size >> EROFS_SLOT_BITS)
		return bad_super("no room for its inodes");
	return 0;
}

static int read_devices(struct layer_index *x)
{
	x->devices = mem_new(x->ndevices, sizeof(*x->devices));
	if (!x->devices)
		return -ENOMEM;
	for (size_t i = 0; i < x->ndevices; i++) {
		struct erofs_device d;

		uint64_t off = (EROFS_DEVT_SLOT + i) * EROFS_SLOT;
		const uint8_t *at = off > x->size - sizeof(d) ? NULL :
								index_read(x, off, sizeof(d));

		if (!at)
			return bad_super("no room for its packs");
		memcpy(&d, at, sizeof(d));
		if (digest_parse_hex(d.tag, sizeof(d.tag), &x->devices[i].diff_id) < 0)
			return bad_super("a pack without diffID");
		if (d.mapped_blkaddr)
			return bad_super("a pack mapped into the image");
		x->devices[i].blocks = d.blocks;
	}
	return 0;
}

static int read_super(struct layer_index *x)
{
	const uint8_t *at = index_read(x, EROFS_SUPER_OFFSET, sizeof(struct erofs_super));
	struct erofs_super s;
	struct inode root;
	int r;

	if (!at)
		return -EBADMSG;
	memcpy(&s, at, sizeof(s));
	r = check_super(&s, x->size);
	if (r < 0)
		return r;
	x->meta = (uint64_t)s.meta_blkaddr * LAYER_BLOCK;
	x->ninodes = s.inos;
	x->ndevices = s.extra_devices;
	x->no_acls = s.feature_compat & EROFS_NO_ACLS;
	r = read_devices(x);
	if (r < 0)
		return r;
	r = dir_get(x, LAYER_ROOT_NID, &root);
	return r == -ENOTDIR ? index_bad(LAYER_ROOT_NID, "the root is no directory") : r;
}

static int map_image(struct layer_index *x, int fd, int sums_fd)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return err_sys("index");
	if (!S_ISREG(st.st_mode) || st.st_size < 2 * (off_t)LAYER_BLOCK || st.st_size % LAYER_BLOCK)
		return bad_super("not a file of whole blocks");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_sys("index: mmap");
	x->map = map;
	x->size = (size_t)st.st_size;
	x->guard = new0(struct guard);
	return x->guard ? guard_init(x->guard, map, x->size, sums_fd) : -ENOMEM;
}

int layer_index_open(int fd, struct layer_index **ret)
{
	return layer_index_open_verified(fd, -1, ret);
}

int layer_index_open_verified(int fd, int sums_fd, struct layer_index **ret)
{
	struct layer_index *x = new0(struct layer_index);
	int r;

	if (!x)
		return -ENOMEM;
	r = map_image(x, fd, fd_is_verity(fd) ? -1 : sums_fd);
	if (r == 0)
		r = read_super(x);
	if (r < 0) {
		layer_index_close(x);
		return r;
	}
	*ret = x;
	return 0;
}

void layer_index_close(struct layer_index *x)
{
	if (!x)
		return;
	if (x->guard)
		guard_done(x->guard);
	free(x->guard);
	if (x->map)
		munmap((void *)x->map, x->size);
	free(x->devices);
	free(x);
}

size_t layer_index_ndevices(const struct layer_index *x)
{
	return x->ndevices;
}

const struct layer_device *layer_index_device(const struct layer_index *x, size_t i)
{
	return i < x->ndevices ? &x->devices[i] : NULL;
}

uint64_t layer_index_ninodes(const struct layer_index *x)
{
	return x->ninodes;
}

bool layer_index_has_acls(const struct layer_index *x)
{
	return !x->no_acls;
}

uint64_t layer_index_offset(const struct layer_index *x, const void *p)
{
	return (uint64_t)((const uint8_t *)p - x->map);
}

size_t layer_index_size(const struct layer_index *x)
{
	return x->size;
}

unsigned layer_index_lost(const struct layer_index *x)
{
	return atomic_load(&x->guard->lost);
}

int layer_index_sums(int fd, int sums_fd)
{
	uint8_t block[LAYER_BLOCK];
	struct digest d;
	ssize_t n;

	for (uint64_t b = 0;; b++) {
		n = fd_pread_full(fd, block, sizeof(block), (off_t)(b * LAYER_BLOCK));
		if (n <= 0)
			return (int)n;
		d = sha256_of(block, (size_t)n);
		n = fd_pwrite_full(sums_fd, &d, sizeof(d), (off_t)(b * sizeof(d)));
		if (n < 0)
			return (int)n;
	}
}
