/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE protocol as Linux 7.31 to 7.45 speaks it (include/uapi/linux/fuse.h): our own
 * definitions, since the headers of the distributions we build on are older. Layouts and numbers
 * are the kernel's; nothing is packed, every field is at its natural place.
 */
#ifndef UNIONFS_WIRE_H
#define UNIONFS_WIRE_H

#include <stdint.h>

#define WIRE_MAJOR     7
#define WIRE_MINOR     41 /* what we know */
#define WIRE_MINOR_MIN 31 /* the oldest client we serve: Linux 5.4, the first with virtio-fs */

enum wire_opcode {
	WIRE_LOOKUP = 1,
	WIRE_FORGET = 2,
	WIRE_GETATTR = 3,
	WIRE_SETATTR = 4,
	WIRE_READLINK = 5,
	WIRE_SYMLINK = 6,
	WIRE_MKNOD = 8,
	WIRE_MKDIR = 9,
	WIRE_UNLINK = 10,
	WIRE_RMDIR = 11,
	WIRE_RENAME = 12,
	WIRE_LINK = 13,
	WIRE_OPEN = 14,
	WIRE_READ = 15,
	WIRE_WRITE = 16,
	WIRE_STATFS = 17,
	WIRE_RELEASE = 18,
	WIRE_FSYNC = 20,
	WIRE_SETXATTR = 21,
	WIRE_GETXATTR = 22,
	WIRE_LISTXATTR = 23,
	WIRE_REMOVEXATTR = 24,
	WIRE_FLUSH = 25,
	WIRE_INIT = 26,
	WIRE_OPENDIR = 27,
	WIRE_READDIR = 28,
	WIRE_RELEASEDIR = 29,
	WIRE_FSYNCDIR = 30,
	WIRE_ACCESS = 34,
	WIRE_CREATE = 35,
	WIRE_INTERRUPT = 36,
	WIRE_DESTROY = 38,
	WIRE_IOCTL = 39,
	WIRE_BATCH_FORGET = 42,
	WIRE_FALLOCATE = 43,
	WIRE_READDIRPLUS = 44,
	WIRE_RENAME2 = 45,
	WIRE_LSEEK = 46,
	WIRE_COPY_FILE_RANGE = 47,
	WIRE_SETUPMAPPING = 48,
	WIRE_REMOVEMAPPING = 49,
	WIRE_SYNCFS = 50,
	WIRE_TMPFILE = 51,
	WIRE_STATX = 52,
	WIRE_OPCODES = 53, /* one more than the last */
};

/* INIT flags; those from 32 on travel in flags2. */
#define WIRE_ASYNC_READ		 (1ull << 0)
#define WIRE_BIG_WRITES		 (1ull << 5)
#define WIRE_DONT_MASK		 (1ull << 6)
#define WIRE_AUTO_INVAL_DATA	 (1ull << 12)
#define WIRE_DO_READDIRPLUS	 (1ull << 13)
#define WIRE_READDIRPLUS_AUTO	 (1ull << 14)
#define WIRE_NO_OPEN_SUPPORT	 (1ull << 17)
#define WIRE_PARALLEL_DIROPS	 (1ull << 18)
#define WIRE_POSIX_ACL		 (1ull << 20)
#define WIRE_MAX_PAGES		 (1ull << 22)
#define WIRE_CACHE_SYMLINKS	 (1ull << 23)
#define WIRE_NO_OPENDIR_SUPPORT	 (1ull << 24)
#define WIRE_EXPLICIT_INVAL_DATA (1ull << 25)
#define WIRE_MAP_ALIGNMENT	 (1ull << 26)
#define WIRE_HANDLE_KILLPRIV_V2	 (1ull << 28)
#define WIRE_SETXATTR_EXT	 (1ull << 29)
#define WIRE_INIT_EXT		 (1ull << 30)
#define WIRE_HAS_INODE_DAX	 (1ull << 33)
#define WIRE_NO_EXPORT_SUPPORT	 (1ull << 38)
#define WIRE_HAS_RESEND		 (1ull << 39)

/*
 * enum fuse_notify_code: what the kernel knows of an inode's attributes goes; asks the kernel for
 * all unanswered requests again (7.40).
 */
#define WIRE_NOTIFY_INVAL_INODE 2
#define WIRE_NOTIFY_RESEND	7

struct wire_in_header {
	uint32_t len;
	uint32_t opcode;
	uint64_t unique;
	uint64_t nodeid;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint16_t total_extlen;
	uint16_t padding;
};

struct wire_out_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};

struct wire_notify_inval_inode {
	uint64_t nodeid;
	int64_t off, len; /* off < 0: attributes alone */
};

struct wire_attr {
	uint64_t ino, size, blocks;
	uint64_t atime, mtime, ctime;
	uint32_t atimensec, mtimensec, ctimensec;
	uint32_t mode, nlink, uid, gid, rdev, blksize, flags;
};

#define WIRE_ATTR_DAX 2u /* attr.flags: its bytes are read and written through the DAX window */

struct wire_entry_out {
	uint64_t nodeid, generation;
	uint64_t entry_valid, attr_valid; /* seconds */
	uint32_t entry_valid_nsec, attr_valid_nsec;
	struct wire_attr attr;
};

