/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the parts of a machine, to and from a snapshot. */
#ifndef MICROVM_SNAPSHOT_MACHINE_H
#define MICROVM_SNAPSHOT_MACHINE_H

#include "microvm/snapshot_file.h"
#include "microvm/vm.h"

/* snapshot_memory.c: writes the file too, with the records that @w has. */
int vm_memory_save(const struct vm *v, const struct digest *key, struct snapshot_writer *w, int fd);
/* Maps the file's memory over RAM. */
int vm_memory_restore(struct vm *v, const struct snapshot_file *f);

/*
 * snapshot_touched.c: has the pages that the file knows to be touched first written and mapped, as
 * far as this host can: before the first instruction, when all is restored.
 */
void vm_touched_have(const struct vm *v, const struct snapshot_file *f);
/* Has vm_snapshot_learn() see what is touched from here on: when memory is in place, at once. */
int vm_touched_watch(struct vm *v, const struct snapshot_file *f);

/* snapshot_vcpu.c: of a vCPU outside KVM_RUN. */
int vcpu_save(struct vcpu *c, struct snapshot_writer *w);
int vcpu_restore(const struct vcpu *c, const struct snapshot_file *f);

#endif
