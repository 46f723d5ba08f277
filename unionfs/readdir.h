/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of a merged directory, in an order in which every name has a place of its own: first
 * the lower's in the lower's order, whatever the upper made of them, then the upper's own. Nothing
 * is kept per open directory.
 *
 * Cookies: below 2^62 a lower's; 2^62 and above the upper's own. A directory without a lower part:
 * the file system's.
 */
#ifndef UNIONFS_READDIR_H
#define UNIONFS_READDIR_H

#include "unionfs/union.h"

#define DIR_COOKIE_UPPER (1ull << 62)

struct dir_entry {
	const char *name; /* not terminated */
	size_t namelen;
	uint64_t ino, next;
	uint64_t lower; /* its id when it is in the lower alone and the id is known, else 0 */
	uint8_t type;
};

/*
 * Calls @fn for each entry behind @cookie ("." and ".." too) until it gives other than 0: that
 * value, 0, or -errno.
 */
int dir_walk(struct ufs *u, const struct inode *dir, uint64_t cookie,
	     int (*fn)(void *, const struct dir_entry *), void *ctx);

#endif
