/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <errno.h>

int mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
	void **array = p;
	size_t n = *cap, bytes;
	char *grown;

	if (need <= n)
		return 0;
	n = n > SIZE_MAX / 2 ? need : MAX(n * 2, need);
	n = MAX(n, (size_t)8);
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX)
		return -ENOMEM;
	grown = realloc(*array, bytes);
	if (!grown)
		return -ENOMEM;
	memset(grown + *cap * size, 0, bytes - *cap * size);
	*array = grown;
	*cap = n;
	return 0;
}

void *mem_dup(const void *src, size_t len)
{
	void *copy = malloc(len ? len : 1);

	if (copy && len)
		memcpy(copy, src, len);
	return copy;
}
