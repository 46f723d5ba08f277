/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a vCPU leave the guest for us (KVM api.rst, "The kvm_run structure"). */
#include "base/clock.h"
#include "base/count.h"
#include "base/mem.h"
#include "microvm/guest/protocol.h"
#include "microvm/vm.h"

/* The keyboard controller, whose command 0xfe pulls the reset line. */
#define PORT_KEYBOARD  0x64
#define KEYBOARD_RESET 0xfe

static void mark(struct vm *v, uint8_t n)
{
	uint64_t none = 0;

	if (n < ARRAY_SIZE(v->stats.marks) &&
	    __atomic_compare_exchange_n(&v->stats.marks[n], &none, clock_ns(), false,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		v->stats.mark_exits[n] = count_get(&v->nexits);
	if (n && n == v->stop_mark)
		vm_ended(v, VM_END_MARK);
}

void vm_port_out(struct vm *v, uint16_t port, uint8_t value)
{
	if (port == GUEST_IO_MARK)
		mark(v, value);
	else if (port == GUEST_IO_END)
		vm_ended(v, VM_END_POWEROFF);
	else if (port == PORT_KEYBOARD && value == KEYBOARD_RESET)
		vm_ended(v, VM_END_RESET);
}

/* Nothing is there but what is written to: reads give all ones, as on a bus. */
static void exit_io(struct vcpu *c)
{
	uint8_t *data = (uint8_t *)c->run + c->run->io.data_offset;
	size_t len = (size_t)c->run->io.size * c->run->io.count;

	if (c->run->io.direction == KVM_EXIT_IO_IN)
		memset(data, 0xff, len);
	else if (len)
		vm_port_out(c->vm, c->run->io.port, data[0]);
}

/*
 * Linux resets all devices when it halts (6.15 and its stable kernels), and then stands still for
 * ever with interrupts off, which nobody sees. Without its root it can do nothing anyway.
 */
static void device_access(struct vm *v, struct virtio_mmio *m, uint64_t off, void *data,
			  unsigned len, bool write)
{
	bool root = m == v->root && virtio_mmio_active(m);

	virtio_mmio_access(m, off, data, len, write);
	if (root && !virtio_mmio_active(m))
		vm_ended(v, VM_END_POWEROFF);
}

void vm_mmio(struct vm *v, uint64_t gpa, void *data, unsigned len, bool write)
{
	uint64_t i = (gpa - VM_HOLE_START) / VIRTIO_MMIO_SIZE;

	if (gpa >= VM_HOLE_START && i < v->ndevices)
		device_access(v, v->devices[i], gpa % VIRTIO_MMIO_SIZE, data, len, write);
	else if (gpa >= VM_IOAPIC_GPA && gpa - VM_IOAPIC_GPA < VIRTIO_MMIO_SIZE)
		ioapic_access(&v->ioapic, gpa - VM_IOAPIC_GPA, data, len, write);
	else if (!write)
		memset(data, 0xff, len);
}

static void exit_internal(struct vcpu *c)
{
	const uint8_t *b = c->run->emulation_failure.insn_bytes;

	if (c->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && c->run->internal.ndata > 1)
		vm_crashed(c->vm, "vCPU %u: KVM cannot emulate %02x %02x %02x %02x %02x %02x",
			   c->index, b[0], b[1], b[2], b[3], b[4], b[5]);
	else
		vm_crashed(c->vm, "vCPU %u: KVM's internal error %u", c->index,
			   c->run->internal.suberror);
}

static void exit_event(struct vcpu *c)
{
	switch (c->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_ended(c->vm, VM_END_POWEROFF);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_ended(c->vm, VM_END_RESET);
		break;
	default:
		vm_crashed(c->vm, "vCPU %u: system event %u", c->index, c->run->system_event.type);
		break;
	}
}

void vcpu_exit(struct vcpu *c)
{
	unsigned reason = c->run->exit_reason;

	if (reason < ARRAY_SIZE(c->exits))
		c->exits[reason]++;
	coalesced_drain(c->vm);
	switch (reason) {
	case KVM_EXIT_IO:
		exit_io(c);
		break;
	case KVM_EXIT_MMIO:
		vm_mmio(c->vm, c->run->mmio.phys_addr, c->run->mmio.data, MIN(c->run->mmio.len, 8u),
			c->run->mmio.is_write);
		break;
	case KVM_EXIT_SHUTDOWN:
		vm_ended(c->vm, VM_END_RESET);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_event(c);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		exit_internal(c);
		break;
	case KVM_EXIT_INTR:
		break;
	default:
		vm_crashed(c->vm, "vCPU %u: KVM exit %u", c->index, reason);
		break;
	}
	count_add(&c->vm->nexits, 1);
}
