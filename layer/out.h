/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is written from its first byte to its last, through a buffer. The first failure
 * sticks.
 */
#ifndef LAYER_OUT_H
#define LAYER_OUT_H

#include <stddef.h>
#include <stdint.h>

struct out {
	int fd;
	int failed;    /* 0 or the first -errno */
	uint64_t done; /* bytes in the file */
	size_t used;   /* bytes in the buffer */
	uint8_t *buf;
};

int out_init(struct out *o, int fd);
void out_done(struct out *o);
void out_write(struct out *o, const void *data, size_t len);
/* Zeros up to byte @off, which is not passed yet. */
void out_zero_to(struct out *o, uint64_t off);
/* Writes what the buffer holds: 0 or the first failure. */
int out_flush(struct out *o);

#endif
