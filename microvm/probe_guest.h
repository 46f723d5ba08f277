/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of vm_probe(): where it expects what, and what it says on its ports. */
#ifndef MICROVM_PROBE_GUEST_H
#define MICROVM_PROBE_GUEST_H

#include <stdint.h>

#define PROBE_MEMORY 0x10000u

#define PROBE_GDT	 0x500u
#define PROBE_PML4	 0x1000u
#define PROBE_PDPT	 0x2000u
#define PROBE_PD	 0x3000u
#define PROBE_DATA	 0x5000u /* for xsave: 8 KiB */
#define PROBE_IDT	 0x7000u
#define PROBE_TSS	 0x7800u
#define PROBE_CODE	 0x8000u
#define PROBE_TRAPS	 0xa000u /* 16 bytes for each exception */
#define PROBE_STACK	 0xc800u
#define PROBE_USER_STACK 0xd800u

/* The step just begun, and the number of an exception that should not have come. */
#define PROBE_PORT_STEP 0x510
#define PROBE_PORT_TRAP 0x511

enum probe_step {
	PROBE_ENTRY,
	PROBE_CPUID,
	PROBE_FXSAVE,
	PROBE_XSAVE,
	PROBE_CMPXCHG16B,
	PROBE_INT3,
	PROBE_SYSCALL_MSRS,
	PROBE_SYSCALL,
	PROBE_LOOP,
	PROBE_DONE,
	PROBE_STEPS,
};

#define PROBE_LOOP_INSNS 40000u

extern const uint8_t probe_guest_start[];
extern const uint32_t probe_guest_len;

#endif
