/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/pack.h"

#define BLOCKS_MAX (1u << 31) /* 8 TiB; what an EROFS device may have */

static int add_block(struct pack *p, const void *data, size_t len, struct sha256 *tar)
{
	static const uint8_t zeros[LAYER_BLOCK];
	struct sha256 h;
	struct digest sum;
	int r;

	sha256_init(&h);
	if (tar)
		sha256_update_both(&h, tar, data, len);
	else
		sha256_update(&h, data, len);
	sha256_update(&h, zeros, LAYER_BLOCK - len);
	sum = sha256_final(&h);
	r = out_file_write(&p->sums, sum.b, sizeof(sum.b));
	if (r >= 0)
		r = out_file_write(&p->data, data, len);
	if (r >= 0)
		r = out_file_write(&p->data, zeros, LAYER_BLOCK - len);
	p->blocks++;
	return r;
}

static int begin(struct txn *t, struct pack *p)
{
	int r = out_file_open(t, false, &p->data);

	return r < 0 ? r : out_file_open(t, true, &p->sums);
}

int pack_add(struct txn *t, struct pack *p, const void *data, size_t len, struct sha256 *tar,
	     uint32_t *ret_block)
{
	const char *b = data;
	int r = p->data.t ? 0 : begin(t, p);

	if (r < 0)
		return r;
	if (p->blocks > BLOCKS_MAX - LAYER_PACK_MAX / LAYER_BLOCK)
		return err(-EFBIG, "over 8 TiB of small files in one layer");
	*ret_block = p->blocks;
	for (size_t done = 0; r >= 0 && done < len; done += LAYER_BLOCK)
		r = add_block(p, b + done, MIN(len - done, (size_t)LAYER_BLOCK), tar);
	return r;
}

int pack_close(struct pack *p)
{
	int r;

	if (!p->blocks)
		return 0;
	r = out_file_close(&p->data, NULL);
	return r < 0 ? r : out_file_close(&p->sums, &p->sums_digest);
}

void pack_drop(struct pack *p)
{
	out_file_drop(&p->data);
	out_file_drop(&p->sums);
}
