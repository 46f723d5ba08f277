/* SPDX-License-Identifier: Apache-2.0 */
/* What `run --vm --trace-boot` tells of a microVM that has ended. */
#ifndef ENGINE_VMM_TRACE_H
#define ENGINE_VMM_TRACE_H

#include "microvm/microvm.h"

struct vmm_trace {
	uint64_t process_ns, freed_ns; /* CLOCK_MONOTONIC: strata-vmm began; its machine is freed */
	struct vm_stats stats;
	struct vm_net_stats net;
	struct vm_disk_stats disks[VM_DISKS_MAX];
	struct vm_vsock_stats vsock;
	uint64_t reported; /* bytes that a balloon has given back to the host */
};

/* A line for each phase that was reached and for each reason of exits, to @fd. */
void vmm_trace_print(const struct vmm_trace *t, int fd);

#endif
