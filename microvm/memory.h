/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the guest's memory. */
#ifndef MICROVM_MEMORY_H
#define MICROVM_MEMORY_H

#include "microvm/vm.h"

#define HUGE_PAGE (2 * MIB)

/* memory.c: maps RAM, as @cfg wants it, and the pages of @ndevices windows; gives them to KVM. */
int vm_memory_new(struct vm *v, const struct vm_config *cfg, unsigned ndevices);
/*
 * Has RAM at @hva hold @len bytes of @fd from @off: mapped, or, in huge pages, copied. All are
 * multiples of a page but @len. 0 or -errno without a text.
 */
int vm_memory_put(const struct vm *v, uint8_t *hva, uint64_t len, int fd, off_t off);
/* dax.c: the DAX window that @cfg asks for, behind RAM, in the next slot. */
int vm_dax_new(struct vm *v, const struct vm_config *cfg);
void vm_dax_free(struct vm *v);
/*
 * What lies at @hva is written while the guest boots: vm_memory_own() makes it this machine's, once
 * the guest runs, so that the guest finds it so. A page that it reads and then writes costs three
 * exits: one to map the file's page, one to copy it, one to map the copy. Huge pages are its own
 * anyway.
 */
void vm_memory_soon(struct vm *v, void *hva, uint64_t len);
void vm_memory_own(struct vm *v);
/*
 * From @gpa on, for @len bytes, a boot touches few pages of each huge one: it gets small ones there
 * where the host makes all memory of huge ones, unless somebody asked for these. For good:
 * khugepaged would have them huge again while the guest is idle.
 */
void vm_memory_sparse(const struct vm *v, uint64_t gpa, uint64_t len);
int vm_slot_set(struct vm *v, unsigned slot, const struct mem_region *r, uint32_t flags);
void vm_memory_free(struct vm *v);

#endif
