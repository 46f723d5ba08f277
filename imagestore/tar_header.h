/* SPDX-License-Identifier: Apache-2.0 */
/* One tar header block, and what pax records say beside it. */
#ifndef IMAGESTORE_TAR_HEADER_H
#define IMAGESTORE_TAR_HEADER_H

#include "imagestore/tar_sparse.h"
#include <stdbool.h>

/* POSIX.1-1988, "ustar Interchange Format"; offsets from there. */
struct tar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8],
		prefix[155];
	char pad[12]; /* star: "tar\0" in its last 4 bytes, and a prefix of 131 */
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header is one block");

/* What stands before a header about it; NULL and false = not said. */
struct tar_pax {
	char *records; /* the text of the pax header: what the pointers below point into */
	char *path, *link;
	bool has_size, has_uid, has_gid, has_mtime;
	uint64_t size;
	uint32_t uid, gid;
	struct timespec mtime;
	struct tar_xattr *xattrs;
	size_t nxattrs, cap;
	char *long_path, *long_link; /* GNU's 'L' and 'K', owned */
	struct tar_sparse sparse;
};

void tar_pax_done(struct tar_pax *p);
/*
 * Parses @len bytes of records, which it takes over (freed by tar_pax_done()). @global: one that
 * says more than comments is refused.
 */
int tar_pax_parse(struct tar_pax *p, char *records, size_t len, bool global);

bool tar_header_is_zero(const void *block);
/* 0, or -EBADMSG when the checksum is not that of the block. */
int tar_header_checksum(const struct tar_header *h);
/* A number field, octal or GNU's base-256. */
int tar_header_number(const char *field, size_t len, int64_t *ret);
/*
 * The header and @p as one entry; strings are kept in @names (2 * (TAR_PATH_MAX + 1) bytes) or @p.
 */
int tar_header_entry(const struct tar_header *h, struct tar_pax *p, char *names,
		     struct tar_entry *ret);

#endif
