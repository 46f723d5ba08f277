/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that KVM keeps for us (KVM api.rst, 4.116 KVM_REGISTER_COALESCED_MMIO): they come, in the
 * order in which they were made, before the next exit is handled, whichever vCPU makes it. The ring
 * is one per machine and lies behind a vCPU's kvm_run.
 */
#include "base/mem.h"
#include "microvm/vm.h"
#include <sys/ioctl.h>

#define PAGE 4096u

void coalesced_init(struct coalesced *c, int vm_fd)
{
	int page = ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	*c = (struct coalesced){ .vm_fd = vm_fd, .offset = page > 0 ? (size_t)page * PAGE : 0 };
	pthread_mutex_init(&c->lock, NULL);
}

void coalesced_done(struct coalesced *c)
{
	if (c->vm_fd > 0)
		pthread_mutex_destroy(&c->lock);
	*c = (struct coalesced){ 0 };
}

/* A range that KVM does not take exits as before. */
void coalesced_add(const struct coalesced *c, uint64_t gpa, uint32_t len)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = gpa, .size = len };

	if (c->offset)
		ioctl(c->vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}

void coalesced_add_ports(const struct coalesced *c, uint16_t first, uint16_t n)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = first, .size = n, .pio = 1 };

	if (c->offset && ioctl(c->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) > 0)
		ioctl(c->vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}

/*
 * Under the lock to the end: a vCPU whose exit comes while another one drains must find all that it
 * wrote before done.
 */
void coalesced_drain(struct vm *v)
{
	struct coalesced *c = &v->coalesced;
	struct kvm_coalesced_mmio_ring *ring;
	unsigned max;

	if (!c->offset || c->offset + PAGE > v->run_size)
		return;
	ring = (struct kvm_coalesced_mmio_ring *)((uint8_t *)v->vcpus[0].run + c->offset);
	max = (PAGE - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
	pthread_mutex_lock(&c->lock);
	while (ring->first < max && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		struct kvm_coalesced_mmio *m = &ring->coalesced_mmio[ring->first];

		if (m->pio)
			vm_port_out(v, (uint16_t)m->phys_addr, m->data[0]);
		else
			vm_mmio(v, m->phys_addr, m->data, MIN(m->len, (uint32_t)sizeof(m->data)),
				true);
		__atomic_store_n(&ring->first, (ring->first + 1) % max, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&c->lock);
}
