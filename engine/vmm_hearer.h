/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who hears the guest's init while its machine runs, and the supervisor: a thread that hears those
 * who are not trusted and can do little (vm_jail_thread()).
 */
#ifndef ENGINE_VMM_HEARER_H
#define ENGINE_VMM_HEARER_H

#include "microvm/microvm.h"
#include <pthread.h>

/* The functions are called by that thread. */
struct vmm_hearer {
	struct vm_control *control;
	void (*guest)(void *ctx, const struct vm_guest_event *e);
	int monitor_fd;		   /* -1: there is none to be heard */
	int (*monitor)(void *ctx); /* it says something; negative: it has gone */
	void (*stop)(void *ctx);   /* the machine is to end: it has gone, or nobody can hear */
	void *ctx;
	int ended_fd; /* the hearer's own, -1 before: an eventfd, the machine no longer runs */
	pthread_t thread;
};

int vmm_hearer_begin(struct vmm_hearer *h);
/* Once vm_run() has returned: what the guest had said by then is heard. If it has begun. */
void vmm_hearer_end(struct vmm_hearer *h);

#endif
