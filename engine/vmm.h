/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a supervisor and its strata-vmm share: descriptors at the start, messages afterwards. The
 * VMM is not trusted once its guest runs: each message is one struct of fixed size, and an object
 * is asked for by its number in this image's index, never by name.
 */
#ifndef ENGINE_VMM_H
#define ENGINE_VMM_H

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
	VMM_UPPER,
	VMM_WORK,
	VMM_INDEX,
	VMM_MORE, /* the packs in the index's order, then the volumes' folders in the spec's order
		   */
};

enum vmm_kind {
	/* from the VMM */
	VMM_STARTED, /* the command runs */
	VMM_FAILED,  /* value: errno, text */
	VMM_EXITED,  /* value: the command's status */
	/* to the VMM */
	VMM_SIGNAL, /* value */
	VMM_RESIZE,
};

struct vmm_message {
	uint32_t kind;
	int32_t value;
	uint16_t rows, cols;
	char text[256];
};

/* Each VM's file server has a uid of its own, which owns its top and nothing else: this and 24 bits
 * of the id. */
#define VMM_UID_BASE 0x7e000000u
uid_t vmm_uid(const char *id);

/* The tag of volume @i; the root's is "/dev/root". */
struct vmm_tag {
	char s[16];
};
struct vmm_tag vmm_volume_tag(size_t i);
#define VMM_ROOT_TAG "/dev/root"

#endif
