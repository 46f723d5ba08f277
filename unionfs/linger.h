/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting awake. A client that has its answer asks again within microseconds, and to wake a thread
 * that sleeps on another CPU costs more than the request (docs/BENCH.md, "What a message costs"):
 * the more where the CPU is virtual, since it halts and is sent an interrupt. So who has answered
 * looks for a moment whether the next request comes, before it sleeps.
 *
 * Only as long as that pays: where the client needs this CPU to go on, or takes its time, it is
 * seen in vain a few times and then tried seldom.
 */
#ifndef UNIONFS_LINGER_H
#define UNIONFS_LINGER_H

/* Of one thread; all zero to begin with. */
struct linger {
	unsigned int misses;  /* in a row */
	unsigned int skipped; /* requests since it was last tried */
};

/* Returns when @fd is readable, or after a moment, or at once. */
void linger(struct linger *l, int fd);

#endif
