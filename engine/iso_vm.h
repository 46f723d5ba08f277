/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the isolation of a microVM: what its supervisor knows of it. */
#ifndef ENGINE_ISO_VM_H
#define ENGINE_ISO_VM_H

#include "engine/iso.h"
#include "engine/vmm.h"
#include "microvm/microvm.h"

struct iso_vm {
	struct iso_context c;
	struct rootfs root; /* its parts, without a mount */
	struct cgroup *cgroup;
	struct layer_index *index;
	struct loop *loop;
	pid_t pid;
	int pidfd, control, objects, ports, console;
	bool warm;		    /* it was to begin from @machine */
	bool restored;		    /* it is to go on from its own */
	bool saved;		    /* it is in a file, and ends */
	struct vm_snapshot machine; /* its descriptor is closed by then */
	bool starting;		    /* start() runs the loop */
	bool started;		    /* its command runs, or has run */
	bool cut;		    /* it was killed from outside */
	struct vmm_message failure; /* VMM_FAILED, once it has come */
	int exit_status;	    /* the command's, -1 = not told */
};

/*
 * vm_handout.c: starts strata-vmm with all that it is to have, and nothing else; @v has the pid,
 * and our ends of its sockets. Makes the machine that it begins from when there is none yet.
 */
int vm_handout_spawn(struct iso_vm *v, const int stdio[3]);

#endif
