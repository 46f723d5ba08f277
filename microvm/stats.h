/* SPDX-License-Identifier: Apache-2.0 */
/* A part of microvm/microvm.h: when a machine came how far, its exits, and what its devices did. */
#ifndef MICROVM_STATS_H
#define MICROVM_STATS_H

#include <stddef.h>
#include <stdint.h>

struct vm;

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

/* ---- devices ---- */

struct vm_net_stats {
	uint64_t in_frames, in_bytes, out_frames, out_bytes, dropped; /* in: to the guest */
};
/* From any thread. -EOPNOTSUPP without vm_config.net. */
int vm_net_stats(const struct vm *v, struct vm_net_stats *ret);

struct vm_disk_stats {
	uint64_t reads, read_bytes, writes, write_bytes, flushes, discards, errors;
};
/* Of the disk @i of vm_config.disks. From any thread. */
void vm_disk_stats(const struct vm *v, size_t i, struct vm_disk_stats *ret);

struct vm_vsock_stats {
	uint64_t connections, in_bytes, out_bytes, refused; /* as struct virtio_vsock_stats */
};
/* From any thread. -EOPNOTSUPP without vm_config.vsock. */
int vm_vsock_stats(const struct vm *v, struct vm_vsock_stats *ret);

struct vm_console_stats {
	uint64_t in_bytes, out_bytes; /* to the guest, from the guest; hvc0 and all ports */
};
/* From any thread. */
void vm_console_stats(const struct vm *v, struct vm_console_stats *ret);
/* Bytes that the guest got from its virtio-rng: from any thread. -EOPNOTSUPP: it has none. */
int vm_rng_bytes(const struct vm *v, uint64_t *ret);

#endif
