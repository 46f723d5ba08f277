/* SPDX-License-Identifier: Apache-2.0 */
/* The VMM's side of struct device_stats: from our own devices, or from QEMU and our back ends. */
#ifndef ENGINE_VMM_STATS_H
#define ENGINE_VMM_STATS_H

#include "engine/spec.h"

struct vm;
struct vmm_files;
struct vmm_qemu;

/*
 * What is known now, of @vm or @qemu, the other of which is NULL; from any thread while it runs. Of
 * a balloon the guest is asked for newer figures.
 */
void vmm_stats_take(const struct run_spec *s, struct vm *vm, struct vmm_qemu *qemu,
		    const struct vmm_files *f, struct device_stats *ret);

#endif
