/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of a machine: a window each above RAM, an interrupt each. */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/vm.h"
#include <sys/eventfd.h>
#include <sys/ioctl.h>

static void bus_irq(void *ctx, unsigned gsi)
{
	struct vm *v = ctx;

	coalesced_ioapic(v);
	if (!ioapic_raise(&v->ioapic, gsi))
		coalesced_end_ioapic(v);
}

static int bus_ioeventfd(void *ctx, uint64_t gpa, uint32_t value, int fd, bool on)
{
	const struct vm *v = ctx;
	struct kvm_ioeventfd e = {
		.addr = gpa,
		.len = 4,
		.fd = fd,
		.datamatch = value == VIRTIO_ANY_VALUE ? 0 : value,
		.flags = (value == VIRTIO_ANY_VALUE ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH),
	};

	/* Undone with the machine, when KVM drops it by itself; here it would wait for ms. */
	if (!on)
		return 0;
	return ioctl(v->fd, KVM_IOEVENTFD, &e) < 0 ? err_sys("KVM: ioeventfd") : 0;
}

/* By an eventfd that nobody reads; one does for all. */
static int bus_swallow(void *ctx, uint64_t gpa, uint32_t value)
{
	struct vm *v = ctx;

	if (v->unread_fd < 0)
		v->unread_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->unread_fd < 0)
		return err_sys("eventfd");
	return bus_ioeventfd(ctx, gpa, value, v->unread_fd, true);
}

static void *bus_registers(void *ctx, uint64_t gpa)
{
	const struct vm *v = ctx;

	return v->windows ? v->windows + (gpa - VM_HOLE_START) : NULL;
}

static void bus_coalesce(void *ctx, uint64_t gpa, uint32_t len)
{
	const struct vm *v = ctx;

	coalesced_add(&v->coalesced, gpa, len);
}

static int bus_errand(void *ctx, int (*fn)(void *arg), void *arg)
{
	return vm_errand(ctx, fn, arg);
}

static int bus_when(void *ctx, int fd, void (*fn)(void *arg), void *arg)
{
	return vm_when(ctx, fd, fn, arg);
}

static int bus_thread_begins(_unused_ void *ctx, const char *name)
{
	return vm_jail_thread(name);
}

/* Where the next device goes. */
static uint64_t next_gpa(const struct vm *v)
{
	return VM_HOLE_START + (uint64_t)v->ndevices * VIRTIO_MMIO_SIZE;
}

static unsigned next_gsi(const struct vm *v)
{
	return v->gsi_first + v->ndevices;
}

static int console_new(struct vm *v, const struct virtio_bus *bus, const struct vm_config *cfg)
{
	struct virtio_console_port ports[1 + VM_PORTS_MAX] = {
		{ .in_fd = -1, .out_fd = cfg->console_out, .out_max = cfg->console_max }
	};
	int r;

	for (size_t i = 0; i < cfg->nports; i++) {
		const struct vm_port *p = &cfg->ports[i];

		if (!p->name || !p->name[0])
			return err(-EINVAL, "a port of a VM needs a name");
		ports[i + 1] =
			(struct virtio_console_port){ p->name, p->in_fd, p->out_fd, p->ordered };
	}
	r = virtio_console_new(ports, (unsigned)cfg->nports + 1, bus, next_gpa(v), next_gsi(v),
			       &v->devices[v->ndevices]);
	if (r == 0)
		v->console = v->devices[v->ndevices++];
	return r;
}

static int rng_new(struct vm *v, const struct virtio_bus *bus)
{
	int r = virtio_rng_new(bus, next_gpa(v), next_gsi(v), &v->devices[v->ndevices]);

	if (r == 0)
		v->rng = v->devices[v->ndevices++];
	return r;
}

static int balloon_new(struct vm *v, const struct virtio_bus *bus)
{
	int r = virtio_balloon_new(bus, next_gpa(v), next_gsi(v), &v->balloon,
				   &v->devices[v->ndevices]);

	if (r == 0)
		v->ndevices++;
	return r;
}

static int net_new(struct vm *v, const struct virtio_bus *bus, const struct vm_net *net)
{
	struct virtio_net_config cfg = { .fd = net->fd, .mtu = net->mtu, .rate = net->rate };
	int r;

	memcpy(cfg.mac, net->mac, sizeof(cfg.mac));
	r = virtio_net_new(&cfg, bus, next_gpa(v), next_gsi(v), &v->net, &v->devices[v->ndevices]);
	if (r == 0)
		v->ndevices++;
	return r;
}

static int vsock_new(struct vm *v, const struct virtio_bus *bus, const struct vm_vsock *vsock)
{
	const struct virtio_vsock_config cfg = { vsock->listen_fd, vsock->connect, vsock->ctx };
	int r = virtio_vsock_new(&cfg, bus, next_gpa(v), next_gsi(v), &v->vsock,
				 &v->devices[v->ndevices]);

	if (r == 0)
		v->ndevices++;
	return r;
}

