/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a frame: records, gathered to R records of some size, through one zstd stream. */
#include "imagestore/frame.h"

#include <endian.h>
#include <zstd.h>

#define LEVEL	 1
#define OUT_SIZE (128u << 10)

struct frame_writer {
	struct out_file file;
	ZSTD_CStream *zstd;
	uint8_t raw[FRAME_RAW_MAX];
	size_t nraw;
	uint8_t out[OUT_SIZE];
};

int frame_writer_new(struct txn *t, struct frame_writer **ret)
{
	struct frame_writer *f = malloc(sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->file = OUT_FILE_NONE;
	f->nraw = 0;
	f->zstd = ZSTD_createCStream();
	r = f->zstd ? out_file_open(t, true, &f->file) : -ENOMEM;
	if (r >= 0)
		r = out_file_write(&f->file, FRAME_MAGIC, strlen(FRAME_MAGIC));
	if (r < 0) {
		frame_writer_free(f);
		return r;
	}
	ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, LEVEL);
	*ret = f;
	return 0;
}

void frame_writer_free(struct frame_writer *f)
{
	if (!f)
		return;
	out_file_drop(&f->file);
	ZSTD_freeCStream(f->zstd);
	free(f);
}

static int compress(struct frame_writer *f, const void *data, size_t len, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { .src = data, .size = len };
	size_t left;

	do {
		ZSTD_outBuffer out = { .dst = f->out, .size = OUT_SIZE };
		int r;

		left = ZSTD_compressStream2(f->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return err(-EIO, "zstd: %s", ZSTD_getErrorName(left));
		r = out_file_write(&f->file, f->out, out.pos);
		if (r < 0)
			return r;
	} while (how == ZSTD_e_end ? left != 0 : in.pos < in.size);
	return 0;
}

static int flush_raw(struct frame_writer *f)
{
	uint8_t head[5] = { FRAME_RAW };
	uint32_t len = htole32((uint32_t)f->nraw);
	int r;

	if (f->nraw == 0)
		return 0;
	memcpy(head + 1, &len, sizeof(len));
	r = compress(f, head, sizeof(head), ZSTD_e_continue);
	if (r >= 0)
		r = compress(f, f->raw, f->nraw, ZSTD_e_continue);
	f->nraw = 0;
	return r;
}

int frame_raw(struct frame_writer *f, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		size_t n = MIN(len, FRAME_RAW_MAX - f->nraw);
		int r = 0;

		memcpy(f->raw + f->nraw, p, n);
		f->nraw += n;
		p += n;
		len -= n;
		if (f->nraw == FRAME_RAW_MAX)
			r = flush_raw(f);
		if (r < 0)
			return r;
	}
	return 0;
}

int frame_packed(struct frame_writer *f, uint32_t block, uint64_t len)
{
	uint8_t record[13] = { FRAME_PACKED };
	int r = flush_raw(f);

	block = htole32(block);
	len = htole64(len);
	memcpy(record + 1, &block, sizeof(block));
	memcpy(record + 5, &len, sizeof(len));
	return r < 0 ? r : compress(f, record, sizeof(record), ZSTD_e_continue);
}

static int sized_digest(struct frame_writer *f, uint8_t type, uint64_t len, const struct digest *d,
			ZSTD_EndDirective how)
{
	uint8_t record[41] = { type };
	int r = flush_raw(f);

	len = htole64(len);
	memcpy(record + 1, &len, sizeof(len));
	memcpy(record + 9, d->b, sizeof(d->b));
	return r < 0 ? r : compress(f, record, sizeof(record), how);
}

int frame_object(struct frame_writer *f, uint64_t len, const struct digest *d)
{
	return sized_digest(f, FRAME_OBJECT, len, d, ZSTD_e_continue);
}

int frame_segment(struct frame_writer *f, uint64_t off, uint64_t len, const struct digest *d)
{
	uint8_t record[49] = { FRAME_SEGMENT };
	int r = flush_raw(f);

	off = htole64(off);
	len = htole64(len);
	memcpy(record + 1, &off, sizeof(off));
	memcpy(record + 9, &len, sizeof(len));
	memcpy(record + 17, d->b, sizeof(d->b));
	return r < 0 ? r : compress(f, record, sizeof(record), ZSTD_e_continue);
}

int frame_end(struct frame_writer *f, uint64_t len, const struct digest *diff_id,
	      struct digest *ret_digest)
{
	int r = sized_digest(f, FRAME_END, len, diff_id, ZSTD_e_end);

	return r < 0 ? r : out_file_close(&f->file, ret_digest);
}

int frame_name(struct frame_writer *f, const char *path)
{
	return out_file_name(&f->file, path);
}
