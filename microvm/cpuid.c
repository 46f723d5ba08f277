/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID says in the guest: all that KVM supports, with the numbers of this machine's vCPUs. */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/cpuid.h"
#include "microvm/vm.h"
#include <sys/ioctl.h>

#define ENTRIES_MAX 256

/* Leaf 1 (Intel SDM 2A, CPUID). */
#define ECX_TSC_DEADLINE (1u << 24)
#define ECX_RDRAND	 (1u << 30)
#define ECX_HYPERVISOR	 (1u << 31)
#define EDX_HTT		 (1u << 28)

#define LEVEL_SMT  1u
#define LEVEL_CORE 2u

struct kvm_cpuid2 *vm_cpuid_get(int kvm_fd)
{
	_free_ struct kvm_cpuid2 *all =
		malloc(sizeof(*all) + ENTRIES_MAX * sizeof(all->entries[0]));

	if (!all)
		return NULL;
	*all = (struct kvm_cpuid2){ .nent = ENTRIES_MAX };
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, all) < 0) {
		err_sys("KVM: CPUID");
		return NULL;
	}
	return take_ptr(all);
}

bool vm_cpuid_has_rdrand(const struct kvm_cpuid2 *all)
{
	for (unsigned i = 0; i < all->nent; i++) {
		if (all->entries[i].function == 1)
			return all->entries[i].ecx & ECX_RDRAND;
	}
	return false;
}

/* The name is in ebx, edx and ecx of leaf 0; ebx tells these apart from all others. */
bool vm_cpuid_is_amd(const struct kvm_cpuid2 *all)
{
	for (unsigned i = 0; i < all->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &all->entries[i];

		if (e->function == 0)
			return memcmp(&e->ebx, "Auth", 4) == 0 || memcmp(&e->ebx, "Hygo", 4) == 0;
	}
	return false;
}

/* Bits of an APIC id that tell @n cores apart. */
static unsigned width(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* Leaf 0xb: one thread a core, all cores in one package. */
static void topology(struct kvm_cpuid_entry2 *e, const struct vcpu *c)
{
	unsigned n = c->vm->nvcpus;

	e->edx = c->index;
	e->eax = e->ebx = 0;
	e->ecx = e->index;
	if (e->index == 0) {
		e->ebx = 1;
		e->ecx |= LEVEL_SMT << 8;
	} else if (e->index == 1) {
		e->eax = width(n);
		e->ebx = n;
		e->ecx |= LEVEL_CORE << 8;
	}
}

static void adapt(struct kvm_cpuid_entry2 *e, const struct vcpu *c)
{
	unsigned n = c->vm->nvcpus;

	switch (e->function) {
	case 1:
		e->ebx = (e->ebx & 0xffff) | n << 16 | c->index << 24;
		e->ecx |= ECX_TSC_DEADLINE | ECX_HYPERVISOR;
		e->edx = n > 1 ? e->edx | EDX_HTT : e->edx & ~EDX_HTT;
		break;
	case 4: /* caches: all cores in one package; who shares a cache is the host's secret */
		if (e->eax & 0x1f)
			e->eax = (e->eax & 0x3fff) | (n - 1) << 26;
		break;
	case 0xa: /* no performance counters: their set-up costs exits, and the vCPUs have none */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0xb:
	case 0x1f:
		topology(e, c);
		break;
	case 0x80000008: /* AMD: number of threads less one, bits of the APIC id */
		e->ecx = (n - 1) | width(n) << 12;
		break;
	case 0x8000001e: /* AMD: extended APIC id, core and node */
		e->eax = c->index;
		e->ebx = c->index;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

struct kvm_cpuid2 *vm_cpuid_of(const struct vcpu *c, const struct kvm_cpuid2 *all)
{
	size_t size = sizeof(*all) + all->nent * sizeof(all->entries[0]);
	struct kvm_cpuid2 *mine = mem_dup(all, size);

	for (unsigned i = 0; mine && i < mine->nent; i++)
		adapt(&mine->entries[i], c);
	return mine;
}

int vm_cpuid_set(const struct vcpu *c, const struct kvm_cpuid2 *all)
{
	_free_ struct kvm_cpuid2 *mine = vm_cpuid_of(c, all);

	if (!mine)
		return err(-ENOMEM, "no memory");
	return ioctl(c->fd, KVM_SET_CPUID2, mine) < 0 ? err_sys("KVM: CPUID") : 0;
}