static int disk_new(struct vm *v, const struct virtio_bus *bus, size_t i, const struct vm_disk *d)
{
	const struct virtio_blk_config cfg = { d->fd, d->rdonly, d->rate };
	int r = virtio_blk_new(&cfg, bus, next_gpa(v), next_gsi(v), &v->disks[i],
			       &v->devices[v->ndevices]);

	if (r == 0)
		v->ndevices++;
	return r;
}

void vm_console_stats(const struct vm *v, struct vm_console_stats *ret)
{
	struct virtio_console_stats s;

	virtio_console_stats(v->console, &s);
	*ret = (struct vm_console_stats){ s.in_bytes, s.out_bytes };
}

int vm_rng_bytes(const struct vm *v, uint64_t *ret)
{
	if (!v->rng)
		return err(-EOPNOTSUPP, "this microVM has no virtio-rng");
	*ret = virtio_rng_bytes(v->rng);
	return 0;
}

void vm_disk_stats(const struct vm *v, size_t i, struct vm_disk_stats *ret)
{
	struct virtio_blk_stats s = { 0 };

	if (i < VM_DISKS_MAX && v->disks[i])
		virtio_blk_stats(v->disks[i], &s);
	*ret = (struct vm_disk_stats){ s.reads,	  s.read_bytes, s.writes, s.write_bytes,
				       s.flushes, s.discards,	s.errors };
}

int vm_vsock_stats(const struct vm *v, struct vm_vsock_stats *ret)
{
	struct virtio_vsock_stats s;

	if (!v->vsock)
		return err(-EOPNOTSUPP, "this microVM has no vsock");
	virtio_vsock_stats(v->vsock, &s);
	*ret = (struct vm_vsock_stats){ s.connections, s.in_bytes, s.out_bytes, s.refused };
	return 0;
}

int vm_net_stats(const struct vm *v, struct vm_net_stats *ret)
{
	struct virtio_net_stats s;

	if (!v->net)
		return err(-EOPNOTSUPP, "this microVM has no network");
	virtio_net_stats(v->net, &s);
	*ret = (struct vm_net_stats){ s.rx_frames, s.rx_bytes, s.tx_frames, s.tx_bytes, s.dropped };
	return 0;
}

static int fs_new(struct vm *v, const struct virtio_bus *bus, const struct vm_fs *fs)
{
	unsigned queues = MIN(v->nvcpus, VIRTIO_FS_QUEUES_MAX);
	const struct virtio_fs_config cfg = {
		.tag = fs->tag,
		.serve = fs->serve,
		.ctx = fs->ctx,
		.queues = queues,
		.threads = fs->threads,
		.dax_gpa = fs->dax ? v->mem.window.gpa : 0,
		.dax_len = fs->dax,
	};
	struct virtio_bus own = *bus;
	int r;

	/* One that nobody serves is not worth KVM's eventfds. */
	if (!fs->serve)
		own.ioeventfd = NULL;
	r = virtio_fs_new(&cfg, &own, next_gpa(v), next_gsi(v), &v->devices[v->ndevices]);

	if (r < 0)
		return r;
	if (fs->root)
		v->root = v->devices[v->ndevices];
	v->ndevices++;
	return 0;
}

int vm_devices_new(struct vm *v, const struct vm_config *cfg)
{
	struct virtio_bus bus = {
		.mem = &v->mem,
		.irq = bus_irq,
		.ioeventfd = bus_ioeventfd,
		.swallow = bus_swallow,
		.registers = bus_registers,
		.coalesce = bus_coalesce,
		.errand = bus_errand,
		.thread_begins = bus_thread_begins,
		.when = bus_when,
		.ctx = v,
	};
	int r;

	/* What waits is what a driver writes at its start, and that was before the snapshot. */
	if (cfg->snapshot)
		bus.coalesce = NULL;
	if (cfg->nfs > VM_FS_MAX || cfg->nports > VM_PORTS_MAX || cfg->ndisks > VM_DISKS_MAX)
		return err(-EINVAL, "too many file systems, ports or disks for a VM");
	r = console_new(v, &bus, cfg);
	for (size_t i = 0; r == 0 && i < cfg->nfs; i++)
		r = fs_new(v, &bus, &cfg->fs[i]);
	for (size_t i = 0; r == 0 && i < cfg->ndisks; i++)
		r = disk_new(v, &bus, i, &cfg->disks[i]);
	if (r == 0 && cfg->rng)
		r = rng_new(v, &bus);
	if (r == 0 && cfg->balloon)
		r = balloon_new(v, &bus);
	if (r == 0 && cfg->net)
		r = net_new(v, &bus, cfg->net);
	if (r == 0 && cfg->vsock)
		r = vsock_new(v, &bus, cfg->vsock);
	return r;
}
