/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <signal.h>

/* The mask is the thread's from its begin on: ours need not be changed and changed back. */
int thread_start(void *(*fn)(void *arg), void *arg, int but, pthread_t *ret)
{
	pthread_attr_t attr;
	sigset_t mask;
	int r;

	sigfillset(&mask);
	sigdelset(&mask, but);
	pthread_attr_init(&attr);
	r = pthread_attr_setsigmask_np(&attr, &mask);
	if (r == 0)
		r = pthread_create(ret, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -r;
}
