/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's thread may call next to nothing, and what it started could call no more: the guest's
 * driver starts and ends the threads of its devices by way of the thread in vm_run(). Any other
 * thread that touches a device does so before or after that, and is not narrowed.
 */
#include "microvm/vm.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

int vm_errand(struct vm *v, int (*fn)(void *arg), void *arg)
{
	struct errand *e = &v->errand;
	int r;

	if (!atomic_load(&v->nrunning))
		return fn(arg);
	pthread_mutex_lock(&e->turn);
	pthread_mutex_lock(&e->lock);
	e->fn = fn;
	e->arg = arg;
	eventfd_write(v->end_fd, 1);
	while (e->fn)
		pthread_cond_wait(&e->done, &e->lock);
	r = e->result;
	pthread_mutex_unlock(&e->lock);
	pthread_mutex_unlock(&e->turn);
	return r;
}

void vm_errand_do(struct vm *v)
{
	struct errand *e = &v->errand;

	pthread_mutex_lock(&e->lock);
	if (e->fn) {
		e->result = e->fn(e->arg);
		e->fn = NULL;
		pthread_cond_signal(&e->done);
	}
	pthread_mutex_unlock(&e->lock);
}
