/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables: found by their pointers, whole by their sums, and they name what the machine has. */
#include "microvm/boot.h"
#include "microvm/vm.h"
#include "tests/base/unit.h"

#include <stdlib.h>

#define RAM (1u << 20)

static struct vm vm;

static void irq(void *ctx, unsigned gsi)
{
	(void)ctx;
	(void)gsi;
}

static void machine(unsigned vcpus, unsigned devices)
{
	const struct virtio_bus bus = { .mem = &vm.mem, .irq = irq };

	vm.mem.regions[0].hva = calloc(1, RAM);
	vm.mem.regions[0].len = RAM;
	vm.mem.n = 1;
	vm.nvcpus = vcpus;
	vm.ndevices = devices;
	for (unsigned i = 0; i < devices; i++)
		assert_ok(virtio_rng_new(&bus, VM_HOLE_START + i * VIRTIO_MMIO_SIZE,
					 VM_GSI_ACPI + i, &vm.devices[i]));
}

static void machine_done(void)
{
	for (unsigned i = 0; i < vm.ndevices; i++)
		virtio_mmio_free(vm.devices[i]);
	free(vm.mem.regions[0].hva);
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* A table of that name at @gpa, all inside what is set aside for them. */
static const uint8_t *table(uint64_t gpa, const char *name, size_t *ret_len)
{
	const uint8_t *p = vm.mem.regions[0].hva + gpa;

	assert_in_range(gpa, VM_ACPI_GPA, VM_ACPI_GPA + VM_ACPI_MAX - 36);
	assert_memory_equal(p, name, 4);
	*ret_len = u32(p + 4);
	assert_true(gpa + *ret_len <= VM_ACPI_GPA + VM_ACPI_MAX);
	assert_int_equal(sum(p, *ret_len), 0);
	return p;
}

static void check_devices(const uint8_t *dsdt, size_t len)
{
	const uint8_t *p = dsdt;

	for (unsigned i = 0; i < vm.ndevices; i++) {
		const uint32_t base = VM_HOLE_START + i * VIRTIO_MMIO_SIZE, gsi = VM_GSI_ACPI + i;

		p = memmem(p, (size_t)(dsdt + len - p), "LNRO0005", 9);
		assert_non_null(p);
		assert_non_null(memmem(p, 60, &base, sizeof(base)));
		assert_non_null(memmem(p, 60, &gsi, sizeof(gsi)));
		p += 9;
	}
	assert_null(memmem(p, (size_t)(dsdt + len - p), "LNRO0005", 9));
}

static void check(void)
{
	const uint8_t *rsdp = vm.mem.regions[0].hva + VM_ACPI_GPA, *xsdt, *fadt, *dsdt, *madt;
	unsigned lapics = 0, ioapics = 0;
	size_t len;

	assert_ok(vm_acpi_write(&vm));
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	xsdt = table(u64(rsdp + 24), "XSDT", &len);
	assert_int_equal(len, 36 + 2 * 8);
	fadt = table(u64(xsdt + 36), "FACP", &len);
	assert_int_equal(len, 276);
	assert_int_equal(u32(fadt + 112) >> 20 & 1, 1); /* hardware-reduced */
	dsdt = table(u64(fadt + 140), "DSDT", &len);
	check_devices(dsdt, len);
	assert_int_equal(u32(fadt + 40), u64(fadt + 140));
	madt = table(u64(xsdt + 44), "APIC", &len);
	for (size_t at = 44; at < len; at += madt[at + 1]) {
		assert_true(madt[at + 1] >= 8);
		lapics += madt[at] == 0;
		ioapics += madt[at] == 1;
	}
	assert_int_equal(lapics, vm.nvcpus);
	assert_int_equal(ioapics, 1);
}

static void one_of_each(void **state)
{
	(void)state;
	machine(1, 1);
	check();
	machine_done();
}

static void the_most_that_a_machine_has(void **state)
{
	(void)state;
	machine(VM_VCPUS_MAX, VM_DEVICES_MAX);
	check();
	machine_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_each),
		cmocka_unit_test(the_most_that_a_machine_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
