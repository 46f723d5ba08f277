/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image_verify.h"
#include "base/err.h"
#include "base/fd.h"
#include "engine/verdict.h"

#define AT_ONCE 16 /* blocks */

static int damaged(off_t block)
{
	return err(-EBADMSG,
		   "merged index, block %lld: digest mismatch: `strata fsck` makes it again",
		   (long long)block);
}

static int compare(int fd, int sums)
{
	uint8_t data[AT_ONCE * LAYER_BLOCK];
	struct digest want[AT_ONCE], got;

	for (off_t b = 0;; b += AT_ONCE) {
		ssize_t n = fd_pread_full(fd, data, sizeof(data), b * LAYER_BLOCK);
		ssize_t s = fd_pread_full(sums, want, sizeof(want), b * (off_t)sizeof(*want));

		if (n < 0 || s < 0)
			return err((int)(n < 0 ? n : s), "merged index: %s",
				   strerror((int)-(n < 0 ? n : s)));
		if (n % LAYER_BLOCK || s != n / LAYER_BLOCK * (ssize_t)sizeof(*want))
			return damaged(b);
		for (ssize_t i = 0; i < n / LAYER_BLOCK; i++) {
			got = sha256_of(data + i * LAYER_BLOCK, LAYER_BLOCK);
			if (!digest_eq(&got, &want[i]))
				return damaged(b + i);
		}
		if (n < (ssize_t)sizeof(data))
			return 0;
	}
}

int image_verify(int dir, const char *name, const struct stack *k)
{
	struct verdict v;
	int r = verdict_of(k->index_fd, &v);

	if (r < 0 || verdict_known(dir, name, &v))
		return r;
	r = compare(k->index_fd, k->sums[0]);
	if (r >= 0)
		verdict_keep(dir, name, &v);
	return r;
}
