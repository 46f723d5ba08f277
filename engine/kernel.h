/* SPDX-License-Identifier: Apache-2.0 */
/* The guest kernel and init that a microVM boots. */
#ifndef ENGINE_KERNEL_H
#define ENGINE_KERNEL_H

/*
 * Where the guest kernel is: STRATA_KERNEL, else "vmlinux" beside our programs (`make kernel` puts
 * it there). -ENOENT says what to do. The caller frees.
 */
int kernel_default(char **ret);

#endif
