/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that KVM keeps for us (KVM api.rst, 4.116 KVM_REGISTER_COALESCED_MMIO): they come, in the
 * order in which they were made, before the next exit is handled, whichever vCPU makes it. The ring
 * is one per machine and lies behind a vCPU's kvm_run.
 *
 * Those for the IOAPIC come before an interrupt is sent, too: by whoever sends it, who does them
 * before their turn, since no device cares when an entry of the IOAPIC was written.
 */
#include "base/mem.h"
#include "microvm/vm.h"
#include <errno.h>
#include <sys/ioctl.h>

#define PAGE		 4096u
#define RING_OFFSET	 ((size_t)KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE)
#define IOAPIC_REGISTERS 0x14u /* the selector, and at 0x10 what it selects */

void coalesced_init(struct coalesced *c, int vm_fd)
{
	*c = (struct coalesced){ .vm_fd = vm_fd };
	pthread_mutex_init(&c->turn, NULL);
	pthread_mutex_init(&c->lock, NULL);
}

void coalesced_done(struct coalesced *c)
{
	if (c->vm_fd > 0) {
		pthread_mutex_destroy(&c->turn);
		pthread_mutex_destroy(&c->lock);
	}
	*c = (struct coalesced){ 0 };
}

static int zone_add(const struct coalesced *c, uint64_t at, uint32_t len, bool ports)
{
	const struct kvm_coalesced_mmio_zone zone = { .addr = at, .size = len, .pio = ports };

	return ioctl(c->vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone) < 0 ? -errno : 0;
}

int coalesced_add(const struct coalesced *c, uint64_t gpa, uint32_t len)
{
	return zone_add(c, gpa, len, false);
}

int coalesced_add_ports(const struct coalesced *c, uint16_t first, uint16_t n)
{
	return zone_add(c, first, n, true);
}

void coalesced_add_ioapic(struct coalesced *c)
{
	c->ioapic = coalesced_add(c, VM_IOAPIC_GPA, IOAPIC_REGISTERS) == 0;
}

/* ---- the ring ---- */

/* NULL: there is none, or no vCPU yet. */
static struct kvm_coalesced_mmio_ring *ring_of(const struct vm *v)
{
	if (v->run_size < RING_OFFSET + PAGE || !v->vcpus[0].run)
		return NULL;
	return (struct kvm_coalesced_mmio_ring *)((uint8_t *)v->vcpus[0].run + RING_OFFSET);
}

/* How many entries it has; KVM keeps @ring->first and @ring->last below. */
static unsigned ring_max(const struct kvm_coalesced_mmio_ring *ring)
{
	return (PAGE - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
}

static unsigned ring_last(const struct kvm_coalesced_mmio_ring *ring)
{
	return __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}

/* Under the lock. One that was done before its turn has no length any more. */
static bool done_for_ioapic(struct vm *v, struct kvm_coalesced_mmio *m)
{
	if (m->pio || m->phys_addr < VM_IOAPIC_GPA ||
	    m->phys_addr >= VM_IOAPIC_GPA + IOAPIC_REGISTERS)
		return false;
	if (m->len)
		vm_mmio(v, m->phys_addr, m->data, MIN(m->len, (uint32_t)sizeof(m->data)), true);
	m->len = 0;
	return true;
}

/* The next one that is not the IOAPIC's; false: there is none. */
static bool ring_pop(struct vm *v, struct kvm_coalesced_mmio_ring *ring,
		     struct kvm_coalesced_mmio *ret)
{
	const unsigned max = ring_max(ring);
	bool found = false;

	pthread_mutex_lock(&v->coalesced.lock);
	while (!found && ring->first < max && ring->first != ring_last(ring)) {
		struct kvm_coalesced_mmio *m = &ring->coalesced_mmio[ring->first];

		found = !done_for_ioapic(v, m);
		*ret = *m;
		__atomic_store_n(&ring->first, (ring->first + 1) % max, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&v->coalesced.lock);
	return found;
}

/*
 * In turn to the end: a vCPU whose exit comes while another one drains must find all that it wrote
 * before done.
 */
void coalesced_drain(struct vm *v)
{
	struct kvm_coalesced_mmio_ring *ring = ring_of(v);
	struct kvm_coalesced_mmio m;

	if (!ring)
		return;
	pthread_mutex_lock(&v->coalesced.turn);
	while (ring_pop(v, ring, &m)) {
		if (m.pio)
			vm_port_out(v, (uint16_t)m.phys_addr, m.data[0]);
		else
			vm_mmio(v, m.phys_addr, m.data, MIN(m.len, (uint32_t)sizeof(m.data)), true);
	}
	pthread_mutex_unlock(&v->coalesced.turn);
}

/* ---- the IOAPIC's ---- */

void coalesced_ioapic(struct vm *v)
{
	struct kvm_coalesced_mmio_ring *ring = ring_of(v);
	unsigned max;

	if (!ring || !__atomic_load_n(&v->coalesced.ioapic, __ATOMIC_ACQUIRE))
		return;
	max = ring_max(ring);
	pthread_mutex_lock(&v->coalesced.lock);
	for (unsigned i = ring->first; i < max && i != ring_last(ring); i = (i + 1) % max)
		done_for_ioapic(v, &ring->coalesced_mmio[i]);
	pthread_mutex_unlock(&v->coalesced.lock);
}

/* KVM waits until no vCPU is about to put one into the ring: what came before is done at last. */
void coalesced_end_ioapic(struct vm *v)
{
	struct coalesced *c = &v->coalesced;
	struct kvm_coalesced_mmio_zone zone = { .addr = VM_IOAPIC_GPA, .size = IOAPIC_REGISTERS };

	if (!__atomic_load_n(&c->ioapic, __ATOMIC_ACQUIRE))
		return;
	ioctl(c->vm_fd, KVM_UNREGISTER_COALESCED_MMIO, &zone);
	coalesced_ioapic(v);
	__atomic_store_n(&c->ioapic, false, __ATOMIC_RELEASE);
}
