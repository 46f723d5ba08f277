/* SPDX-License-Identifier: Apache-2.0 */
/* A part of microvm/microvm.h: when a machine came how far, and its exits. */
#ifndef MICROVM_STATS_H
#define MICROVM_STATS_H

#include <stdint.h>

/* Times are CLOCK_MONOTONIC in ns, 0 = not yet. */
struct vm_stats {
	uint64_t exits[64]; /* by KVM_EXIT_ reason, to user space; complete after vm_run() */
	/*
	 * The guest's first write of n to the mark port (GUEST_MARK_), and how many exits there
	 * were before. Without vm_config.trace it is seen only at the guest's next exit.
	 */
	uint64_t marks[16], mark_exits[16];
	uint64_t began_ns;   /* vm_new() */
	uint64_t kvm_ns;     /* KVM has the VM, its memory and vCPUs */
	uint64_t loaded_ns;  /* devices, kernel and init are in place */
	uint64_t started_ns; /* before the first KVM_RUN */
	uint64_t ended_ns;   /* the vCPU threads have ended */
};

/* What the guest's mark @n says, a static text; NULL when it says nothing. */
const char *vm_mark_name(unsigned n);

#endif
