/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small IOAPIC (Intel 82093AA data sheet) beside KVM's local APICs (KVM_CAP_SPLIT_IRQCHIP), with
 * as many pins as there are devices: the kernel sets each up with several exits. Edges only. An
 * interrupt is sent as the message that the pin's entry describes, which needs no routes in KVM.
 */
#include "base/mem.h"
#include "microvm/vm.h"
#include <sys/ioctl.h>

#define OFF_SELECT 0x00
#define OFF_WINDOW 0x10

#define REG_ID	    0x00u
#define REG_VERSION 0x01u
#define REG_ENTRIES 0x10u /* two registers each */

#define IOAPIC_VERSION 0x11u

/*
 * An entry (3.2.4): vector 0-7, delivery mode 8-10, logical 11, level 15, mask 16, destination
 * 56-63.
 */
#define ENTRY_MASKED (UINT64_C(1) << 16)
#define ENTRY_READ_ONLY \
	((UINT64_C(1) << 12) | (UINT64_C(1) << 14)) /* delivery status, remote IRR */

void ioapic_init(struct ioapic *a, int vm_fd, unsigned npins)
{
	*a = (struct ioapic){ .vm_fd = vm_fd };
	a->npins = MIN(npins, (unsigned)ARRAY_SIZE(a->entries));
	pthread_mutex_init(&a->lock, NULL);
	for (unsigned i = 0; i < a->npins; i++)
		a->entries[i] = ENTRY_MASKED;
}

void ioapic_done(struct ioapic *a)
{
	pthread_mutex_destroy(&a->lock);
}

/*
 * As KVM's own IOAPIC turns an entry into a message (Intel SDM 3A, 11.11). A vector that is none is
 * KVM's to refuse.
 */
static void deliver(const struct ioapic *a, uint64_t entry)
{
	struct kvm_msi msi = {
		.address_lo = VM_LAPIC_GPA | (uint32_t)(entry >> 56) << 12 |
			      (entry & 0x800 ? 4u : 0),
		.data = (uint32_t)(entry & 0x7ff),
	};

	ioctl(a->vm_fd, KVM_SIGNAL_MSI, &msi);
}

bool ioapic_raise(struct ioapic *a, unsigned pin)
{
	bool masked;

	if (pin >= a->npins)
		return true;
	pthread_mutex_lock(&a->lock);
	masked = a->entries[pin] & ENTRY_MASKED;
	if (masked)
		a->pending[pin] = true;
	else
		deliver(a, a->entries[pin]);
	pthread_mutex_unlock(&a->lock);
	return !masked;
}

static void entry_write(struct ioapic *a, unsigned pin, bool high, uint32_t v)
{
	uint64_t *e = &a->entries[pin];

	*e = high ? (*e & 0xffffffff) | (uint64_t)v << 32 : (*e & ~UINT64_C(0xffffffff)) | v;
	*e &= ~ENTRY_READ_ONLY;
	if (a->pending[pin] && !(*e & ENTRY_MASKED)) {
		a->pending[pin] = false;
		deliver(a, *e);
	}
}

static void window_write(struct ioapic *a, uint32_t v)
{
	uint32_t i = a->select - REG_ENTRIES;

	if (a->select == REG_ID)
		a->id = v & 0xff000000;
	else if (a->select >= REG_ENTRIES && i / 2 < a->npins)
		entry_write(a, i / 2, i & 1, v);
}

static uint32_t window_read(const struct ioapic *a)
{
	uint32_t i = a->select - REG_ENTRIES;

	if (a->select == REG_ID)
		return a->id;
	if (a->select == REG_VERSION)
		return IOAPIC_VERSION | (a->npins - 1) << 16;
	if (a->select >= REG_ENTRIES && i / 2 < a->npins)
		return (uint32_t)(a->entries[i / 2] >> (i & 1 ? 32 : 0));
	return 0;
}

void ioapic_access(struct ioapic *a, uint64_t off, void *data, unsigned len, bool write)
{
	uint32_t v = 0;

	pthread_mutex_lock(&a->lock);
	if (write) {
		memcpy(&v, data, MIN(len, (unsigned)sizeof(v)));
		if (off == OFF_SELECT)
			a->select = v & 0xff;
		else if (off == OFF_WINDOW)
			window_write(a, v);
	} else {
		v = off == OFF_WINDOW ? window_read(a) : off == OFF_SELECT ? a->select : 0;
		memset(data, 0, len);
		memcpy(data, &v, MIN(len, (unsigned)sizeof(v)));
	}
	pthread_mutex_unlock(&a->lock);
}
