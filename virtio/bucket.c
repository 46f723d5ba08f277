/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/bucket.h"

#include "base/clock.h"
#include "base/mem.h"
#include <sys/timerfd.h>

#define NS_PER_S UINT64_C(1000000000)
#define BURSTS	 10u /* in a second */

void bucket_init(struct bucket *b, uint64_t rate, uint64_t now)
{
	*b = (struct bucket){ .rate = rate,
			      .burst = MAX(rate / BURSTS, UINT64_C(1)),
			      .last_ns = now };
	b->tokens = (int64_t)b->burst;
}

/* In 128 bits: a rate of GB/s over a long silence is more than 64 hold. */
static void refill(struct bucket *b, uint64_t now)
{
	unsigned __int128 more = (unsigned __int128)(now - b->last_ns) * b->rate / NS_PER_S;
	uint64_t room = (uint64_t)((int64_t)b->burst - b->tokens);

	if (!more)
		return; /* the fraction counts later */
	b->tokens += more < room ? (int64_t)more : (int64_t)room;
	b->last_ns = now;
}

uint64_t bucket_wait(struct bucket *b, uint64_t now)
{
	unsigned __int128 ns;

	if (!b->rate)
		return 0;
	refill(b, now);
	if (b->tokens > 0)
		return 0;
	ns = ((unsigned __int128)(uint64_t)(1 - b->tokens) * NS_PER_S + b->rate - 1) / b->rate;
	return (uint64_t)ns;
}

bool bucket_may(struct bucket *b, int timer)
{
	uint64_t ns = b->rate ? bucket_wait(b, clock_ns()) : 0;
	struct itimerspec t = { .it_value = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) } };

	if (ns)
		timerfd_settime(timer, 0, &t, NULL);
	return !ns;
}

void bucket_take(struct bucket *b, uint64_t n)
{
	if (b->rate)
		b->tokens -= (int64_t)n;
}
