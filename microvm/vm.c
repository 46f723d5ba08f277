/* SPDX-License-Identifier: Apache-2.0 */
/* A machine: made, run, ended, freed. */
#include "microvm/boot.h"
#include "microvm/cpuid.h"
#include "microvm/memory.h"
#include "microvm/vm.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/guest/protocol.h"
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#define RUNNING (-1)

#define PORT_PIC1_DATA 0x21u
#define PORT_PIT_END   0x44u /* of three counters and a mode; between these two is nothing */
#define PORT_PIC2_DATA 0xa1u

void vm_ended(struct vm *v, enum vm_end end)
{
	int running = RUNNING;

	if (atomic_compare_exchange_strong(&v->end, &running, (int)end))
		eventfd_write(v->end_fd, 1);
}

void vm_crashed(struct vm *v, const char *fmt, ...)
{
	int running = RUNNING;
	va_list ap;

	if (!atomic_compare_exchange_strong(&v->end, &running, VM_END_CRASHED))
		return;
	va_start(ap, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, ap);
	va_end(ap);
	eventfd_write(v->end_fd, 1);
}

void vm_stop(struct vm *v)
{
	vm_ended(v, VM_END_STOPPED);
}

const char *vm_why(const struct vm *v)
{
	return v->why;
}

const char *vm_cmdline(const struct vm *v)
{
	return v->cmdline;
}

const struct vm_stats *vm_stats(const struct vm *v)
{
	return &v->stats;
}

/* ---- making ---- */

