/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/decompress.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_d_forceIgnoreChecksum alone */
#include <isa-l.h>
#include <zstd.h>

#define HEAD	       6	     /* bytes that tell what it is */
#define CHUNK	       (256u << 10)  /* read and unpacked at once */
#define WINDOW_LOG_MAX 25	     /* zstd: 32 MiB of memory; levels up to 19 need 8 */
#define GZIP_TRAILER   8u	     /* bytes: CRC-32 and length (RFC 1952, 2.3.1) */
#define RATIO_FROM     (64ull << 20) /* what is smaller than this cannot hurt */

struct decompress {
	struct decompress_bounds bounds;
	int (*sink)(void *ctx, const void *data, size_t len);
	void *(*room)(void *ctx, size_t *ret_len); /* NULL: buf */
	void *ctx;
	enum decompress_kind kind;
	uint8_t head[HEAD];
	size_t nhead;
	uint64_t in, out;
	bool in_member; /* inside a gzip member or a zstd frame */
	bool padding;	/* zeros behind the last gzip member */
	bool unsummed;
	uint32_t trailer; /* bytes of a gzip member's that are still to be passed over */
	struct inflate_state *inflate;
	ZSTD_DStream *zstd;
	uint8_t buf[CHUNK];
};

int decompress_new(const struct decompress_bounds *b,
		   int (*sink)(void *ctx, const void *data, size_t len), void *ctx,
		   struct decompress **ret)
{
	struct decompress *d = malloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	memset(d, 0, offsetof(struct decompress, buf));
	d->bounds = *b;
	d->sink = sink;
	d->ctx = ctx;
	*ret = d;
	return 0;
}

void decompress_into(struct decompress *d, void *(*room)(void *ctx, size_t *ret_len))
{
	d->room = room;
}

void decompress_free(struct decompress *d)
{
	if (!d)
		return;
	free(d->inflate);
	ZSTD_freeDStream(d->zstd);
	free(d);
}

enum decompress_kind decompress_kind(const struct decompress *d)
{
	return d->kind;
}

void decompress_unsummed(struct decompress *d)
{
	d->unsummed = true;
}

/* Where the next piece goes. */
static uint8_t *place(struct decompress *d, size_t *ret_len)
{
	*ret_len = CHUNK;
	return d->room ? d->room(d->ctx, ret_len) : d->buf;
}

static int emit(struct decompress *d, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	d->out += len;
	if (d->out > d->bounds.max_bytes)
		return err(-EFBIG, "unpacks to more than the allowed %llu bytes",
			   (unsigned long long)d->bounds.max_bytes);
	if (d->out > RATIO_FROM && d->kind != DECOMPRESS_PLAIN &&
	    d->out / d->bounds.max_ratio > d->in)
		return err(-EFBIG, "unpacks to more than %u times its size: refused as a bomb",
			   d->bounds.max_ratio);
	return d->sink(d->ctx, data, len);
}

/* ---- gzip (RFC 1952): members one after another, then perhaps zeros ---- */

static int gzip_begin(struct decompress *d)
{
	d->inflate = malloc(sizeof(*d->inflate));
	if (!d->inflate)
		return -ENOMEM;
	isal_inflate_init(d->inflate);
	d->inflate->crc_flag = ISAL_GZIP;
	return 0;
}

/* Between members: the next one, or zeros up to the end. 1 = go on unpacking. */
static int gzip_between(struct decompress *d)
{
	struct inflate_state *z = d->inflate;

	while (z->avail_in && *z->next_in == 0) {
		d->padding = true;
		z->next_in++;
		z->avail_in--;
	}
	if (z->avail_in == 0)
		return 0;
	if (d->padding || *z->next_in != 0x1f)
		return err(-EBADMSG, "gzip: data behind its end");
	isal_inflate_reset(z);
	z->crc_flag = ISAL_GZIP;
	d->in_member = true;
	return 1;
}

/* Without a sum ISA-L stops at the end of the data, of the trailer it holds some bytes already. */
static void end_member(struct decompress *d)
{
	uint32_t held = (uint32_t)d->inflate->read_in_length / 8;

	if (d->inflate->crc_flag == ISAL_DEFLATE)
		d->trailer = GZIP_TRAILER - MIN(held, GZIP_TRAILER);
	d->in_member = d->trailer != 0;
}

static void pass_trailer(struct decompress *d)
{
	struct inflate_state *z = d->inflate;
	uint32_t n = MIN(d->trailer, z->avail_in);

	z->next_in += n;
	z->avail_in -= n;
	d->trailer -= n;
	d->in_member = d->trailer != 0;
}

static int gzip_member(struct decompress *d)
{
	struct inflate_state *z = d->inflate;
	size_t len;
	uint8_t *to = place(d, &len);
	int r;

	z->next_out = to;
	z->avail_out = (uint32_t)len;
	r = isal_inflate(z);
	if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT)
		return err(-EBADMSG, "gzip: damaged data (%d)", r);
	if (z->block_state == ISAL_BLOCK_FINISH)
		end_member(d);
	else if (d->unsummed && z->wrapper_flag) /* its header has been read */
		z->crc_flag = ISAL_DEFLATE;
	return emit(d, to, len - z->avail_out);
}

