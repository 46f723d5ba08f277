/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-vmm [warm KEY | make KEY | rehearse KEY | restore KEY] [arriving]: a machine that boots;
 * one that begins from the snapshot of that key; one that is made for it, or rehearses with it
 * (engine/vmm_make.h); or one that goes on from its own checkpoint, or as another's clone
 * (engine/checkpoint.h). Its image is here, or arriving (engine/vm_fetcher.h). Where the spec says
 * so the machine is QEMU's (engine/vmm_qemu.h), a process of its own in a process group with
 * strata-vmm.
 *
 * What a supervisor and its strata-vmm share: descriptors at the start, messages afterwards. The
 * VMM is not trusted once its guest runs: each message is one struct of fixed size, and an object
 * is asked for by its number in this image's index, never by name.
 */
#ifndef ENGINE_VMM_H
#define ENGINE_VMM_H

#include "engine/arrival.h"
#include "engine/spec.h"

/* 0, 1, 2 are the guest command's stdio. */
enum vmm_fd {
	VMM_CONTROL = 3, /* SOCK_SEQPACKET, struct vmm_message both ways */
	VMM_OBJECTS, /* SOCK_SEQPACKET: uint64_t nid there, int32_t 0 and a descriptor, or -errno,
			back */
	VMM_CONFIG,  /* config.json of the instance */
	VMM_LOG,
	VMM_KERNEL,
	VMM_INIT,
	VMM_MODULES, /* of the kernel, when the spec has some */
	VMM_UPPER,
	VMM_WORK,
	VMM_INDEX,
	VMM_SNAPSHOT, /* of a machine to begin from, or to be made (engine/warm.h) */
	VMM_NET,      /* the socket of a network device, when the spec has one */
	VMM_VSOCK,    /* listens for who wants to be connected to the guest */
	VMM_PORTS,    /* SOCK_SEQPACKET: uint32_t port of the host's that the guest wants, there;
		    * int32_t 0 and a descriptor, or -errno, back */
	/*
	 * The disks and the volumes' folders in the spec's order, then the packs in the index's,
	 * then, when the spec has reads verified, the stack's sums (struct stack); and then, of a
	 * stack that is still arriving, enum arrival_fd up to ARRIVAL_DOOR.
	 */
	VMM_MORE,
};

enum vmm_kind {
	/* from the VMM */
	VMM_COLD,    /* value: errno, text: it could not begin from VMM_SNAPSHOT, and boots */
	VMM_STARTED, /* the command runs */
	VMM_FAILED,  /* value: errno, text */
	VMM_EXITED,  /* value: the command's status */
	VMM_SAVED,   /* it is in the file, and ends */
	VMM_UNSAVED, /* value: errno, text: it is not, and runs on */
	VMM_KEPT,    /* it is in the file, and stands still until VMM_GO */
	/* to the VMM */
	VMM_SIGNAL, /* value */
	VMM_RESIZE,
	VMM_MEMORY, /* value: MiB that the guest is to do with */
	VMM_GO,	    /* it is in its cgroup, which QEMU's start waits for; or after VMM_KEPT */
	/* with a descriptor, to save the machine to (checkpoint.h); value: 1 = it runs on then */
	VMM_CHECKPOINT,
	VMM_STATS, /* with a descriptor, for one struct device_stats */
};

struct vmm_message {
	uint32_t kind;
	int32_t value;
	uint16_t rows, cols;
	char text[256];
};

/*
 * Each VM's file server has a uid of its own, which owns its top and nothing else: the first of
 * many, which machines are made by, and 24 bits of the id. In a user namespace it is one of the
 * upper half of what that has: another VM of the same user may have it too then.
 */
uid_t vmm_uid_base(const struct run_spec *s);
uid_t vmm_uid(const struct run_spec *s);
/* A folder of the top, which was made by us, as its own: 0 or -errno with a text. */
int vmm_give_away(int fd, uid_t uid);

/* The tag of volume @i; the root's is "/dev/root". */
struct vmm_tag {
	char s[16];
};
struct vmm_tag vmm_volume_tag(size_t i);
#define VMM_ROOT_TAG "/dev/root"

/*
 * Bytes of what the guest writes to its console, in all, that go to monitor.log: a kernel's last
 * words, and not what somebody in the guest would fill the host's memory with.
 */
#define VMM_CONSOLE_MAX (UINT64_C(1) << 20)

#endif
