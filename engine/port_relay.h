/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that carries bytes from one descriptor to another. */
#ifndef ENGINE_PORT_RELAY_H
#define ENGINE_PORT_RELAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * From @from until its end, to @to until nobody reads there. One of the two is a socket of ours,
 * whose other end learns that it is over: it is shut down for what went through it. The other one
 * is somebody else's, who may share it with more.
 */
struct port_relay {
	int from, to, ours; /* the caller's */
	uint64_t left;	    /* bytes that @to may still get */
	uint64_t took;	    /* bytes from @from; atomic */
	pthread_t thread;
	pthread_mutex_t lock; /* around taking bytes and saying so */
	pthread_cond_t gave;
	bool holds;	     /* bytes that were taken and are not given yet */
	bool over;	     /* the thread takes no more */
	atomic_bool started; /* last: who waits for it may come before */
};

/*
 * @ours is one of the two; @max: bytes that @to gets, the rest is dropped, 0 = any. 0 or -errno
 * with a text. @r is all zero before and does not move afterwards; the thread ends with the
 * process.
 */
int port_relay_start(struct port_relay *r, int from, int to, int ours, uint64_t max);
/* Waits for the thread's end, which comes with the end of @from or of who reads @to. */
void port_relay_join(struct port_relay *r);
/*
 * Waits until the thread has given all that it took and nothing waits for it at @from, or it is
 * over. Whether that was not so at once; never of one that was not started.
 */
bool port_relay_wait_idle(struct port_relay *r);
/* Bytes that came from @from so far, what was dropped among them. From any thread. */
uint64_t port_relay_bytes(const struct port_relay *r);

#endif