struct wire_attr_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, dummy;
	struct wire_attr attr;
};

struct wire_init_in {
	uint32_t major, minor, max_readahead, flags; /* 16 bytes end here before 7.36 */
	uint32_t flags2;
	uint32_t unused[11];
};

struct wire_init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth;
	uint32_t unused[6];
};

struct wire_forget_in {
	uint64_t nlookup;
};

struct wire_forget_one {
	uint64_t nodeid, nlookup;
};

struct wire_batch_forget_in {
	uint32_t count, dummy;
};

struct wire_getattr_in {
	uint32_t flags, dummy;
	uint64_t fh;
};

/* setattr_in.valid */
#define WIRE_FATTR_MODE		(1u << 0)
#define WIRE_FATTR_UID		(1u << 1)
#define WIRE_FATTR_GID		(1u << 2)
#define WIRE_FATTR_SIZE		(1u << 3)
#define WIRE_FATTR_ATIME	(1u << 4)
#define WIRE_FATTR_MTIME	(1u << 5)
#define WIRE_FATTR_ATIME_NOW	(1u << 7)
#define WIRE_FATTR_MTIME_NOW	(1u << 8)
#define WIRE_FATTR_KILL_SUIDGID (1u << 11)

struct wire_setattr_in {
	uint32_t valid, padding;
	uint64_t fh, size, lock_owner, atime, mtime, ctime;
	uint32_t atimensec, mtimensec, ctimensec;
	uint32_t mode, unused4, uid, gid, unused5;
};

struct wire_statx_in {
	uint32_t getattr_flags, reserved;
	uint64_t fh;
	uint32_t sx_flags, sx_mask;
};

struct wire_sx_time {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};

struct wire_statx {
	uint32_t mask, blksize; /* mask: STATX_* of <linux/stat.h> */
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct wire_sx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare2[14];
};

struct wire_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	struct wire_statx stat;
};

struct wire_create_in {
	uint32_t flags, mode, umask, open_flags;
};

struct wire_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

struct wire_mknod_in {
	uint32_t mode, rdev, umask, padding;
};

struct wire_mkdir_in {
	uint32_t mode, umask;
};

struct wire_rename_in {
	uint64_t newdir;
};

struct wire_rename2_in {
	uint64_t newdir;
	uint32_t flags, padding;
};

struct wire_link_in {
	uint64_t oldnodeid;
};

struct wire_read_in {
	uint64_t fh, offset;
	uint32_t size, read_flags;
	uint64_t lock_owner;
	uint32_t flags, padding;
};

#define WIRE_WRITE_CACHE	(1u << 0) /* the kernel writes back what a map changed */
#define WIRE_WRITE_KILL_SUIDGID (1u << 2)

struct wire_write_in {
	uint64_t fh, offset;
	uint32_t size, write_flags;
	uint64_t lock_owner;
	uint32_t flags, padding;
};

struct wire_write_out {
	uint32_t size, padding;
};

struct wire_statfs_out {
	uint64_t blocks, bfree, bavail, files, ffree;
	uint32_t bsize, namelen, frsize, padding;
	uint32_t spare[6];
};

#define WIRE_FSYNC_FDATASYNC 1u

struct wire_fsync_in {
	uint64_t fh;
	uint32_t flags, padding;
};

#define WIRE_SETXATTR_ACL_KILL_SGID 1u
#define WIRE_SETXATTR_COMPAT_SIZE   8 /* without SETXATTR_EXT */

struct wire_setxattr_in {
	uint32_t size, flags;
	uint32_t setxattr_flags, padding;
};

struct wire_getxattr_in {
	uint32_t size, padding;
};

struct wire_getxattr_out {
	uint32_t size, padding;
};

struct wire_fallocate_in {
	uint64_t fh, offset, length;
	uint32_t mode, padding;
};

struct wire_ioctl_in {
	uint64_t fh;
	uint32_t flags, cmd;
	uint64_t arg;
	uint32_t in_size, out_size; /* in_size bytes follow */
};

struct wire_ioctl_out {
	int32_t result;
	uint32_t flags, in_iovs, out_iovs;
};

struct wire_lseek_in {
	uint64_t fh, offset;
	uint32_t whence, padding;
};

struct wire_lseek_out {
	uint64_t offset;
};

struct wire_copy_file_range_in {
	uint64_t fh_in, off_in, nodeid_out, fh_out, off_out, len, flags;
};

/*
 * A directory entry: this, the name without NUL, zeros to a multiple of 8. READDIRPLUS: a
 * wire_entry_out before it.
 */
struct wire_dirent {
	uint64_t ino, off;
	uint32_t namelen, type;
};

#define WIRE_DIRENT_ALIGN 8u

#define WIRE_MAP_WRITE 1ull /* setupmapping_in.flags */
#define WIRE_MAP_READ  2ull

struct wire_setupmapping_in {
	uint64_t fh, foffset, len, flags, moffset;
};

#define WIRE_REMOVEMAPPING_MAX 256u /* entries of one request: a page of them */

struct wire_removemapping_in {
	uint32_t count;
};

struct wire_removemapping_one {
	uint64_t moffset, len;
};

#endif
