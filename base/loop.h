/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event loop over epoll(7), for one thread: descriptors and signals call back. A callback
 * returns 0 to go on, or anything else to end the loop with that value.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdint.h>
#include <sys/signalfd.h>

struct loop;
typedef int loop_fn(void *ctx, int fd, uint32_t events);
typedef int loop_signal_fn(void *ctx, const struct signalfd_siginfo *si);

int loop_new(struct loop **ret);
void loop_free(struct loop *l);

/* Watches @fd for @events (EPOLLIN, ...); the descriptor stays the caller's. 0 or -errno. */
int loop_add(struct loop *l, int fd, uint32_t events, loop_fn *fn, void *ctx);
int loop_modify(struct loop *l, int fd, uint32_t events);
/* Safe inside any callback, also for the descriptor being called for. */
void loop_remove(struct loop *l, int fd);
/*
 * Blocks the signals in the 0-terminated list @signals for this thread and reads them by signalfd.
 * Once per loop.
 */
int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *ctx);

/* Until a callback returns other than 0; gives that value, or -errno. */
int loop_run(struct loop *l);

#endif
