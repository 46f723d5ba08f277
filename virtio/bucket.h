/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: what a device may move in a second. One thread. */
#ifndef VIRTIO_BUCKET_H
#define VIRTIO_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint64_t rate;	/* a second; 0 = no bound */
	uint64_t burst; /* the most that it holds */
	int64_t tokens; /* below 0: a debt that time pays off */
	uint64_t last_ns;
};

/* Full, with room for a tenth of a second, at @now (CLOCK_MONOTONIC, ns). */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t now);
/*
 * Whether something may go now: 0, or how many ns from @now on it may. bucket_take() then takes
 * what it was, all of it, so that something larger than the bucket goes too, and is paid
 * afterwards.
 */
uint64_t bucket_wait(struct bucket *b, uint64_t now);
/* Whether something may go now; else @timer, a timerfd of CLOCK_MONOTONIC, comes when it may. */
bool bucket_may(struct bucket *b, int timer);
void bucket_take(struct bucket *b, uint64_t n);

#endif
