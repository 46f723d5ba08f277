/* SPDX-License-Identifier: Apache-2.0 */
/* Which of its entries a kernel is started at. */
#include "base/fd.h"
#include "microvm/boot.h"
#include "microvm/vm.h"
#include "tests/base/unit.h"
#include <elf.h>
#include <sys/mman.h>

#define RAM   (4u << 20)
#define LOAD  0x100000u
#define PVH   (LOAD + 64)
#define NOTES 1024

struct file {
	Elf64_Ehdr head;
	Elf64_Phdr p[2];
};

static const struct {
	Elf64_Nhdr xen;
	char xen_name[4];
	uint32_t entry;
	Elf64_Nhdr linux_;
	char linux_name[8];
	uint32_t zero;
} notes = { { 4, 4, 18 }, "Xen", PVH, { 6, 4, 256 }, "Linux", 0 };

/* An ELF file with the first @len bytes of the notes. */
static int file_with_notes(size_t len)
{
	struct file f = {
		.head = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = LOAD,
			.e_phoff = sizeof(f.head),
			.e_ehsize = sizeof(f.head),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.p = { { .p_type = PT_LOAD,
			 .p_offset = 4096,
			 .p_paddr = LOAD,
			 .p_filesz = 4096,
			 .p_memsz = 4096 },
		       { .p_type = PT_NOTE,
			 .p_offset = NOTES,
			 .p_filesz = len,
			 .p_memsz = len } },
	};
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(fd_pwrite_full(fd, &f, sizeof(f), 0), 0);
	assert_int_equal(fd_pwrite_full(fd, &notes, len, NOTES), 0);
	return fd;
}

static struct vm_kernel load(size_t len)
{
	static struct vm vm;
	struct vm_kernel k;
	int fd = file_with_notes(len);

	vm.mem.regions[0].hva =
		mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(vm.mem.regions[0].hva, MAP_FAILED);
	vm.mem.regions[0].len = RAM;
	vm.mem.n = 1;
	assert_int_equal(vm_kernel_load(&vm, fd, &k), 0);
	munmap(vm.mem.regions[0].hva, RAM);
	fd_close(fd);
	return k;
}

static void entries(_unused_ void **state)
{
	struct vm_kernel k = load(offsetof(typeof(notes), linux_));

	assert_true(k.pvh);
	assert_int_equal(k.entry, PVH);
	/* Linux has both, and by PVH it would look for Xen. */
	k = load(sizeof(notes));
	assert_false(k.pvh);
	assert_int_equal(k.entry, LOAD);
	k = load(0);
	assert_false(k.pvh);
	assert_int_equal(k.entry, LOAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(entries) };

	return cmocka_run_group_tests_name("microvm/kernel_elf", tests, NULL, NULL);
}
