/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables (ACPI specification 6.3), for a kernel of a distribution: Debian's knows neither MP
 * tables nor devices on the command line. Hardware-reduced ACPI (4.1): no fixed registers, no SCI.
 * They tell what the MP table and the command line tell other kernels: processors, the IOAPIC, and
 * each virtio-mmio window with its interrupt.
 */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/boot.h"
#include "microvm/vm.h"

struct acpi_rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

struct acpi_head { /* 5.2.6 */
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

#define RSDP_V1_LEN 20u /* what its first checksum covers */

/* The FADT (5.2.9): all but these is zero, since the hardware that it describes is not there. */
#define FADT_LEN	    276u
#define FADT_DSDT	    40u
#define FADT_IAPC_BOOT_ARCH 109u
#define FADT_FLAGS	    112u
#define FADT_MINOR	    131u
#define FADT_X_DSDT	    140u

#define IAPC_NO_VGA  (1u << 2)
#define IAPC_NO_MSI  (1u << 3)
#define IAPC_NO_CMOS (1u << 5)
#define NO_BUTTONS   (3u << 4) /* neither power nor sleep button as fixed hardware */
#define HW_REDUCED   (1u << 20)

struct madt_lapic { /* 5.2.12.2 */
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic { /* 5.2.12.3 */
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __attribute__((packed));

#define MADT_IOAPIC   1u
#define LAPIC_ENABLED 1u

/*
 * AML (20.2) of one device: its name, what it is, and its resources (6.4). Lengths of packages are
 * of the form with two bytes, which holds up to 4095.
 */
struct aml_device {
	uint8_t device_op[2], length[2];
	char name[4];
	uint8_t hid_op;
	char hid_name[4];
	uint8_t hid_string;
	char hid[9];
	uint8_t uid_op;
	char uid_name[4];
	uint8_t uid_byte, uid;
	uint8_t crs_op;
	char crs_name[4];
	uint8_t crs_buffer, crs_length, crs_byte, crs_size;
	struct aml_resources {
		uint8_t memory32_fixed; /* 6.4.3.4 */
		uint16_t memory_len;
		uint8_t writable;
		uint32_t base, size;
		uint8_t interrupt; /* 6.4.3.6 */
		uint16_t interrupt_len;
		uint8_t flags, count;
		uint32_t gsi;
		uint8_t end[2];
	} __attribute__((packed)) crs;
} __attribute__((packed));

#define AML_NAME      0x08
#define AML_BYTE      0x0a
#define AML_STRING    0x0d
#define AML_SCOPE     0x10
#define AML_BUFFER    0x11
#define EDGE_CONSUMER 3u /* an edge, active high, nobody else's */

struct writer {
	uint8_t *at, *end;
	uint64_t gpa; /* of at */
};

static void *take(struct writer *w, size_t len)
{
	uint8_t *p = w->at;

	if ((size_t)(w->end - w->at) < len)
		return NULL;
	w->at += len;
	w->gpa += len;
	return p;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* A table of @len bytes with its head, at *@ret_gpa; to be sealed when it is whole. */
static void *table_new(struct writer *w, const char *signature, uint8_t revision, size_t len,
		       uint64_t *ret_gpa)
{
	struct acpi_head h = { .length = (uint32_t)len,
			       .revision = revision,
			       .oem = { 'S', 'T', 'R', 'A', 'T', 'A' },
			       .oem_table = { 'M', 'I', 'C', 'R', 'O', 'V', 'M', ' ' },
			       .oem_revision = 1,
			       .creator = { 'S', 'T', 'R', 'A' },
			       .creator_revision = 1 };
	void *p;

	*ret_gpa = w->gpa;
	p = take(w, ROUND_UP(len, (size_t)8));
	if (!p)
		return NULL;
	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(p, &h, sizeof(h));
	return p;
}

static void table_seal(void *table)
{
	struct acpi_head *h = table;

	h->checksum = vm_table_checksum(table, h->length);
}

/* ---- the tables ---- */

static void length_put(uint8_t p[2], size_t len)
{
	p[0] = (uint8_t)(0x40 | (len & 15));
	p[1] = (uint8_t)(len >> 4);
}

static struct aml_device device(const struct virtio_mmio *m, unsigned i)
{
	struct aml_device d = {
		.device_op = { 0x5b, 0x82 },
		.name = { 'V', 'I', (char)('0' + i / 10), (char)('0' + i % 10) },
		.hid_op = AML_NAME,
		.hid_name = { '_', 'H', 'I', 'D' },
		.hid_string = AML_STRING,
		.hid = "LNRO0005", /* as QEMU calls it, and Linux' virtio_mmio */
		.uid_op = AML_NAME,
		.uid_name = { '_', 'U', 'I', 'D' },
		.uid_byte = AML_BYTE,
		.uid = (uint8_t)i,
		.crs_op = AML_NAME,
		.crs_name = { '_', 'C', 'R', 'S' },
		.crs_buffer = AML_BUFFER,
		.crs_length = sizeof(d.crs) + 3, /* with itself, and the size */
		.crs_byte = AML_BYTE,
		.crs_size = sizeof(d.crs),
		.crs = { .memory32_fixed = 0x86,
			 .memory_len = 9,
			 .writable = 1,
			 .base = (uint32_t)virtio_mmio_gpa(m),
			 .size = VIRTIO_MMIO_SIZE,
			 .interrupt = 0x89,
			 .interrupt_len = 6,
			 .flags = EDGE_CONSUMER,
			 .count = 1,
			 .gsi = virtio_mmio_gsi(m),
			 .end = { 0x79, 0 } },
	};

	length_put(d.length, sizeof(d) - sizeof(d.device_op));
	return d;
}

static uint64_t dsdt_write(struct writer *w, const struct vm *v)
{
	static const uint8_t scope[] = { '\\', '_', 'S', 'B', '_' };
	const size_t devices = v->ndevices * sizeof(struct aml_device);
	const size_t body = 1 + 2 + sizeof(scope) + devices;
	uint64_t gpa;
	uint8_t *p, *table = table_new(w, "DSDT", 2, sizeof(struct acpi_head) + body, &gpa);

	if (!table)
		return 0;
	p = table + sizeof(struct acpi_head);
	*p++ = AML_SCOPE;
	length_put(p, body - 1);
	memcpy(p + 2, scope, sizeof(scope));
	p += 2 + sizeof(scope);
	for (unsigned i = 0; i < v->ndevices; i++) {
		struct aml_device d = device(v->devices[i], i);

		memcpy(p + i * sizeof(d), &d, sizeof(d));
	}
	table_seal(table);
	return gpa;
}

static uint64_t fadt_write(struct writer *w, uint64_t dsdt)
{
	const uint16_t arch = IAPC_NO_VGA | IAPC_NO_MSI | IAPC_NO_CMOS;
	uint64_t gpa;
	uint8_t *table = table_new(w, "FACP", 6, FADT_LEN, &gpa);

	if (!table)
		return 0;
	put32(table + FADT_DSDT, (uint32_t)dsdt);
	memcpy(table + FADT_IAPC_BOOT_ARCH, &arch, sizeof(arch));
	put32(table + FADT_FLAGS, HW_REDUCED | NO_BUTTONS);
	table[FADT_MINOR] = 3;
	put64(table + FADT_X_DSDT, dsdt);
	table_seal(table);
	return gpa;
}

static uint64_t madt_write(struct writer *w, const struct vm *v)
{
	const size_t len = sizeof(struct acpi_head) + 8 + v->nvcpus * sizeof(struct madt_lapic) +
			   sizeof(struct madt_ioapic);
	const struct madt_ioapic ioapic = { .type = MADT_IOAPIC,
					    .length = sizeof(ioapic),
					    .id = (uint8_t)v->nvcpus,
					    .address = VM_IOAPIC_GPA };
	uint64_t gpa;
	uint8_t *p, *table = table_new(w, "APIC", 5, len, &gpa);

	if (!table)
		return 0;
	p = table + sizeof(struct acpi_head);
	put32(p, VM_LAPIC_GPA);
	p += 8; /* the flags: no pair of PICs */
	for (unsigned i = 0; i < v->nvcpus; i++) {
		struct madt_lapic l = { .length = sizeof(l),
					.uid = (uint8_t)i,
					.apic_id = (uint8_t)i,
					.flags = LAPIC_ENABLED };

		memcpy(p, &l, sizeof(l));
		p += sizeof(l);
	}
	memcpy(p, &ioapic, sizeof(ioapic));
	table_seal(table);
	return gpa;
}

static uint64_t xsdt_write(struct writer *w, const uint64_t *tables, size_t n)
{
	uint64_t gpa;
	uint8_t *table =
		table_new(w, "XSDT", 1, sizeof(struct acpi_head) + n * sizeof(*tables), &gpa);

	if (!table)
		return 0;
	memcpy(table + sizeof(struct acpi_head), tables, n * sizeof(*tables));
	table_seal(table);
	return gpa;
}

int vm_acpi_write(struct vm *v)
{
	uint8_t *at = mem_at(&v->mem, VM_ACPI_GPA, VM_ACPI_MAX);
	struct writer w = { at, at ? at + VM_ACPI_MAX : NULL, VM_ACPI_GPA };
	struct acpi_rsdp rsdp = { .signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
				  .oem = { 'S', 'T', 'R', 'A', 'T', 'A' },
				  .revision = 2,
				  .length = sizeof(rsdp) };
	uint64_t tables[2], dsdt;

	if (!at)
		return err(-EINVAL, "no low memory");
	take(&w, ROUND_UP(sizeof(rsdp), (size_t)8));
	dsdt = dsdt_write(&w, v);
	tables[0] = dsdt ? fadt_write(&w, dsdt) : 0;
	tables[1] = madt_write(&w, v);
	rsdp.xsdt = tables[0] && tables[1] ? xsdt_write(&w, tables, ARRAY_SIZE(tables)) : 0;
	if (!rsdp.xsdt)
		return err(-E2BIG, "the ACPI tables are too long");
	rsdp.checksum = vm_table_checksum(&rsdp, RSDP_V1_LEN);
	rsdp.extended_checksum = vm_table_checksum(&rsdp, sizeof(rsdp));
	memcpy(at, &rsdp, sizeof(rsdp));
	return 0;
}
