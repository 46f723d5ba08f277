/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of an index's lower, compared with their digests before the first byte of them is given:
 * pack blocks against the layers' packsum, objects against their names. The verdict is remembered
 * for the life of the union; what is bad is told in one line of the log, and reads of it fail.
 */
#ifndef UNIONFS_VERIFY_H
#define UNIONFS_VERIFY_H

#include "layer/layer.h"

#include <stdatomic.h>

struct verify {
	int *sums; /* one descriptor a pack; NULL: nothing is verified */
	size_t npacks;
	_Atomic(uint8_t) **blocks; /* a bit for each block of each pack: it is good */
	_Atomic(uint8_t) *objects; /* a bit for each nid: its object is good */
	uint64_t max_nid;
};

/*
 * @sums: one a pack, duplicated; NULL: verify nothing. What is one of @packs, or an object, and has
 * fs-verity is the kernel's to verify.
 */
int verify_init(struct verify *v, const struct layer_index *x, const int *packs, const int *sums);
void verify_done(struct verify *v);
/* Blocks [@first, @first + @n) of pack @device (from 1), which is @fd: 0 or -EIO. */
int verify_blocks(struct verify *v, const struct layer_index *x, int fd, uint16_t device,
		  uint32_t first, uint64_t n);
/* The whole file @fd, the object of inode @nid: 0 or -EIO. */
int verify_object(struct verify *v, int fd, uint64_t nid, const struct digest *want);

/* A line of the log about damage, each once, a hundred at most. */
void verify_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
