/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_machine.h"

#include "base/err.h"
#include "base/fd.h"
#include "network/network.h"
#include "engine/passt.h"
#include "engine/vmm.h"
#include <sys/socket.h>

/* stdin last, and only where it is read: each port is two queues for the guest to set up. */
static unsigned ports_of(const struct run_spec *s, const struct vmm_machine *m,
			 struct vm_port ports[4])
{
	const bool made = m->kind == VMM_MADE, reads = s->interactive || s->tty;

	ports[0] = (struct vm_port){
		.name = VM_CONTROL_PORT, .in_fd = m->port_fd, .out_fd = m->port_fd, .ordered = true
	};
	ports[1] = (struct vm_port){ VM_STDOUT_PORT, -1, made ? -1 : 1, false };
	ports[2] = (struct vm_port){ VM_STDERR_PORT, -1, made ? -1 : 2, false };
	ports[3] = (struct vm_port){ VM_STDIN_PORT, reads && !made ? 0 : -1, -1, false };
	return m->kind == VMM_BOOTS && !reads ? 3 : 4;
}

static size_t fs_count(const struct run_spec *s, const struct vmm_machine *m)
{
	return 1 + (m->kind == VMM_BOOTS ? s->nvolumes : VMM_VOLUMES);
}

/* Places that no volume of the spec has sleep. */
static void fs_of(const struct run_spec *s, const struct vmm_machine *m, struct vmm_tag *tags,
		  struct vm_fs *fs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool served = m->serve && i <= s->nvolumes;

		tags[i] = vmm_volume_tag(i);
		fs[i] = (struct vm_fs){ .tag = i ? tags[i].s : VMM_ROOT_TAG,
					.root = i == 0,
					.dax = i ? 0 : s->dax };
		if (served) {
			fs[i].serve = m->serve;
			fs[i].ctx = m->ctx(m->arg, i);
			fs[i].threads = i ? 0 : m->threads;
		}
	}
}

/* Of a machine for nobody, the other end of its network has gone. */
static int net_of(const struct run_spec *s, const struct vmm_machine *m, struct vm_net *ret)
{
	int pair[2];

	*ret = (struct vm_net){ .fd = VMM_NET,
				.mtu = s->bridge_network ? NETWORK_MTU : PASST_MTU,
				.rate = s->net_rate };
	network_mac(s->id, ret->mac);
	if (m->kind != VMM_MADE)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("network");
	fd_close(pair[1]);
	ret->fd = pair[0];
	return 0;
}

static size_t disks_of(const struct run_spec *s, struct vm_disk disks[VM_DISKS_MAX])
{
	for (size_t i = 0; i < s->ndisks; i++)
		disks[i] = (struct vm_disk){ VMM_MORE + (int)i, s->disks[i].rdonly, s->disk_rate };
	return s->ndisks;
}

int vmm_machine_new(const struct run_spec *s, const struct vmm_machine *m, struct vm **ret)
{
	const size_t nfs = fs_count(s, m);
	_free_ struct vmm_tag *tags = mem_new(nfs, sizeof(*tags));
	_free_ struct vm_fs *fs = mem_new(nfs, sizeof(*fs));
	struct vm_port ports[4];
	const struct vm_vsock vsock = { m->kind == VMM_MADE ? -1 : VMM_VSOCK, m->connect, NULL };
	struct vm_net net = { .fd = -1 };
	struct vm_disk disks[VM_DISKS_MAX];
	struct vm_config cfg = {
		.kernel_fd = VMM_KERNEL,
		.init_fd = VMM_INIT,
		.modules_fd = s->modules ? VMM_MODULES : -1,
		.acpi = s->acpi,
		.memory = s->limits.memory,
		/* What is made is mapped, or copied, by whoever goes on from it. */
		.pages = m->kind == VMM_MADE ? VM_PAGES_SMALL : s->pages,
		.vcpus = s->vcpus,
		.balloon = s->balloon,
		.trace = s->trace && m->kind != VMM_MADE,
		.disks = disks,
		.ndisks = disks_of(s, disks),
		.net = spec_has_eth0(s) ? &net : NULL,
		.vsock = &vsock,
		.fs = fs,
		.nfs = nfs,
		.console_out = VMM_LOG,
		.console_max = VMM_CONSOLE_MAX,
		.ports = ports,
		.nports = ports_of(s, m, ports),
		.verbose = getenv("STRATA_DEBUG") != NULL,
		.snapshot = m->snapshot,
		.begun = m->begun,
		.begun_ctx = m->begun_ctx,
		.stop_mark = m->kind == VMM_MADE && !m->snapshot ? VM_MARK_READY : 0,
	};
	int r = tags && fs ? 0 : -ENOMEM;

	if (r == 0 && spec_has_eth0(s))
		r = net_of(s, m, &net);
	if (r < 0)
		return r;
	fs_of(s, m, tags, fs, nfs);
	r = vm_new(&cfg, ret);
	if (spec_has_eth0(s) && m->kind == VMM_MADE)
		fd_close(net.fd);
	return r;
}
