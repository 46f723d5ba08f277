/* SPDX-License-Identifier: Apache-2.0 */
/* Figures that some threads add to and any reads: each by itself, in no order. */
#ifndef BASE_COUNT_H
#define BASE_COUNT_H

#include <stdint.h>

static inline void count_add(uint64_t *p, uint64_t n)
{
	__atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}

static inline uint64_t count_get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

#endif
