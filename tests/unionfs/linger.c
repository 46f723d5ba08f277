/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting awake: how long, how often in vain, and what counts as in vain. */
#include "unionfs/linger.h"

#include "tap.h"

#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define TRIES 4	 /* in vain, in a row */
#define EVERY 64 /* requests, for one more */

static int ends[2];

static void begin(void)
{
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
}

static void end(void)
{
	close(ends[0]);
	close(ends[1]);
}

static void in_vain(void)
{
	struct linger l = { 0 };
	uint64_t began = clock_ns();

	begin();
	for (unsigned int i = 1; i <= TRIES; i++) {
		linger(&l, ends[0]);
		CHECK(l.misses == i);
	}
	CHECK(clock_ns() - began < 2000000000u);
	for (unsigned int i = 1; i < EVERY; i++)
		linger(&l, ends[0]);
	CHECK(l.misses == TRIES && l.skipped == EVERY - 1);
	linger(&l, ends[0]);
	CHECK(l.misses == TRIES + 1 && l.skipped == 0);
	end();
}

/* What is there at once would have been had without looking. */
static void there_already(void)
{
	struct linger l = { .misses = 2 };

	begin();
	CHECK(write(ends[1], "x", 1) == 1);
	linger(&l, ends[0]);
	CHECK(l.misses == 2);
	end();
}

#define PATIENCE UINT64_C(300000000000) /* ns: a busy machine runs both at once now and then */

static int answers[2];
static atomic_bool over;

/* The calling thread stays on the first CPU that it may use, or on the last. */
static void stay(bool last)
{
	cpu_set_t all, one;
	int cpu = last ? CPU_SETSIZE - 1 : 0;

	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	while (!CPU_ISSET(cpu, &all))
		cpu += last ? -1 : 1;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
}

/* A client that does not sleep: it asks again a moment after it has its answer. */
static void *asks(void *unused)
{
	char c;

	stay(true);
	while (!over) {
		CHECK(write(ends[1], "x", 1) == 1);
		while (read(answers[0], &c, 1) != 1 && !over)
			sched_yield();
	}
	return unused;
}

static void met_awake(void)
{
	const uint64_t until = clock_ns() + PATIENCE;
	struct linger l = { 0 };
	bool met = false;
	cpu_set_t all;
	pthread_t t;
	char c;

	/* On one CPU it cannot ask while we look. */
	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	if (CPU_COUNT(&all) < 2)
		return;
	begin();
	CHECK(pipe2(answers, O_CLOEXEC | O_NONBLOCK) == 0);
	CHECK(pthread_create(&t, NULL, asks, NULL) == 0);
	stay(false);
	while (!met && clock_ns() < until) {
		l.misses = 1;
		linger(&l, ends[0]);
		met = l.misses == 0;
		CHECK(read(ends[0], &c, 1) == 1 && write(answers[1], "y", 1) == 1);
	}
	over = true;
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
	CHECK(met);
	close(answers[0]);
	close(answers[1]);
	end();
}

int main(void)
{
	tap_run("linger", "seen in vain a few times, it is tried seldom", in_vain);
	tap_run("linger", "what is there already counts neither way", there_already);
	tap_run("linger", "what comes in the moment is met awake", met_awake);
	return tap_done();
}
