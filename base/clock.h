/* SPDX-License-Identifier: Apache-2.0 */
/* Time: monotonic nanoseconds for durations, RFC 3339 text for documents. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "2026-11-24T09:53:00.123456789Z" (RFC 3339, UTC). */
struct clock_text {
	char s[32];
};
struct clock_text clock_text(struct timespec t);
/* The present moment as text. */
struct clock_text clock_now_text(void);
/* Parses RFC 3339 with Z or an offset, fractions optional: 0 or -EINVAL. */
int clock_parse(const char *s, struct timespec *ret);

#endif
