/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine whose guest is a few plain instructions: how it is laid out, and the steps of its
 * driver as a list of registers to write.
 */
#ifndef TESTS_MICROVM_BARE_H
#define TESTS_MICROVM_BARE_H

#include "microvm/microvm.h"

#include "base/err.h"
#include "tests/base/unit.h"
#include "virtio/ring.h"
#include <elf.h>
#include <sys/mman.h>

#define LOAD	  0x100000u /* where the guest is */
#define SIZE	  0x10000u
#define AT_LIST	  0x1000u /* pairs of an address and what to write there; 0 ends */
#define AT_DESC	  0x3000u /* one queue */
#define AT_AVAIL  0x4000u
#define AT_USED	  0x5000u
#define AT_BUFFER 0x6000u
#define AT_STACK  0xf000u
#define NUM	  8
#define WINDOW(n) (0xd0000000u + (n)*0x1000u)

struct image {
	uint8_t mem[SIZE];
	uint32_t *list;
};

static inline void image_init(struct image *i, const uint8_t *code, const uint8_t *end)
{
	memset(i->mem, 0, SIZE);
	memcpy(i->mem, code, (size_t)(end - code));
	i->list = (uint32_t *)(i->mem + AT_LIST);
}

static inline void then_write(struct image *i, uint32_t at, uint32_t value)
{
	*i->list++ = at;
	*i->list++ = value;
}

/* An ELF file of it, entered by a PVH note or in 64-bit mode. */
static inline int image_elf(const struct image *i, bool pvh)
{
	static const struct {
		Elf64_Nhdr head;
		char name[4];
		uint32_t entry;
	} note = { { 4, 4, 18 }, "Xen", LOAD };
	Elf64_Ehdr e = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = LOAD,
		.e_phoff = sizeof(e),
		.e_ehsize = sizeof(e),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = pvh ? 2 : 1,
	};
	Elf64_Phdr p[2] = {
		{ .p_type = PT_LOAD,
		  .p_offset = 4096,
		  .p_paddr = LOAD,
		  .p_filesz = SIZE - 100,
		  .p_memsz = SIZE },
		{ .p_type = PT_NOTE,
		  .p_offset = 1024,
		  .p_filesz = sizeof(note),
		  .p_memsz = sizeof(note) },
	};
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(fd_pwrite_full(fd, &e, sizeof(e), 0));
	assert_ok(fd_pwrite_full(fd, p, sizeof(p), sizeof(e)));
	assert_ok(fd_pwrite_full(fd, &note, sizeof(note), 1024));
	assert_ok(fd_pwrite_full(fd, i->mem, SIZE, 4096));
	return fd;
}

/*
 * The steps of a driver for one buffer on @queue of device @dev; @out is the descriptor's length
 * for the device to fill.
 */
static inline void driver(struct image *i, unsigned dev, unsigned queue, const char *text,
			  unsigned out)
{
	struct ring_desc *desc = (struct ring_desc *)(i->mem + AT_DESC);
	uint16_t *avail = (uint16_t *)(i->mem + AT_AVAIL);
	uint32_t w = WINDOW(dev);

	memcpy(i->mem + AT_BUFFER, text, strlen(text));
	desc[0] = (struct ring_desc){ LOAD + AT_BUFFER, (uint32_t)strlen(text),
				      out ? DESC_F_NEXT : 0, 1 };
	desc[1] = (struct ring_desc){ LOAD + AT_BUFFER + 1024, out, DESC_F_WRITE, 0 };
	avail[1] = 1;
	then_write(i, w + 0x70, 0);
	then_write(i, w + 0x70, 1);
	then_write(i, w + 0x70, 3);
	then_write(i, w + 0x24, 1);
	then_write(i, w + 0x20, 1); /* VERSION_1 */
	then_write(i, w + 0x70, 11);
	then_write(i, w + 0x30, queue);
	then_write(i, w + 0x38, NUM);
	then_write(i, w + 0x80, LOAD + AT_DESC);
	then_write(i, w + 0x90, LOAD + AT_AVAIL);
	then_write(i, w + 0xa0, LOAD + AT_USED);
	then_write(i, w + 0x44, 1);
	then_write(i, w + 0x70, 15);
	then_write(i, w + 0x50, queue);
}

static inline struct vm_config config(int kernel)
{
	return (struct vm_config){
		.kernel_fd = kernel,
		.init_fd = -1,
		.memory = VM_MEMORY_MIN,
		.vcpus = 1,
		.console_out = -1,
	};
}

static inline struct vm *machine(const struct vm_config *cfg)
{
	struct vm *v = NULL;
	int r = vm_new(cfg, &v);

	if (r < 0)
		print_message("# %s\n", err_take(r));
	assert_ok(r);
	fd_close(cfg->kernel_fd);
	return v;
}

static inline enum vm_end run(struct vm *v)
{
	enum vm_end end;

	alarm(20);
	assert_ok(vm_run(v, &end));
	alarm(0);
	if (end == VM_END_CRASHED)
		print_message("# %s\n", vm_why(v));
	return end;
}

#endif
