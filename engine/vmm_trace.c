/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_trace.h"

#include "base/mem.h"
#include <linux/kvm.h>
#include <stdio.h>

static const char *const reasons[] = {
	[KVM_EXIT_IO] = "port",
	[KVM_EXIT_MMIO] = "device register",
	[KVM_EXIT_INTR] = "signal",
	[KVM_EXIT_SHUTDOWN] = "reset",
	[KVM_EXIT_SYSTEM_EVENT] = "system event",
};

static void phase(const struct vmm_trace *t, int fd, const char *name, uint64_t ns, uint64_t exits)
{
	if (ns)
		dprintf(fd, "%10.3f ms %6llu exits  %s\n", (double)(ns - t->process_ns) / 1e6,
			(unsigned long long)exits, name);
}

static void disk(const struct vm_disk_stats *d, char letter, int fd)
{
	if (d->reads || d->writes || d->errors)
		dprintf(fd,
			"%20llu reads of vd%c, %llu bytes; %llu writes, %llu bytes; %llu flushes, "
			"%llu "
			"discards, %llu errors\n",
			(unsigned long long)d->reads, letter, (unsigned long long)d->read_bytes,
			(unsigned long long)d->writes, (unsigned long long)d->write_bytes,
			(unsigned long long)d->flushes, (unsigned long long)d->discards,
			(unsigned long long)d->errors);
}

void vmm_trace_print(const struct vmm_trace *t, int fd)
{
	const struct vm_stats *s = &t->stats;
	uint64_t all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(s->exits); i++)
		all += s->exits[i];
	phase(t, fd, "process", t->process_ns, 0);
	phase(t, fd, "spec read", s->began_ns, 0);
	phase(t, fd, "KVM has memory and vCPUs", s->kvm_ns, 0);
	phase(t, fd, "kernel and devices in place", s->loaded_ns, 0);
	phase(t, fd, "jailed; first instruction", s->started_ns, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(s->marks); i++)
		if (vm_mark_name(i))
			phase(t, fd, vm_mark_name(i), s->marks[i], s->mark_exits[i]);
	phase(t, fd, "vCPUs ended", s->ended_ns, all);
	phase(t, fd, "freed", t->freed_ns, all);
	for (size_t i = 0; i < ARRAY_SIZE(s->exits); i++)
		if (s->exits[i])
			dprintf(fd, "%20llu exits  reason %zu%s%s\n",
				(unsigned long long)s->exits[i], i,
				i < ARRAY_SIZE(reasons) && reasons[i] ? ": " : "",
				i < ARRAY_SIZE(reasons) && reasons[i] ? reasons[i] : "");
	if (t->net.in_frames || t->net.out_frames || t->net.dropped)
		dprintf(fd, "%20llu frames to the guest, %llu from it, %llu dropped\n",
			(unsigned long long)t->net.in_frames, (unsigned long long)t->net.out_frames,
			(unsigned long long)t->net.dropped);
	for (size_t i = 0; i < ARRAY_SIZE(t->disks); i++)
		disk(&t->disks[i], (char)('a' + i), fd);
	if (t->vsock.connections || t->vsock.refused)
		dprintf(fd,
			"%20llu connections, %llu bytes to the guest, %llu from it, %llu refused\n",
			(unsigned long long)t->vsock.connections,
			(unsigned long long)t->vsock.in_bytes,
			(unsigned long long)t->vsock.out_bytes,
			(unsigned long long)t->vsock.refused);
	if (t->reported)
		dprintf(fd, "%20llu MiB given back to the host in all\n",
			(unsigned long long)(t->reported >> 20));
}
