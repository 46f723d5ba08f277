/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel finds when it starts: the memory map, its command line and its initramfs, and the
 * state of the first vCPU. PVH (xen/include/public/arch-x86/hvm/start_info.h): 32-bit protected
 * mode without paging, EBX points to hvm_start_info. Else the 64-bit boot protocol (Linux
 * Documentation/arch/x86/boot.rst): long mode with low memory mapped one to one, RSI points to
 * boot_params.
 */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/boot.h"
#include "microvm/vm.h"
#include <asm/bootparam.h>
#include <sys/ioctl.h>

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
	uint32_t memmap_entries, reserved;
};
#define HVM_START_MAGIC 0x336ec578u

struct hvm_modlist_entry {
	uint64_t paddr, size, cmdline_paddr, reserved;
};

struct hvm_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* What stands at VM_INFO_GPA. */
struct pvh_page {
	struct hvm_start_info info;
	struct hvm_modlist_entry module;
	struct hvm_memmap_entry map[4];
};

#define RAM	 1u /* E820_TYPE_RAM */
#define RESERVED 2u

static unsigned memory_map(const struct vm *v, struct hvm_memmap_entry map[4])
{
	unsigned n = 0;

	map[n++] = (struct hvm_memmap_entry){ .addr = 0, .size = VM_MPTABLE_GPA, .type = RAM };
	map[n++] = (struct hvm_memmap_entry){
		.addr = VM_MPTABLE_GPA,
		.size = VM_HIGH_GPA - VM_MPTABLE_GPA,
		.type = RESERVED,
	};
	map[n++] = (struct hvm_memmap_entry){
		.addr = VM_HIGH_GPA,
		.size = v->mem.regions[0].len - VM_HIGH_GPA,
		.type = RAM,
	};
	if (v->mem.n > 1)
		map[n++] = (struct hvm_memmap_entry){
			.addr = v->mem.regions[1].gpa,
			.size = v->mem.regions[1].len,
			.type = RAM,
		};
	return n;
}

static void pvh_write(struct vm *v, struct pvh_page *p, const struct vm_initramfs *initramfs,
		      bool acpi)
{
	p->info = (struct hvm_start_info){
		.magic = HVM_START_MAGIC,
		.version = 1,
		.nr_modules = initramfs->len != 0,
		.modlist_paddr = VM_INFO_GPA + offsetof(struct pvh_page, module),
		.cmdline_paddr = VM_CMDLINE_GPA,
		.rsdp_paddr = acpi ? VM_ACPI_GPA : 0,
		.memmap_paddr = VM_INFO_GPA + offsetof(struct pvh_page, map),
		.memmap_entries = memory_map(v, p->map),
	};
	p->module = (struct hvm_modlist_entry){ .paddr = initramfs->gpa, .size = initramfs->len };
}

/*
 * What a bootloader would have read from a bzImage's setup header, which a vmlinux has not
 * (boot.rst).
 */
static void params_write(struct vm *v, struct boot_params *p, const struct vm_initramfs *initramfs,
			 bool acpi)
{
	struct hvm_memmap_entry map[4];
	unsigned n = memory_map(v, map);

	p->hdr.type_of_loader = 0xff; /* none of the registered ones */
	p->hdr.boot_flag = 0xaa55;
	p->hdr.header = 0x53726448; /* "HdrS" */
	p->hdr.cmd_line_ptr = VM_CMDLINE_GPA;
	p->hdr.cmdline_size = VM_CMDLINE_MAX;
	p->hdr.ramdisk_image = (uint32_t)initramfs->gpa;
	p->hdr.ramdisk_size = (uint32_t)initramfs->len;
	for (unsigned i = 0; i < n; i++)
		p->e820_table[i] =
			(struct boot_e820_entry){ map[i].addr, map[i].size, map[i].type };
	p->e820_entries = (uint8_t)n;
	p->acpi_rsdp_addr = acpi ? VM_ACPI_GPA : 0;
}

/*
 * Maps the first 4 GiB one to one: a page of level 4, one of level 3, four of level 2 with pages of
 * 2 MiB.
 */
static void tables_write(uint64_t *t)
{
	const uint64_t present_rw = 3, large = 0x80, entries = 512;

	t[0] = (VM_TABLES_GPA + 0x1000) | present_rw;
	for (uint64_t i = 0; i < 4; i++)
		t[entries + i] = (VM_TABLES_GPA + 0x2000 + i * 0x1000) | present_rw;
	for (uint64_t i = 0; i < 4 * entries; i++)
		t[2 * entries + i] = i * 2 * MIB | large | present_rw;
}

/* Flat segments; 0x10 is __BOOT_CS, 0x18 __BOOT_DS, as the 64-bit protocol has them. */
static void gdt_write(uint64_t *gdt, bool pvh)
{
	gdt[0] = gdt[1] = 0;
	gdt[2] = pvh ? 0x00cf9b000000ffff : 0x00af9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	gdt[4] = 0x00008b0000000067; /* a busy TSS */
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool code64)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = !code64,
		.l = code64,
	};
}

static int registers_set(const struct vcpu *c, const struct vm_kernel *k)
{
	struct kvm_regs regs = { .rip = k->entry, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(c->fd, KVM_GET_SREGS, &s) < 0)
		return err_sys("KVM: registers");
	s.cs = segment(0x10, 11, !k->pvh);
	s.ds = s.es = s.fs = s.gs = s.ss = segment(0x18, 3, false);
	s.tr = (struct kvm_segment){ .limit = 0x67, .selector = 0x20, .type = 11, .present = 1 };
	s.gdt.base = VM_GDT_GPA;
	s.gdt.limit = 5 * 8 - 1;
	s.idt.limit = 0;
	s.cr0 = 0x11; /* PE, ET */
	s.cr4 = 0;
	if (k->pvh) {
		regs.rbx = VM_INFO_GPA;
	} else {
		regs.rsi = VM_PARAMS_GPA;
		s.cr0 |= 0x80000000; /* PG */
		s.cr3 = VM_TABLES_GPA;
		s.cr4 = 0x20;	/* PAE */
		s.efer = 0x500; /* LME, LMA */
	}
	if (ioctl(c->fd, KVM_SET_SREGS, &s) < 0 || ioctl(c->fd, KVM_SET_REGS, &regs) < 0)
		return err_sys("KVM: registers");
	return 0;
}

int vm_boot(struct vm *v, const struct vm_kernel *kernel, const struct vm_initramfs *initramfs,
	    bool acpi)
{
	uint8_t *low = mem_at(&v->mem, 0, VM_HIGH_GPA);

	if (!low)
		return err(-EINVAL, "no low memory");
	gdt_write((uint64_t *)(low + VM_GDT_GPA), kernel->pvh);
	memcpy(low + VM_CMDLINE_GPA, v->cmdline, sizeof(v->cmdline));
	if (kernel->pvh) {
		pvh_write(v, (struct pvh_page *)(low + VM_INFO_GPA), initramfs, acpi);
	} else {
		params_write(v, (struct boot_params *)(low + VM_PARAMS_GPA), initramfs, acpi);
		tables_write((uint64_t *)(low + VM_TABLES_GPA));
	}
	return registers_set(&v->vcpus[0], kernel);
}
