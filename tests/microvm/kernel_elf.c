/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of its entries a kernel is started at; what of it is made the machine's own while the guest
 * begins; where memory stays in small pages.
 */
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/boot.h"
#include "microvm/memory.h"
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

static Elf64_Ehdr head(uint64_t entry)
{
	return (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = entry,
		.e_phoff = offsetof(struct file, p),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
}

/* An ELF file with the first @len bytes of the notes. */
static int file_with_notes(size_t len)
{
	struct file f = {
		.head = head(LOAD),
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

/*
 * A kernel of one segment from 8 to 12 MiB, its text: code in the first three pages and in one at
 * the next boundary of a huge page, filler behind each; and a page of data.
 */
#define TEXT	  (8u * MIB)
#define TEXT_LEN  (4u * MIB)
#define HUGE_RAM  (16u * MIB)
#define TEXT_FILE 8192u
#define SHOFF	  4096u

static int file_with_code(void)
{
	static const unsigned code_pages[] = { 0, 1, 2, 512 };
	const uint8_t code[] = { 0x90, 0xc3 };
	struct file f = {
		.head = head(TEXT),
		.p = { { .p_type = PT_LOAD,
			 .p_flags = PF_R | PF_X,
			 .p_offset = TEXT_FILE,
			 .p_paddr = TEXT,
			 .p_filesz = TEXT_LEN,
			 .p_memsz = TEXT_LEN },
		       { .p_type = PT_LOAD,
			 .p_flags = PF_R | PF_W,
			 .p_offset = TEXT_FILE,
			 .p_paddr = TEXT + TEXT_LEN,
			 .p_filesz = 4096,
			 .p_memsz = 4096 } },
	};
	const Elf64_Shdr text = { .sh_type = SHT_PROGBITS,
				  .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
				  .sh_offset = TEXT_FILE,
				  .sh_size = TEXT_LEN };
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	f.head.e_shoff = SHOFF;
	f.head.e_shentsize = sizeof(text);
	f.head.e_shnum = 1;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, TEXT_FILE + TEXT_LEN), 0);
	assert_int_equal(fd_pwrite_full(fd, &f, sizeof(f), 0), 0);
	assert_int_equal(fd_pwrite_full(fd, &text, sizeof(text), SHOFF), 0);
	for (size_t i = 0; i < ARRAY_SIZE(code_pages); i++)
		assert_int_equal(fd_pwrite_full(fd, code, sizeof(code),
						TEXT_FILE + code_pages[i] * 4096),
				 0);
	return fd;
}

/* @ret is in memory of HUGE_RAM bytes, in @pages, and holds that kernel. */
static void load_code(struct vm *ret, enum vm_pages pages)
{
	struct vm_kernel k;
	int fd = file_with_code();
	uint8_t *p = mmap(NULL, HUGE_RAM + HUGE_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	*ret = (struct vm){ .pages = pages };
	ret->mem.regions[0].hva = p + -(uintptr_t)p % HUGE_PAGE;
	ret->mem.regions[0].len = HUGE_RAM;
	ret->mem.n = 1;
	assert_int_equal(vm_kernel_load(ret, fd, &k), 0);
	assert_int_equal(k.begin, TEXT);
	assert_int_equal(k.end, TEXT + TEXT_LEN + 4096);
	fd_close(fd);
}

static void assert_soon(const struct vm *v, unsigned i, uint64_t gpa, uint64_t len)
{
	assert_ptr_equal(v->soon[i].hva, v->mem.regions[0].hva + gpa);
	assert_int_equal(v->soon[i].len, len);
}

static void code_is_had_and_filler_not(_unused_ void **state)
{
	static struct vm v;

	load_code(&v, VM_PAGES_SMALL);
	assert_int_equal(v.nsoon, 3);
	assert_soon(&v, 0, TEXT, 3ul * 4096);
	assert_soon(&v, 1, TEXT + HUGE_PAGE, 4096);
	assert_soon(&v, 2, TEXT + TEXT_LEN, 4096);
	munmap(v.mem.regions[0].hva, HUGE_RAM);
}

/* Whether huge pages are out of the question at @gpa (proc_pid_smaps(5), VmFlags). */
static bool is_small(const struct vm *v, uint64_t gpa)
{
	const unsigned long at = (unsigned long)(v->mem.regions[0].hva + gpa);
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false, small = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *end;
		unsigned long begin = strtoul(line, &end, 16);

		if (*end == '-')
			inside = at >= begin && at < strtoul(end + 1, NULL, 16);
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			small = strstr(line, " nh") != NULL;
	}
	fclose(f);
	return small;
}

/* The lowest block's first and where the kernel ends; nowhere if somebody asked for others. */
static void small_where_a_boot_is_sparse(_unused_ void **state)
{
	static struct vm v;

	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0) {
		print_message("# SKIP this kernel has no huge pages that come by themselves\n");
		skip();
	}
	load_code(&v, VM_PAGES_SMALL);
	assert_false(is_small(&v, 4 * MIB - 4096));
	assert_true(is_small(&v, 4 * MIB));
	assert_true(is_small(&v, 6 * MIB - 4096));
	assert_false(is_small(&v, 6 * MIB));
	assert_true(is_small(&v, TEXT + TEXT_LEN + 4096));
	assert_true(is_small(&v, HUGE_RAM - HUGE_PAGE - 4096));
	assert_false(is_small(&v, HUGE_RAM - HUGE_PAGE));
	munmap(v.mem.regions[0].hva, HUGE_RAM);
	load_code(&v, VM_PAGES_THP);
	assert_false(is_small(&v, 4 * MIB));
	assert_false(is_small(&v, HUGE_RAM - HUGE_PAGE - 4096));
	munmap(v.mem.regions[0].hva, HUGE_RAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(code_is_had_and_filler_not),
		cmocka_unit_test(small_where_a_boot_is_sparse),
	};

	return cmocka_run_group_tests_name("microvm/kernel_elf", tests, NULL, NULL);
}
