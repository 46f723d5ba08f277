/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/compress.h"

#include <isa-l.h>

#define LEVEL	 1
#define OUT_SIZE (128u << 10)
#define IN_SIZE	 (256u << 10)

struct compress {
	struct txn *t;
	struct out_file file;
	struct isal_zstream z;
	uint8_t level[ISAL_DEF_LVL1_DEFAULT];
	uint8_t out[OUT_SIZE];
	/*
	 * What ISA-L makes depends on how its input is cut. Always cut alike, the same tar gives
	 * the same blob, whoever writes it: so a blob that is made again is the one that was
	 * dropped.
	 */
	uint8_t in[IN_SIZE];
	size_t have;
};

int compress_new(struct txn *t, struct compress **ret)
{
	struct compress *c = malloc(sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->t = t;
	c->file = OUT_FILE_NONE;
	c->have = 0;
	memset(c->level, 0, sizeof(c->level));
	isal_deflate_init(&c->z);
	c->z.gzip_flag = IGZIP_GZIP;
	c->z.level = LEVEL;
	c->z.level_buf = c->level;
	c->z.level_buf_size = sizeof(c->level);
	r = out_file_open(t, true, &c->file);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void compress_free(struct compress *c)
{
	if (!c)
		return;
	out_file_drop(&c->file);
	free(c);
}

static int deflate(struct compress *c, const void *data, size_t len)
{
	c->z.next_in = (uint8_t *)(uintptr_t)data; /* it is only read */
	c->z.avail_in = (uint32_t)len;
	do {
		int r;

		c->z.next_out = c->out;
		c->z.avail_out = OUT_SIZE;
		r = isal_deflate(&c->z);
		if (r != COMP_OK)
			return err(-EIO, "gzip: the compressor failed (%d)", r);
		r = out_file_write(&c->file, c->out, OUT_SIZE - c->z.avail_out);
		if (r < 0)
			return r;
	} while (c->z.avail_out == 0 || c->z.avail_in);
	return 0;
}

int compress_write(void *compress, const void *data, size_t len)
{
	struct compress *c = compress;
	const char *p = data;

	while (len) {
		size_t n = MIN(len, IN_SIZE - c->have);
		int r = 0;

		memcpy(c->in + c->have, p, n);
		c->have += n;
		p += n;
		len -= n;
		if (c->have == IN_SIZE) {
			r = deflate(c, c->in, IN_SIZE);
			c->have = 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int compress_finish(struct compress *c, struct image_layer *ret)
{
	int r;

	c->z.end_of_stream = 1;
	r = deflate(c, c->in, c->have);
	if (r >= 0)
		r = out_file_close(&c->file, &ret->blob);
	if (r < 0)
		return r;
	ret->blob_size = c->file.size;
	r = txn_seal_blob(c->t, &c->file.name, &ret->blob);
	c->file.name.s[0] = '\0';
	return r < 0 ? r : str_copy(ret->media_type, sizeof(ret->media_type), MEDIA_LAYER_GZIP);
}