static int gzip_feed(struct decompress *d, const void *data, size_t len)
{
	struct inflate_state *z = d->inflate;
	int r;

	z->next_in = (uint8_t *)(uintptr_t)data; /* it is only read */
	z->avail_in = (uint32_t)len;
	for (;;) {
		if (d->trailer)
			pass_trailer(d);
		if (d->trailer)
			return 0;
		if (!d->in_member) {
			r = gzip_between(d);
			if (r <= 0)
				return r;
		}
		r = gzip_member(d);
		if (r)
			return r;
		/* It may hold bytes back for want of room, so the input alone does not tell. */
		if (z->avail_in == 0 && z->avail_out)
			return 0;
	}
}

/* ---- zstd (RFC 8878): frames, skippable ones among them ---- */

static int zstd_begin(struct decompress *d)
{
	d->zstd = ZSTD_createDStream();
	if (!d->zstd)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	/* A library that knows it no more makes the sum, no harm. */
	if (d->unsummed)
		ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_forceIgnoreChecksum, ZSTD_d_ignoreChecksum);
	return 0;
}

static int zstd_feed(struct decompress *d, const void *data, size_t len)
{
	ZSTD_inBuffer in = { .src = data, .size = len };

	for (;;) {
		ZSTD_outBuffer out = { .pos = 0 };
		size_t left;
		int r;

		out.dst = place(d, &out.size);
		left = ZSTD_decompressStream(d->zstd, &out, &in);
		if (ZSTD_isError(left))
			return err(-EBADMSG, "zstd: %s", ZSTD_getErrorName(left));
		d->in_member = left != 0;
		r = emit(d, out.dst, out.pos);
		if (r)
			return r;
		/* Behind a frame's end another call would begin the next one, of no bytes. */
		if (in.pos == in.size && (out.pos < out.size || !d->in_member))
			return 0;
	}
}

/* ---- any ---- */

static bool is_zstd(const uint8_t *h)
{
	bool frame = memcmp(h, "\x28\xb5\x2f\xfd", 4) == 0;

	return frame || ((h[0] & 0xf0) == 0x50 && memcmp(h + 1, "\x2a\x4d\x18", 3) == 0);
}

enum decompress_kind decompress_kind_of(const void *head, size_t len)
{
	const uint8_t *h = head;

	if (len < HEAD)
		return DECOMPRESS_PLAIN;
	if (h[0] == 0x1f && h[1] == 0x8b)
		return DECOMPRESS_GZIP;
	return is_zstd(h) ? DECOMPRESS_ZSTD : DECOMPRESS_PLAIN;
}

static int begin_known(struct decompress *d)
{
	d->kind = decompress_kind_of(d->head, d->nhead);
	if (d->kind == DECOMPRESS_GZIP)
		return gzip_begin(d);
	if (d->kind == DECOMPRESS_ZSTD)
		return zstd_begin(d);
	if (d->nhead == HEAD && memcmp(d->head,
				       "\xfd"
				       "7zXZ",
				       6) == 0)
		return err(-EBADMSG,
			   "compressed by xz, which images do not use: take gzip or zstd");
	if (d->nhead == HEAD && memcmp(d->head, "BZh", 3) == 0)
		return err(-EBADMSG,
			   "compressed by bzip2, which images do not use: take gzip or zstd");
	return 0;
}

static int feed_known(struct decompress *d, const void *data, size_t len)
{
	switch (d->kind) {
	case DECOMPRESS_GZIP:
		return gzip_feed(d, data, len);
	case DECOMPRESS_ZSTD:
		return zstd_feed(d, data, len);
	default:
		return emit(d, data, len);
	}
}

static int feed_head(struct decompress *d)
{
	int r = begin_known(d);

	return r < 0 ? r : feed_known(d, d->head, d->nhead);
}

int decompress_feed(struct decompress *d, const void *data, size_t len)
{
	const uint8_t *p = data;
	int r;

	d->in += len;
	if (d->kind == DECOMPRESS_UNKNOWN) {
		size_t n = MIN(len, HEAD - d->nhead);

		memcpy(d->head + d->nhead, p, n);
		d->nhead += n;
		p += n;
		len -= n;
		if (d->nhead < HEAD)
			return 0;
		r = feed_head(d);
		if (r)
			return r;
	}
	return len ? feed_known(d, p, len) : 0;
}

int decompress_finish(struct decompress *d)
{
	if (d->kind == DECOMPRESS_UNKNOWN) {
		int r = feed_head(d);

		if (r)
			return r;
	}
	return d->in_member ? err(-EBADMSG, "the compressed data is cut off") : 0;
}

int decompress_fd(struct decompress *d, int fd)
{
	_free_ uint8_t *data = malloc(CHUNK);
	ssize_t n;
	int r;

	if (!data)
		return -ENOMEM;
	for (;;) {
		n = read(fd, data, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys("reading the archive");
		if (n == 0)
			return decompress_finish(d);
		r = decompress_feed(d, data, (size_t)n);
		if (r)
			return r;
	}
}
