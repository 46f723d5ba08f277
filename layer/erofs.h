/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of EROFS this room writes and reads: Linux fs/erofs/erofs_fs.h, names without their prefix.
 * Little-endian, as this processor. docs/formats/index.md says which values are used.
 */
#ifndef LAYER_EROFS_H
#define LAYER_EROFS_H

#include "layer/layer.h"

#define EROFS_BLOCK_BITS   12
#define EROFS_SUPER_OFFSET 1024u       /* EROFS_SUPER_OFFSET */
#define EROFS_MAGIC	   0xE0F5E1E2u /* EROFS_SUPER_MAGIC_V1 */
#define EROFS_CHUNKED_FILE 0x4u	       /* EROFS_FEATURE_INCOMPAT_CHUNKED_FILE */
#define EROFS_DEVICE_TABLE 0x8u	       /* EROFS_FEATURE_INCOMPAT_DEVICE_TABLE */
#define EROFS_SLOT	   128u	       /* EROFS_DEVT_SLOT_SIZE */
#define EROFS_SLOT_BITS	   5	       /* EROFS_ISLOTBITS: a nid counts 32 bytes */
#define EROFS_DEVT_SLOT	   9u	       /* ours: the device table follows the superblock */
#define EROFS_NULL_ADDR	   0xffffffffu
#define EROFS_VOLUME	   "strata.index.1"
/*
 * Ours, a bit of feature_compat that no kernel has a meaning for (they ignore what they do not
 * know): no inode has a POSIX ACL. Merged indexes alone say it.
 */
#define EROFS_NO_ACLS 0x80000000u

struct erofs_super {
	uint32_t magic;
	uint32_t checksum;
	uint32_t feature_compat;
	uint8_t blkszbits;
	uint8_t sb_extslots;
	uint16_t root_nid;
	uint64_t inos;
	uint64_t build_time;
	uint32_t build_time_nsec;
	uint32_t blocks;
	uint32_t meta_blkaddr;
	uint32_t xattr_blkaddr;
	uint8_t uuid[16];
	char volume_name[16];
	uint32_t feature_incompat;
	uint16_t available_compr_algs;
	uint16_t extra_devices;
	uint16_t devt_slotoff;
	uint8_t dirblkbits;
	uint8_t xattr_prefix_count;
	uint32_t xattr_prefix_start;
	uint64_t packed_nid;
	uint8_t reserved[24];
};

struct erofs_device {
	char tag[64];
	uint32_t blocks;
	uint32_t mapped_blkaddr;
	uint8_t reserved[56];
};

/* struct erofs_inode_extended */
struct erofs_inode {
	uint16_t format; /* bit 0: extended; bits 1..3: layout */
	uint16_t xattr_icount;
	uint16_t mode;
	uint16_t reserved;
	uint64_t size;
	uint32_t u; /* first block, device number or chunk format */
	uint32_t ino;
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	uint32_t nlink;
	uint8_t reserved2[16];
};

enum erofs_layout {
	EROFS_FLAT_PLAIN = 0,
	EROFS_FLAT_INLINE = 2,
	EROFS_CHUNK_BASED = 4,
};

#define EROFS_FORMAT(layout) ((uint16_t)(1 | (layout) << 1))
#define EROFS_CHUNK_BITS     0x1fu /* EROFS_CHUNK_FORMAT_BLKBITS_MASK */
#define EROFS_CHUNK_INDEXES  0x20u /* EROFS_CHUNK_FORMAT_INDEXES */

/* struct erofs_inode_chunk_index */
struct erofs_chunk {
	uint16_t advise;
	uint16_t device; /* 0: the image itself; from 1: the device table */
	uint32_t block;
};

struct erofs_dirent {
	uint64_t nid;
	uint16_t nameoff;
	uint8_t type;
	uint8_t reserved;
} __attribute__((packed));

/* struct erofs_xattr_ibody_header */
struct erofs_xattr_head {
	uint32_t name_filter;
	uint8_t shared_count;
	uint8_t reserved[7];
};

/* struct erofs_xattr_entry; name and value follow, padded to 4 bytes */
struct erofs_xattr {
	uint8_t name_len;
	uint8_t prefix;
	uint16_t value_len;
};

_Static_assert(sizeof(struct erofs_super) == 128, "erofs_super_block");
_Static_assert(sizeof(struct erofs_device) == EROFS_SLOT, "erofs_deviceslot");
_Static_assert(sizeof(struct erofs_inode) == 64, "erofs_inode_extended");
_Static_assert(sizeof(struct erofs_chunk) == 8, "erofs_inode_chunk_index");
_Static_assert(sizeof(struct erofs_dirent) == 12, "erofs_dirent");
_Static_assert(sizeof(struct erofs_xattr_head) == 12, "erofs_xattr_ibody_header");
_Static_assert(sizeof(struct erofs_xattr) == 4, "erofs_xattr_entry");

/* The block where metadata begins, behind superblock and device table. */
static inline uint32_t erofs_meta_block(size_t ndevices)
{
	size_t end = EROFS_SLOT * (EROFS_DEVT_SLOT + ndevices);

	return (uint32_t)((end + LAYER_BLOCK - 1) / LAYER_BLOCK);
}

/* Bytes of xattrs behind the inode (erofs_xattr_ibody_size). */
static inline size_t erofs_xattr_size(uint16_t icount)
{
	return icount ? sizeof(struct erofs_xattr_head) + 4 * ((size_t)icount - 1) : 0;
}

/*
 * The chunk format of a file of @size bytes: one chunk of the least power of two blocks that covers
 * it.
 */
static inline uint32_t erofs_chunk_format(uint64_t size)
{
	uint32_t bits = 0;

	while (((uint64_t)LAYER_BLOCK << bits) < size)
		bits++;
	return EROFS_CHUNK_INDEXES | bits;
}

static inline uint64_t erofs_blocks(uint64_t bytes)
{
	return (bytes + LAYER_BLOCK - 1) / LAYER_BLOCK;
}

/* A device number as the kernel's new_encode_dev (include/linux/kdev_t.h). */
uint32_t erofs_encode_dev(uint64_t rdev);
uint64_t erofs_decode_dev(uint32_t dev);

/*
 * The type of a directory entry (EROFS_FT_* = FT_* of include/linux/fs_types.h) of a mode; 0 of a
 * mode without type.
 */
uint8_t erofs_type_of_mode(uint32_t mode);
/* DT_* of dirent.h of a directory entry's type; DT_UNKNOWN of one that does not exist. */
uint8_t erofs_type_to_dt(uint8_t type);

#endif
