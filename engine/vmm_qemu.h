/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of a spec by QEMU (qemu.h), with the calls that microvm.h has for our own: made while
 * there is one thread and before the jail, run and stopped inside it.
 */
#ifndef ENGINE_VMM_QEMU_H
#define ENGINE_VMM_QEMU_H

#include "engine/vmm_machine.h"

struct vmm_qemu;

/* The descriptors of vmm.h are handed on; of @m it takes port_fd, serve, ctx, end and arg. */
int vmm_qemu_new(const struct run_spec *s, const struct vmm_machine *m, struct vmm_qemu **ret);
/* Once: serves files and ports until QEMU ends or its guest halts; 0 or -errno with a text. */
int vmm_qemu_run(struct vmm_qemu *q);
/*
 * From another thread: the command runs, and gets its input from now on. An input that ends before
 * the guest has opened its port would be lost with all that it brought.
 */
void vmm_qemu_started(struct vmm_qemu *q);
/* From another thread: what the guest has written is relayed to its end, then QEMU ends. */
void vmm_qemu_stop(struct vmm_qemu *q);
/* As vm_memory_wish(). */
int vmm_qemu_memory(struct vmm_qemu *q, uint64_t bytes);
/*
 * Adds what our back ends counted, and QEMU itself. From the thread of vmm_qemu_stop() and
 * vmm_qemu_memory().
 */
void vmm_qemu_stats(struct vmm_qemu *q, struct device_stats *d);
/* After vmm_qemu_run(), if that was called. */
void vmm_qemu_free(struct vmm_qemu *q);

#endif
