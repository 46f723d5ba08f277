/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Intel MultiProcessor table (MP specification 1.4): the processors, the IOAPIC and the
 * devices' interrupts, each an edge. A kernel without ACPI learns of them by this.
 */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/boot.h"
#include "microvm/vm.h"

struct mp_pointer { /* 4.1 */
	char signature[4];
	uint32_t table;
	uint8_t length, spec, checksum, features[5];
};

struct mp_head { /* 4.2 */
	char signature[4];
	uint16_t length;
	uint8_t spec, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, entries;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
};

struct mp_processor { /* 4.3.1 */
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features, reserved[2];
};

struct mp_bus { /* 4.3.2 */
	uint8_t type, id;
	char name[6];
};

struct mp_ioapic { /* 4.3.3 */
	uint8_t type, id, version, flags;
	uint32_t address;
};

struct mp_interrupt { /* 4.3.4, 4.3.5 */
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, bus_irq, apic_id, pin;
};

enum { MP_PROCESSOR, MP_BUS, MP_IOAPIC, MP_IO_INTERRUPT, MP_LOCAL_INTERRUPT };
enum { MP_INT, MP_NMI, MP_SMI, MP_EXTINT };

#define MP_SPEC		 4u /* 1.4 */
#define MP_ENABLED	 1u
#define MP_BOOT_CPU	 2u
#define MP_ACTIVE_HIGH	 1u
#define MP_EDGE		 (1u << 2)
#define MP_ALL_APICS	 0xffu
#define MP_CPU_SIGNATURE 0x600u
#define MP_CPU_FEATURES	 0x201u /* FPU, APIC */
#define APIC_VERSION	 0x14u
#define IOAPIC_VERSION	 0x11u

struct writer {
	uint8_t *at;
	struct mp_head *head;
};

static void entry(struct writer *w, const void *data, size_t len)
{
	memcpy(w->at, data, len);
	w->at += len;
	w->head->entries++;
}

static void processors(struct writer *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct mp_processor p = {
			.type = MP_PROCESSOR,
			.apic_id = (uint8_t)i,
			.apic_version = APIC_VERSION,
			.flags = MP_ENABLED | (i ? 0 : MP_BOOT_CPU),
			.signature = MP_CPU_SIGNATURE,
			.features = MP_CPU_FEATURES,
		};

		entry(w, &p, sizeof(p));
	}
}

static void interrupts(struct writer *w, const struct vm *v, uint8_t ioapic_id)
{
	struct mp_interrupt local = { .type = MP_LOCAL_INTERRUPT, .kind = MP_EXTINT };

	for (unsigned i = 0; i < v->ndevices; i++) {
		uint8_t gsi = (uint8_t)virtio_mmio_gsi(v->devices[i]);
		struct mp_interrupt e = {
			.type = MP_IO_INTERRUPT,
			.kind = MP_INT,
			.flags = MP_ACTIVE_HIGH | MP_EDGE,
			.bus_irq = gsi,
			.apic_id = ioapic_id,
			.pin = gsi,
		};

		entry(w, &e, sizeof(e));
	}
	entry(w, &local, sizeof(local));
	local.kind = MP_NMI;
	local.apic_id = MP_ALL_APICS;
	local.pin = 1;
	entry(w, &local, sizeof(local));
}

int vm_mptable_write(struct vm *v)
{
	uint8_t *at = mem_at(&v->mem, VM_MPTABLE_GPA, VM_MPTABLE_MAX);
	struct mp_pointer *p = (struct mp_pointer *)at;
	uint8_t ioapic_id = (uint8_t)v->nvcpus;
	const struct mp_bus bus = { .type = MP_BUS, .name = "ISA   " };
	const struct mp_ioapic ioapic = {
		.type = MP_IOAPIC,
		.id = ioapic_id,
		.version = IOAPIC_VERSION,
		.flags = MP_ENABLED,
		.address = VM_IOAPIC_GPA,
	};
	struct mp_head *h;
	struct writer w;

	if (!at)
		return err(-EINVAL, "no low memory");
	h = (struct mp_head *)(at + sizeof(*p));
	w = (struct writer){ at + sizeof(*p) + sizeof(*h), h };
	*p = (struct mp_pointer){ .signature = "_MP_",
				  .table = VM_MPTABLE_GPA + sizeof(*p),
				  .length = 1,
				  .spec = MP_SPEC };
	p->checksum = vm_table_checksum(p, sizeof(*p));
	*h = (struct mp_head){
		.signature = "PCMP",
		.spec = MP_SPEC,
		.oem = "STRATA  ",
		.product = "MICROVM     ",
		.lapic = VM_LAPIC_GPA,
	};
	processors(&w, v->nvcpus);
	entry(&w, &bus, sizeof(bus));
	entry(&w, &ioapic, sizeof(ioapic));
	interrupts(&w, v, ioapic_id);
	h->length = (uint16_t)(w.at - (uint8_t *)h);
	h->checksum = vm_table_checksum(h, h->length);
	return 0;
}

_Static_assert(sizeof(struct mp_pointer) + sizeof(struct mp_head) +
			       VM_VCPUS_MAX * sizeof(struct mp_processor) + sizeof(struct mp_bus) +
			       sizeof(struct mp_ioapic) +
			       (VM_DEVICES_MAX + 2) * sizeof(struct mp_interrupt) <=
		       VM_MPTABLE_MAX,
	       "the table fits behind base memory");
