/* SPDX-License-Identifier: Apache-2.0 */
/* What a VMM's guest is told of itself. */
#ifndef ENGINE_VMM_GUEST_H
#define ENGINE_VMM_GUEST_H

#include "engine/spec.h"
#include "microvm/microvm.h"

/*
 * What no other machine from the same snapshot has; @loaded_ns: when this one was restored
 * (clock_ns()). Holds random numbers: to be wiped. 0 or -errno with a text.
 */
int vmm_guest_identity(const struct run_spec *s, uint64_t loaded_ns, struct vm_guest_identity *ret);
/*
 * Queues what a machine is told that goes on from the checkpoint of that key: its own, or
 * another's, whose clone it is.
 */
int vmm_guest_restored(const struct run_spec *s, const struct digest *key,
		       const struct vm_guest_identity *identity, struct vm_control *control);
/* Queues the config of @s; @identity is NULL for a machine that boots. */
int vmm_guest_config(const struct run_spec *s, const struct vm_guest_identity *identity,
		     struct vm_control *control);

#endif
