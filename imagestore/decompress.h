/* SPDX-License-Identifier: Apache-2.0 */
/* A stream unpacked as its bytes come: gzip (ISA-L), zstd, or plain, known by its first bytes. */
#ifndef IMAGESTORE_DECOMPRESS_H
#define IMAGESTORE_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

enum decompress_kind { DECOMPRESS_UNKNOWN, DECOMPRESS_PLAIN, DECOMPRESS_GZIP, DECOMPRESS_ZSTD };

struct decompress_bounds {
	uint64_t max_bytes; /* unpacked */
	uint32_t max_ratio; /* unpacked / packed, past 64 MiB */
};

/* What a stream is that begins with @len bytes @head: 6 tell. */
enum decompress_kind decompress_kind_of(const void *head, size_t len);

struct decompress;
/* @sink gets what comes out; any value but 0 ends it. */
int decompress_new(const struct decompress_bounds *b,
		   int (*sink)(void *ctx, const void *data, size_t len), void *ctx,
		   struct decompress **ret);
void decompress_free(struct decompress *d);
/*
 * What comes out of gzip and zstd goes where @room says, asked before each piece: so many bytes
 * may stand there, and @sink gets them next. Without it a piece is gone when @sink returns.
 */
void decompress_into(struct decompress *d, void *(*room)(void *ctx, size_t *ret_len));
/*
 * The caller has a digest of what comes out: the sums that gzip and zstd have of it are not made.
 * What does not end where its format says is still refused.
 */
void decompress_unsummed(struct decompress *d);
int decompress_feed(struct decompress *d, const void *data, size_t len);
/* -EBADMSG when the stream was cut off. */
int decompress_finish(struct decompress *d);
/* Known after the first few bytes, at the latest after decompress_finish(). */
enum decompress_kind decompress_kind(const struct decompress *d);

/* All of @fd through decompress_feed() and decompress_finish(). */
int decompress_fd(struct decompress *d, int fd);

#endif
