/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/linger.h"

#include "base/clock.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define MOMENT_NS  50000u /* two wake-ups between virtual CPUs, or ten between real ones */
#define GAP_NS     8000u  /* a look takes less than 1,000 */
#define MISSES_MAX 4u	  /* in a row, and it is tried seldom: */
#define SELDOM	   64u	  /* once in so many requests */

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

/*
 * Whether a request comes while this thread is awake. Where the client shares the CPU it can only
 * ask by taking that away, which shows as a gap: no look takes so long.
 */
static bool comes(int fd)
{
	uint64_t now = clock_ns(), before;
	const uint64_t until = now + MOMENT_NS;
	bool there;

	do {
		before = now;
		there = readable(fd);
		now = clock_ns();
		if (now - before >= GAP_NS)
			return false;
	} while (!there && now < until);
	return there;
}

void linger(struct linger *l, int fd)
{
	if (l->misses >= MISSES_MAX && ++l->skipped < SELDOM)
		return;
	l->skipped = 0;
	/* One that is there already says nothing of those that are not. */
	if (!readable(fd))
		l->misses = comes(fd) ? 0 : l->misses + 1;
}
