/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's thread may call next to nothing, and what it started could call no more: the guest's
 * driver starts and ends the threads of its devices by way of the thread in vm_run(). Any other
 * thread that touches a device does so before or after that, and is not narrowed.
 */
#include "microvm/vm.h"
#include "base/mem.h"
#include <errno.h>
#include <poll.h>
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

/* ---- what is done when a descriptor is readable ---- */

static void drop(struct vm *v, unsigned i)
{
	v->late[i] = v->late[--v->nlate];
}

int vm_when(struct vm *v, int fd, void (*fn)(void *arg), void *arg)
{
	if (fd >= 0 && v->nlate == ARRAY_SIZE(v->late))
		return -ENOSPC;
	if (fd >= 0) {
		v->late[v->nlate++] = (struct late){ fd, fn, arg };
		return 0;
	}
	for (unsigned i = v->nlate; i--;)
		if (v->late[i].arg == arg)
			drop(v, i);
	return 0;
}

void vm_errand_wait(struct vm *v)
{
	struct pollfd p[1 + VM_LATE_MAX];

	for (;;) {
		const unsigned n = v->nlate;

		p[0] = (struct pollfd){ .fd = v->end_fd, .events = POLLIN };
		for (unsigned i = 0; i < n; i++)
			p[1 + i] = (struct pollfd){ .fd = v->late[i].fd, .events = POLLIN };
		if (poll(p, 1 + n, -1) < 0 && errno != EINTR)
			return;
		/* From the last on, in whose place none comes that was not looked at. */
		for (unsigned i = n; i--;) {
			const struct late l = v->late[i];

			if (!p[1 + i].revents)
				continue;
			drop(v, i);
			l.fn(l.arg);
		}
		if (p[0].revents)
			return;
	}
}
