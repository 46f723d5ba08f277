/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the machine's addresses and interrupts. */
#ifndef MICROVM_LAYOUT_H
#define MICROVM_LAYOUT_H

#include "microvm/microvm.h"
#include <stdint.h>

#define MIB (UINT64_C(1) << 20)

/*
 * The machine's addresses. RAM is below HOLE and, when there is more, from 4 GiB on. In low memory
 * lie what the boot hands over; the kernel is done with it before it uses that memory for something
 * else.
 */
#define VM_HOLE_START	0xd0000000u /* also the first device window */
#define VM_HOLE_END	UINT64_C(0x100000000)
#define VM_IOAPIC_GPA	0xfec00000u
#define VM_LAPIC_GPA	0xfee00000u
#define VM_IDENTITY_GPA 0xfffbc000u /* a page and three for KVM on old Intel CPUs */
#define VM_TSS_GPA	0xfffbd000u
#define VM_GDT_GPA	0x500u
#define VM_INFO_GPA	0x6000u /* hvm_start_info */
#define VM_PARAMS_GPA	0x7000u /* boot_params, for the 64-bit entry */
#define VM_TABLES_GPA	0x9000u /* page tables, for the 64-bit entry: 6 pages */
#define VM_CMDLINE_GPA	0x20000u
#define VM_CMDLINE_MAX	2048u /* COMMAND_LINE_SIZE of x86, with NUL */
#define VM_MPTABLE_GPA \
	0x9fc00u /* the last KiB of base memory, where the kernel looks (MP spec 1.4, chapter 4) */
#define VM_ACPI_GPA 0xe0000u /* where the kernel looks too (ACPI 6.3, 5.2.5.1) */
#define VM_ACPI_MAX 0x4000u
#define VM_HIGH_GPA 0x100000u

#define VM_MPTABLE_MAX 1024u

/*
 * console, file systems, disks, rng, balloon, net, vsock; an interrupt each, from 1 on: 0 is none
 * for Linux
 */
#define VM_DEVICES_MAX (5 + VM_FS_MAX + VM_DISKS_MAX)
#define VM_GSI_FIRST   1u
/* With ACPI also 2 is none, that of a second PIC (Linux drivers/acpi/resource.c, valid_IRQ). */
#define VM_GSI_ACPI 3u

#endif
