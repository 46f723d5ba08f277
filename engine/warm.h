/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The warm start: a microVM goes on where another one stood when its init was ready and had met no
 * image. That one is a file in the store, ROOT/machines/<key>, made when it is first wanted.
 *
 * The key is made of what the machine consists of: kernel, init, modules and strata-vmm (as files:
 * device, inode, size, times), this host's CPU and kernel, memory, vCPUs, and whether it has a
 * balloon and a network, which are devices that a guest sees. All images share it, and all
 * commands. What it does not cover boots: more than VMM_VOLUMES volumes, disks, --cold, QEMU.
 *
 * A new one is rehearsed with: begun from, with a command that ends at once, so that the file says
 * what memory that touched (microvm/snapshot.h). Without it is as good, and slower.
 *
 * The file is hashed as a whole once a boot of the host (RUNROOT/machines, engine/verdict.h), what
 * is not memory in it each time; what is damaged or stale is made anew.
 */
#ifndef ENGINE_WARM_H
#define ENGINE_WARM_H

#include "engine/iso.h"
#include "microvm/microvm.h"

/* RUNROOT/machines, made when it is missing; -1 = nothing is remembered there. */
int warm_folder(int runroot);
/* Whether @s can begin from a machine at all. */
bool warm_covers(const struct run_spec *s);
/* What a machine boots; modules_fd may be -1. */
struct vm_software {
	int kernel_fd, init_fd, modules_fd;
};
/*
 * Opens the machine that @c's spec begins from, with what it boots; makes it when it is not there.
 * -errno with a text: the spec has to boot.
 */
int warm_open(const struct iso_context *c, const struct vm_software *w, struct vm_snapshot *ret);
/*
 * The VMM could not begin from it: the next one makes another, unless that happened before since
 * the host booted.
 */
void warm_drop(const struct iso_context *c, const struct vm_snapshot *s);

#endif
