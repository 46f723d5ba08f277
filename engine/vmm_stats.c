/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_stats.h"

#include "base/err.h"
#include "base/mem.h"
#include "engine/vmm_files.h"
#include "engine/vmm_qemu.h"
#include "microvm/microvm.h"

_Static_assert(VM_DISKS_MAX <= DEVICE_DISKS_MAX && VM_FS_MAX <= DEVICE_FS_MAX,
	       "a place for each device");

static void take_net(const struct vm *vm, struct device_stats *d)
{
	struct vm_net_stats n;

	if (vm_net_stats(vm, &n) < 0)
		return;
	d->known |= DEVICE_NET;
	d->net = (struct device_net){ n.in_frames, n.in_bytes, n.out_frames, n.out_bytes,
				      n.dropped };
}

static void take_vsock(const struct vm *vm, struct device_stats *d)
{
	struct vm_vsock_stats v;

	if (vm_vsock_stats(vm, &v) < 0)
		return;
	d->known |= DEVICE_VSOCK;
	d->vsock = (struct device_vsock){ v.connections, v.in_bytes, v.out_bytes, v.refused };
}

static void take_balloon(struct vm *vm, struct device_stats *d)
{
	struct vm_memory_stats m;

	if (vm_memory_stats(vm, &m) < 0)
		return;
	d->known |= DEVICE_BALLOON;
	d->balloon = (struct device_balloon){ m.total, m.ballooned, m.reported, m.available };
}

static void take_small(const struct vm *vm, struct device_stats *d)
{
	struct vm_console_stats c;

	vm_console_stats(vm, &c);
	d->console = (struct device_console){ c.in_bytes, c.out_bytes };
	d->known |= DEVICE_CONSOLE;
	if (vm_rng_bytes(vm, &d->rng_bytes) == 0)
		d->known |= DEVICE_RNG;
}

static void take_disks(const struct vm *vm, struct device_stats *d)
{
	for (size_t i = 0; i < d->ndisks; i++) {
		struct vm_disk_stats s;

		vm_disk_stats(vm, i, &s);
		d->disks[i] = (struct device_disk){ s.reads,	   s.read_bytes, s.writes,
						    s.write_bytes, s.flushes,	 s.discards,
						    s.errors };
	}
	d->known |= d->ndisks ? DEVICE_DISKS : 0;
}

void vmm_stats_take(const struct run_spec *s, struct vm *vm, struct vmm_qemu *qemu,
		    const struct vmm_files *f, struct device_stats *ret)
{
	*ret = (struct device_stats){ .ndisks = (uint32_t)MIN(s->ndisks, DEVICE_DISKS_MAX),
				      .nfs = (uint32_t)MIN(1 + s->nvolumes, DEVICE_FS_MAX) };
	for (size_t i = 0; i < ret->nfs; i++)
		vmm_files_stats(f, i, &ret->fs[i]);
	if (qemu) {
		vmm_qemu_stats(qemu, ret);
	} else {
		take_net(vm, ret);
		take_vsock(vm, ret);
		take_balloon(vm, ret);
		take_disks(vm, ret);
		take_small(vm, ret);
	}
	err_clear(); /* of what is not there */
}