static int kvm_open(struct vm *v)
{
	int size;

	v->end_fd = eventfd(0, EFD_CLOEXEC);
	if (v->end_fd < 0)
		return err_sys("eventfd");
	v->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (v->kvm_fd < 0)
		return err_sys("/dev/kvm");
	size = ioctl(v->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return err(-EOPNOTSUPP, "/dev/kvm: impossible size of kvm_run");
	v->run_size = (size_t)size;
	v->fd = ioctl(v->kvm_fd, KVM_CREATE_VM, 0);
	return v->fd < 0 ? err_sys("KVM: new VM") : 0;
}

/* For Intel CPUs that cannot run real mode by themselves; no more than a note elsewhere. */
static int real_mode_places(const struct vm *v, const struct kvm_cpuid2 *cpuid)
{
	uint64_t identity = VM_IDENTITY_GPA;

	if (vm_cpuid_is_amd(cpuid))
		return 0;
	if (ioctl(v->fd, KVM_SET_TSS_ADDR, VM_TSS_GPA) < 0 ||
	    ioctl(v->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return err_sys("KVM: new VM");
	return 0;
}

/*
 * Local APICs in KVM, the IOAPIC here; no PIC, no PIT. After the memory slots: a change of these
 * then costs ms.
 */
static int irqchip_new(struct vm *v, unsigned npins)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { npins } };
	struct kvm_enable_cap no_pmu = { .cap = KVM_CAP_PMU_CAPABILITY,
					 .args = { KVM_PMU_CAP_DISABLE } };

	if (ioctl(v->fd, KVM_ENABLE_CAP, &split) < 0)
		return err_sys("KVM: interrupt controller");
	ioctl(v->fd, KVM_ENABLE_CAP, &no_pmu); /* Linux before 5.18 has no such switch */
	ioapic_init(&v->ioapic, v->fd, npins);
	return 0;
}

/*
 * What Linux writes at each boot and nobody waits for: registers of the IOAPIC; the masks of the
 * PICs that it looks for and the PIT that it turns off, which are not there; marks, which must not
 * wait when somebody wants to know when they came or has one stop the machine.
 */
static void coalesced_new(struct vm *v, bool boots, bool marks_wait)
{
	coalesced_init(&v->coalesced, v->fd);
	if (marks_wait)
		coalesced_add_ports(&v->coalesced, GUEST_IO_MARK, 1);
	if (!boots)
		return;
	coalesced_add_ioapic(&v->coalesced);
	coalesced_add_ports(&v->coalesced, PORT_PIC1_DATA, PORT_PIT_END - PORT_PIC1_DATA);
	coalesced_add_ports(&v->coalesced, PORT_PIC2_DATA, 1);
}

static int vcpus_new(struct vm *v, unsigned n, const struct kvm_cpuid2 *cpuid)
{
	v->nvcpus = n;
	for (unsigned i = 0; i < n; i++)
		v->vcpus[i].fd = -1;
	for (unsigned i = 0; i < n; i++) {
		int r = vcpu_init(&v->vcpus[i], v, i, cpuid);

		if (r < 0)
			return r;
	}
	return 0;
}

static int software_load(struct vm *v, const struct vm_config *cfg)
{
	struct vm_initramfs initramfs = { 0 };
	struct vm_kernel kernel;
	int r = vm_kernel_load(v, cfg->kernel_fd, &kernel);

	if (r == 0 && cfg->init_fd >= 0)
		r = vm_initramfs_load(v, cfg->init_fd, cfg->modules_fd, &kernel, &initramfs);
	if (r == 0)
		r = cfg->acpi ? vm_acpi_write(v) : vm_mptable_write(v);
	if (r == 0)
		r = vm_cmdline_make(v, cfg);
	if (r == 0)
		r = vm_boot(v, &kernel, &initramfs, cfg->acpi);
	return r;
}

static int vm_make(struct vm *v, const struct vm_config *cfg)
{
	_free_ struct kvm_cpuid2 *cpuid = NULL;
	struct vm_config c = *cfg;
	unsigned ndevices;
	int r = kvm_open(v);

	v->stop_mark = cfg->stop_mark;
	v->begun = cfg->begun;
	v->begun_ctx = cfg->begun_ctx;
	v->gsi_first = cfg->acpi ? VM_GSI_ACPI : VM_GSI_FIRST;

	if (r < 0)
		return r;
	cpuid = vm_cpuid_get(v->kvm_fd);
	if (!cpuid)
		return err(-ENOMEM, "KVM: no CPUID");
	r = real_mode_places(v, cpuid);
	if (r < 0)
		return r;
	c.rng |= !vm_cpuid_has_rdrand(cpuid);
	ndevices = 1 + c.rng + c.balloon + (c.net != NULL) + (c.vsock != NULL) +
		   (unsigned)MIN(c.nfs, (size_t)VM_FS_MAX) +
		   (unsigned)MIN(c.ndisks, (size_t)VM_DISKS_MAX);
	r = vm_memory_new(v, &c, ndevices);
	if (r == 0)
		r = vm_dax_new(v, cfg);
	if (r < 0)
		return r;
	r = irqchip_new(v, v->gsi_first + ndevices);
	coalesced_new(v, !cfg->snapshot, !cfg->trace && !cfg->stop_mark);
	if (r == 0)
		r = vcpus_new(v, c.vcpus, cpuid);
	if (r < 0)
		return r;
	v->cpuid = vm_cpuid_of(&v->vcpus[0], cpuid);
	if (!v->cpuid)
		return err(-ENOMEM, "no memory");
	v->stats.kvm_ns = clock_ns();
	r = vm_devices_new(v, &c);
	if (r == 0)
		r = c.snapshot ? vm_restore(v, c.snapshot) : software_load(v, &c);
	v->stats.loaded_ns = clock_ns();
	return r;
}

int vm_new(const struct vm_config *cfg, struct vm **ret)
{
	struct vm *v;
	int r;

	if (!cfg->vcpus || cfg->vcpus > VM_VCPUS_MAX)
		return err(-EINVAL, "a VM has 1 to %d vCPUs, not %u", VM_VCPUS_MAX, cfg->vcpus);
	v = new0(struct vm);
	if (!v)
		return err(-ENOMEM, "no memory");
	v->stats.began_ns = clock_ns();
	v->kvm_fd = v->fd = v->end_fd = v->unread_fd = v->pagemap_fd = -1;
	v->end = RUNNING;
	pthread_mutex_init(&v->errand.turn, NULL);
	pthread_mutex_init(&v->errand.lock, NULL);
	pthread_cond_init(&v->errand.done, NULL);
	v->vcpus = mem_new(cfg->vcpus, sizeof(*v->vcpus));
	r = v->vcpus ? vm_make(v, cfg) : err(-ENOMEM, "no memory");
	if (r < 0) {
		vm_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

/* Devices first: their threads and eventfds use memory and KVM. */
void vm_free(struct vm *v)
{
	if (!v)
		return;
	for (unsigned i = 0; i < v->ndevices; i++)
		virtio_mmio_free(v->devices[i]);
	for (unsigned i = 0; i < v->nvcpus; i++)
		vcpu_done(&v->vcpus[i]);
	if (v->ioapic.npins)
		ioapic_done(&v->ioapic);
	coalesced_done(&v->coalesced);
	fd_close(v->fd);
	fd_close(v->kvm_fd);
	vm_dax_free(v);
	vm_memory_free(v);
	fd_close(v->end_fd);
	fd_close(v->unread_fd);
	fd_close(v->pagemap_fd);
	pthread_mutex_destroy(&v->errand.turn);
	pthread_mutex_destroy(&v->errand.lock);
	pthread_cond_destroy(&v->errand.done);
	free(v->cpuid);
	free(v->vcpus);
	free(v);
}

/* ---- running ---- */

void vm_again(struct vm *v)
{
	eventfd_t n;
	struct pollfd p = { .fd = v->end_fd, .events = POLLIN };

	if (poll(&p, 1, 0) > 0)
		eventfd_read(v->end_fd, &n);
	for (unsigned i = 0; i < v->nvcpus; i++)
		__atomic_store_n(&v->vcpus[i].run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	atomic_store(&v->end, RUNNING);
}

static void stats_sum(struct vm *v)
{
	memset(v->stats.exits, 0, sizeof(v->stats.exits));
	for (unsigned i = 0; i < v->nvcpus; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(v->stats.exits); j++)
			v->stats.exits[j] += v->vcpus[i].exits[j];
	}
}

/* Until no vCPU can have an errand any more. */
static void wait_for_end(struct vm *v)
{
	bool kicked = false;
	eventfd_t n;

	while (!kicked || atomic_load(&v->nrunning)) {
		vm_errand_wait(v);
		eventfd_read(v->end_fd, &n);
		vm_errand_do(v);
		if (kicked || atomic_load(&v->end) == RUNNING)
			continue;
		for (unsigned i = 0; i < v->nvcpus; i++)
			vcpu_kick(&v->vcpus[i]);
		kicked = true;
	}
}

int vm_run(struct vm *v, enum vm_end *ret)
{
	int r = 0;

	v->stats.started_ns = clock_ns();
	for (unsigned i = 0; r == 0 && i < v->ndevices; i++)
		r = virtio_mmio_resume(v->devices[i]);
	for (unsigned i = 0; r == 0 && i < v->nvcpus; i++)
		r = vcpu_start(&v->vcpus[i]);
	if (r == 0 && v->begun)
		r = v->begun(v->begun_ctx);
	if (r < 0)
		vm_stop(v);
	vm_memory_own(v);
	wait_for_end(v);
	for (unsigned i = 0; i < v->nvcpus; i++)
		vcpu_join(&v->vcpus[i]);
	stats_sum(v);
	v->stats.ended_ns = clock_ns();
	if (r < 0)
		return r;
	*ret = (enum vm_end)v->end;
	return 0;
}
