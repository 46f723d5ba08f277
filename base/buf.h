/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable run of bytes. All-zero is an empty one. A failed append is remembered, so check once
 * at the end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NUL-terminated whenever not NULL */
	size_t len, cap;
	bool failed; /* an append found no memory: data is what came before it */
};

#define _buf_done_ __attribute__((cleanup(buf_done)))

void buf_done(struct buf *b);
/* Forgets the bytes, keeps the room. */
void buf_reset(struct buf *b);
/* 0 or -ENOMEM; after the first failure all appends fail. */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_addc(struct buf *b, char c);
int buf_adds(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for @len more bytes at data + len, not yet counted in; NULL without memory. */
void *buf_reserve(struct buf *b, size_t len);
/* Appends @len zero bytes. */
int buf_zero(struct buf *b, size_t len);
/*
 * Hands over the bytes (never NULL on success; NULL after a failed append) and leaves an empty buf.
 */
char *buf_take(struct buf *b);

#endif
