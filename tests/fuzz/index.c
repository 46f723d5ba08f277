/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's index from a disk that lies: the input as the whole image, and as the metadata behind a
 * sound first block, whose number of inodes is the input's first two bytes (no inode lies there).
 */
#include "base/mem.h"
#include "layer/erofs.h"
#include "tests/layer/walk.h"

#define DEVICES 2 /* packs of the sound first block, of 7 and 3 blocks */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void first_block(uint8_t block[LAYER_BLOCK], uint16_t inos, uint32_t blocks)
{
	struct erofs_super s = {
		.magic = EROFS_MAGIC,
		.blkszbits = EROFS_BLOCK_BITS,
		.root_nid = LAYER_ROOT_NID,
		.inos = inos,
		.blocks = blocks,
		.meta_blkaddr = erofs_meta_block(DEVICES),
		.volume_name = EROFS_VOLUME,
		.feature_incompat = EROFS_CHUNKED_FILE | EROFS_DEVICE_TABLE,
		.extra_devices = DEVICES,
		.devt_slotoff = EROFS_DEVT_SLOT,
	};
	struct erofs_device d[DEVICES] = { { .blocks = 7 }, { .blocks = 3 } };

	memset(d[0].tag, 'a', sizeof(d[0].tag));
	memset(d[1].tag, 'b', sizeof(d[1].tag));
	memcpy(block + EROFS_SUPER_OFFSET, &s, sizeof(s));
	memcpy(block + EROFS_DEVT_SLOT * EROFS_SLOT, d, sizeof(d));
}

static void walk_metadata(const uint8_t *data, size_t size)
{
	size_t whole = LAYER_BLOCK + ROUND_UP(size, LAYER_BLOCK);
	_free_ uint8_t *image = mem_new(whole, 1);
	uint16_t inos;

	if (!image || size < sizeof(inos))
		return;
	memcpy(&inos, data, sizeof(inos));
	first_block(image, inos, (uint32_t)(whole / LAYER_BLOCK));
	memcpy(image + LAYER_BLOCK, data, size);
	walk_image(image, whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk_image(data, size);
	walk_metadata(data, size);
	return 0;
}
