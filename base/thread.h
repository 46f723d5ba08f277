/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that is told of no signal but one. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Runs @fn(@arg) with all signals blocked but @but: 0 or -errno. */
int thread_start(void *(*fn)(void *arg), void *arg, int but, pthread_t *ret);

#endif
