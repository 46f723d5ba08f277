/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar archive read as its bytes come: POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU long names and
 * sparse files, star's prefix, v7.
 *
 * Our own, because the frame needs to know of every byte of the archive whether it is content or
 * not: libarchive hides where the bytes are, and resolves what archives say twice. Where tars of
 * the field read one archive in two ways (a size or name said twice and differently, data behind a
 * link, a header behind the end), this one refuses it.
 *
 * Order of calls: raw() for each header and what stands between; entry() once for each file; data()
 * for the content of a regular one, then entry_end(). raw() and data() together are the archive,
 * byte for byte. Any value but 0 from one of them ends the reading with that value.
 */
#ifndef IMAGESTORE_TAR_H
#define IMAGESTORE_TAR_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TAR_BLOCK    512u
#define TAR_PATH_MAX 4095u /* bytes of a name or link: PATH_MAX without its NUL */

struct tar_xattr {
	const char *name;
	const void *value;
	size_t len;
};

/* A piece of a sparse file that the archive holds. */
struct tar_segment {
	uint64_t off, len;
};

struct tar_entry {
	/*
	 * '0' file, '1' hard link, '2' symlink, '3' '4' char, block device, '5' directory, '6' fifo
	 */
	char type;
	const char *path, *link;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint32_t major, minor;
	uint64_t size; /* of a file, else 0 */
	/*
	 * A sparse file's, in order, without overlap: data() brings these alone, the rest is zeros.
	 * NULL: no sparse file.
	 */
	const struct tar_segment *segments;
	size_t nsegments;
	uint64_t stored; /* bytes that data() brings */
	struct timespec mtime;
	const struct tar_xattr *xattrs;
	size_t nxattrs;
};

struct tar_ops {
	int (*raw)(void *ctx, const void *data, size_t len);
	int (*entry)(void *ctx, const struct tar_entry *e);
	int (*data)(void *ctx, const void *data, size_t len);
	int (*entry_end)(void *ctx);
};

struct tar_reader;
int tar_reader_new(const struct tar_ops *ops, void *ctx, struct tar_reader **ret);
void tar_reader_free(struct tar_reader *t);
int tar_reader_feed(struct tar_reader *t, const void *data, size_t len);
/* The archive is over: -EBADMSG when it was cut off. */
int tar_reader_finish(struct tar_reader *t);

#endif
