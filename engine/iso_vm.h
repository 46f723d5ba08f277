/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the isolation of a microVM: what its supervisor knows of it. */
#ifndef ENGINE_ISO_VM_H
#define ENGINE_ISO_VM_H

#include "engine/bridge.h"
#include "engine/iso.h"
#include "engine/vm_fetcher.h"
#include "engine/vmm.h"
#include "microvm/microvm.h"

struct iso_vm {
	struct iso_context c;
	struct rootfs root; /* its parts, without a mount */
	struct cgroup *cgroup;
	struct bridge_end bridge;
	struct layer_index *index;
	struct vm_fetcher fetcher; /* of an image that is still arriving */
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
	int wait_status;	    /* of the VMM, 128 + signal; once it has ended */
	off_t log_from;		    /* where this life begins in monitor.log */
	char why[256];		    /* its end, when the command had no part in it */
};

/*
 * vm_handout.c: starts strata-vmm with all that it is to have, and nothing else; @v has the pid,
 * and our ends of its sockets. Makes the machine that it begins from when there is none yet.
 */
int vm_handout_spawn(struct iso_vm *v, const int stdio[3]);

/* iso_vm_end.c: what ended it, as struct isolation has it. */
const char *iso_vm_why(void *ctx);
/* The error of one whose command was not started. */
int iso_vm_unstarted(const struct iso_vm *v);

/* iso_vm_save.c: the machine into a file, and its end; or with its top copied, and it runs on. */
int iso_vm_checkpoint(void *ctx);
int iso_vm_keep(void *ctx, pid_t pid);

/* iso_vm.c, for these: one message, 1 and *@ret, 0 = none now, -EPIPE = the VMM has gone. */
int iso_vm_next_message(struct iso_vm *v, struct vmm_message *ret);
/* The text and errno of one that says of a failure. */
int iso_vm_failed(const struct vmm_message *m);
/* A loop's callback: answers the VMM's request for an object. */
int iso_vm_serve_object(void *ctx, int fd, uint32_t events);

#endif
