/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine in huge pages: that it has them, that its kernel and a snapshot are in them whole, and
 * what is said where none are to be had.
 */
#include "microvm/microvm.h"

#include "base/err.h"
#include "tests/microvm/bare.h"

#define HUGE_KIB  2048u
#define MARK_SAVE 3
#define MARK_END  5

/* Writes a page; marks, and is saved there. Marks again if the page and its own code are whole. */
extern const uint8_t guest_keeps[], guest_keeps_end[];
__asm__(".pushsection .rodata\n"
	"guest_keeps:\n"
	"mov $0x600000, %edi; movl $0x12345678, (%rdi)\n"
	"mov $0x5d0, %edx; mov $3, %al; out %al, %dx\n" /* saved here */
	"mov $0x600000, %edi; mov (%rdi), %eax; cmp $0x12345678, %eax; jne 1f\n"
	"mov $0x5d0, %edx; mov $5, %al; out %al, %dx\n" /* stands here */
	"1: mov $0xfe, %al; out %al, $0x64; 2: hlt; jmp 2b\n"
	"guest_keeps_end:\n"
	".popsection\n");

static const struct digest key = { { 7, 8, 9 } };

static unsigned proc_kib(const char *file, const char *name)
{
	_free_ char *text = NULL;
	const char *line;
	size_t len;

	assert_ok(file_read_all(AT_FDCWD, file, 1u << 20, &text, &len));
	line = strstr(text, name);
	return line ? (unsigned)strtoul(line + strlen(name), NULL, 10) : 0;
}

static struct vm_config in_pages(enum vm_pages pages, int stop_mark)
{
	static struct image i;
	struct vm_config cfg = config(-1);

	image_init(&i, guest_keeps, guest_keeps_end);
	cfg.kernel_fd = image_elf(&i, false);
	cfg.pages = pages;
	cfg.stop_mark = stop_mark;
	return cfg;
}

/* Boots and is saved; goes on from that: each time in such pages, as @name of smaps_rollup says. */
static void boots_and_goes_on(enum vm_pages pages, const char *name)
{
	struct vm_snapshot snap = { memfd_create("snapshot", MFD_CLOEXEC), key };
	struct vm_config cfg = in_pages(pages, MARK_SAVE);
	struct vm *v = machine(&cfg);

	assert_int_equal(run(v), VM_END_MARK);
	assert_true(proc_kib("/proc/self/smaps_rollup", name) >= HUGE_KIB);
	assert_ok(vm_snapshot_save(v, &snap));
	vm_free(v);
	cfg.kernel_fd = -1; /* which machine() has closed */
	cfg.snapshot = &snap;
	cfg.stop_mark = MARK_END;
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_MARK);
	assert_true(proc_kib("/proc/self/smaps_rollup", name) >= HUGE_KIB);
	vm_free(v);
	fd_close(snap.fd);
}

static void transparent(_unused_ void **state)
{
	_free_ char *text = NULL;
	size_t len;

	if (file_read_all(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled", 256, &text,
			  &len) < 0 ||
	    strstr(text, "[never]"))
		skip();
	boots_and_goes_on(VM_PAGES_THP, "\nAnonHugePages:");
}

static void set_apart(_unused_ void **state)
{
	struct vm_config cfg = in_pages(VM_PAGES_HUGETLB, MARK_SAVE);
	struct vm *v = NULL;

	if (proc_kib("/proc/meminfo", "\nHugePages_Free:") >= cfg.memory / (HUGE_KIB << 10)) {
		boots_and_goes_on(VM_PAGES_HUGETLB, "\nPrivate_Hugetlb:");
		return;
	}
	assert_int_equal(vm_new(&cfg, &v), -ENOMEM);
	assert_non_null(strstr(err_take(-ENOMEM), "vm.nr_hugepages"));
	assert_null(v);
	fd_close(cfg.kernel_fd);
}

static void no_balloon(_unused_ void **state)
{
	struct vm_config cfg = in_pages(VM_PAGES_HUGETLB, MARK_SAVE);
	struct vm *v = NULL;

	cfg.balloon = true;
	assert_int_equal(vm_new(&cfg, &v), -EINVAL);
	assert_non_null(strstr(err_take(-EINVAL), "balloon"));
	fd_close(cfg.kernel_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transparent),
		cmocka_unit_test(set_apart),
		cmocka_unit_test(no_balloon),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no /dev/kvm\n");
		return 0;
	}
	return cmocka_run_group_tests_name("microvm/pages", tests, NULL, NULL);
}
