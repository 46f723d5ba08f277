/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what the VMM leaves itself. */
#ifndef MICROVM_JAIL_H
#define MICROVM_JAIL_H

#include "microvm/microvm.h"

/*
 * landlock.c: from here on nothing but what is under @folders, where this host has Landlock with
 * ABI 2. 0 also where it has not.
 */
int vm_landlock(const struct vm_folder *folders, size_t n);

/* seccomp.c */
int vm_seccomp(void);
/* jail_thread.c: from here on vm_jail_thread() does something. */
void vm_jail_began(void);

#endif
