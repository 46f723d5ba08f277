/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a microVM, as its init tells them. */
#ifndef ENGINE_PROCESSES_VM_H
#define ENGINE_PROCESSES_VM_H

#include "engine/engine.h"

/* As engine_processes(), of the microVM whose instance's folder is @dir. */
int vm_processes(int dir, int (*fn)(void *ctx, const struct process_entry *p), void *ctx);

#endif
