/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every Linux kernel does within its first moments, at CPL 0 in long mode; a KVM that
 * interprets kernel code lacks some of it. Each step is said on a port before it is tried.
 * CPUID.1's ECX stays in R15 for what is optional: XSAVE is bit 26, CMPXCHG16B bit 13, POPCNT bit
 * 23.
 */
#include "microvm/probe_guest.h"

#define STR_(x)	      #x
#define STR(x)	      STR_(x)
#define STEP(n)	      "mov $" #n ", %al; mov $" STR(PROBE_PORT_STEP) ", %dx; out %al, %dx\n"
#define IF_BIT(n, to) "bt $" #n ", %r15d; jnc " #to "f\n"

/* clang-format off */
__asm__(".pushsection .rodata\n"
	".globl probe_guest_start, probe_guest_len\n"
	"probe_guest_start:\n"
	STEP(1) /* PROBE_CPUID */
	"mov $1, %eax; xor %ecx, %ecx; cpuid; mov %ecx, %r15d\n"
	STEP(2) /* PROBE_FXSAVE */
	"mov $0x5000, %edi; fxsave64 (%rdi); fxrstor64 (%rdi)\n"
	STEP(3) /* PROBE_XSAVE */
	IF_BIT(26, 1)
	"mov %cr4, %rax; bts $18, %rax; mov %rax, %cr4\n"
	"xor %ecx, %ecx; mov $3, %eax; xor %edx, %edx; xsetbv\n"
	"mov $0x5000, %edi; xsave64 (%rdi)\n"
	"mov $3, %eax; xor %edx, %edx; xrstor64 (%rdi)\n"
	"1:\n"
	STEP(4) /* PROBE_CMPXCHG16B */
	IF_BIT(13, 1)
	"xor %eax, %eax; xor %edx, %edx; xor %ebx, %ebx; xor %ecx, %ecx\n"
	"mov $0x5000, %edi; lock cmpxchg16b (%rdi)\n"
	"1:\n"
	IF_BIT(23, 1)
	"popcnt %r15, %rax\n"
	"1:\n"
	STEP(5) /* PROBE_INT3: the IDT's gate returns by iretq */
	"int3\n"
	STEP(6) /* PROBE_SYSCALL_MSRS: STAR, LSTAR, SFMASK */
	"mov $0xc0000081, %ecx; xor %eax, %eax; mov $0x00230010, %edx; wrmsr\n"
	"mov $0xc0000082, %ecx; lea 9f(%rip), %rax; xor %edx, %edx; wrmsr\n"
	"mov $0xc0000084, %ecx; mov $0x200, %eax; wrmsr\n"
	"swapgs; swapgs\n"
	STEP(7) /* PROBE_SYSCALL: to CPL 3 by iretq, back by syscall with CS 0x10 */
	"pushq $0x2b; pushq $0xd800; pushq $2; pushq $0x33; lea 8f(%rip), %rax; push %rax; iretq\n"
	"8: mov %cs, %r12d; syscall; hlt\n"
	"9: mov %cs, %r13d; mov $0xc800, %esp\n"
	"cmp $0x33, %r12d; jne 7f; cmp $0x10, %r13d; jne 7f\n"
	"5:\n"
	STEP(8) /* PROBE_LOOP */
	"mov $20000, %ecx; 1: dec %ecx; jnz 1b\n"
	STEP(9) /* PROBE_DONE, or once more */
	"jmp 5b\n"
	"7: hlt\n"
	"6: .balign 4\n"
	"probe_guest_len: .long 6b - probe_guest_start\n"
	".popsection\n");
