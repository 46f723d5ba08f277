/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the kernel, and what it is handed. */
#ifndef MICROVM_BOOT_H
#define MICROVM_BOOT_H

#include "microvm/vm.h"

/* kernel_elf.c: where the kernel is entered. */
struct vm_kernel {
	bool pvh; /* at @entry in 32-bit mode, hvm_start_info; else in 64-bit mode, boot_params */
	uint64_t entry; /* physical */
	uint64_t begin; /* its first byte */
	uint64_t end;	/* behind its last byte */
};
int vm_kernel_load(struct vm *v, int fd, struct vm_kernel *ret);

/* initramfs.c: @fd as /init at the top of low RAM, and behind it the archive @modules or none. */
struct vm_initramfs {
	uint64_t gpa, len;
};
int vm_initramfs_load(struct vm *v, int fd, int modules, const struct vm_kernel *kernel,
		      struct vm_initramfs *ret);

/* boot.c: what the kernel is handed, and the first vCPU's registers; @acpi: tables are there. */
int vm_boot(struct vm *v, const struct vm_kernel *kernel, const struct vm_initramfs *initramfs,
	    bool acpi);
/* What makes the bytes of a table, ACPI's or the MP table, add up to 0. */
static inline uint8_t vm_table_checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}
/* mptable.c */
int vm_mptable_write(struct vm *v);
/* acpi.c: at VM_ACPI_GPA. */
int vm_acpi_write(struct vm *v);
/* cmdline.c */
int vm_cmdline_make(struct vm *v, const struct vm_config *cfg);

#endif
