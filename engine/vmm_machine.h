/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of a spec. One that boots has the devices that its spec asks for. One that is made
 * for a snapshot, or begins from one, has the same ones for every spec that the snapshot serves
 * (engine/warm.h): all ports, and places for VMM_VOLUMES volumes.
 */
#ifndef ENGINE_VMM_MACHINE_H
#define ENGINE_VMM_MACHINE_H

#include "engine/spec.h"
#include "microvm/microvm.h"

#define VMM_VOLUMES 4u

enum vmm_machine_kind {
	VMM_BOOTS,
	VMM_MADE, /* for nobody: boots until a snapshot can be taken, or begins from that */
	VMM_WARM, /* has what one of these has */
};

struct vmm_machine {
	enum vmm_machine_kind kind;
	const struct vm_snapshot *snapshot; /* that it begins from; NULL: it boots */
	int port_fd;			    /* the guest's end of the control port, -1 = none */
	vm_fs_serve_fn *serve; /* of the root, then of each volume, with its ctx; NULL = none */
	void *(*ctx)(void *arg, size_t i);
	void (*end)(void *arg); /* nothing is waited for any more that is being served */
	void *arg;
	unsigned threads; /* that call serve for the root, 0 = as many as the device has */
	int (*connect)(void *ctx, uint32_t port); /* as struct vm_vsock has it */
	int (*begun)(void *ctx); /* as struct vm_config has it */
	void *begun_ctx;
};

/* Its kernel and init are VMM_KERNEL and VMM_INIT. */
int vmm_machine_new(const struct run_spec *s, const struct vmm_machine *m, struct vm **ret);

#endif
