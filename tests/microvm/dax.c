/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DAX window and a guest of a few plain instructions, which reads a byte there and says it as a
 * mark, or stores one. Whatever is beneath, the guest may end and the process goes on.
 */
#include "tests/microvm/bare.h"

#define AT_TABLE    0xa000u /* a page directory for the 5th GiB, where the window is */
#define MARK	    3
#define WINDOW_SIZE (2 * VM_DAX_UNIT)
#define FILE_AT	    VM_DAX_UNIT /* in the window: where the guest looks */

extern const uint8_t guest_reads[], guest_reads_end[], guest_stores[], guest_stores_end[];
__asm__(".pushsection .rodata\n"
	"guest_reads:\n"
	"movl $0x10a003, 0xa020\n" /* the directory pointer's 5th entry */
	"mov $0x100200, %edi; shl $12, %rdi\n"
	"mov (%rdi), %al; mov $0x5d0, %edx; out %al, %dx\n"
	"mov $0x5d1, %edx; out %al, %dx; 1: hlt; jmp 1b\n"
	"guest_reads_end:\n"
	"guest_stores:\n"
	"movl $0x10a003, 0xa020\n"
	"mov $0x100200, %edi; shl $12, %rdi\n"
	"mov $77, %al; mov %al, (%rdi)\n"
	"mov $0x5d1, %edx; out %al, %dx; 1: hlt; jmp 1b\n"
	"guest_stores_end:\n"
	".popsection\n");

static ssize_t serve(_unused_ void *ctx, _unused_ const struct iovec *in, _unused_ int nin,
		     _unused_ const struct iovec *out, _unused_ int nout)
{
	return 0;
}

static struct vm *with_window(const uint8_t *code, const uint8_t *end)
{
	static const uint64_t large_page = 0x83;
	static struct image i;
	struct vm_fs fs = { .tag = "root", .serve = serve, .dax = WINDOW_SIZE };
	struct vm_config cfg;

	image_init(&i, code, end);
	for (uint64_t n = 0; n < 2; n++)
		((uint64_t *)(i.mem + AT_TABLE))[n] = ((UINT64_C(1) << 32) + n * VM_DAX_UNIT) |
						      large_page;
	cfg = config(image_elf(&i, false));
	cfg.fs = &fs;
	cfg.nfs = 1;
	return machine(&cfg);
}

static int file(void)
{
	const char data[] = { MARK };
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_ok(fd_pwrite_full(fd, data, 1, 0));
	assert_ok(ftruncate(fd, 3 * 4096));
	return fd;
}

static enum vm_end end_of(struct vm *v)
{
	enum vm_end end;

	alarm(30);
	assert_ok(vm_run(v, &end));
	alarm(0);
	if (end == VM_END_CRASHED)
		print_message("# %s\n", vm_why(v));
	return end;
}

/*
 * KVM fails where it maps pages. Software KVM, which interprets the access, finds no memory there
 * and asks us, as for a device's registers; nobody is there who would answer.
 */
static void finds_nothing(struct vm *v)
{
	enum vm_end end = end_of(v);

	assert_true(end == VM_END_CRASHED || end == VM_END_POWEROFF);
	assert_int_equal(vm_stats(v)->marks[MARK], 0);
}

static void reads_a_file(_unused_ void **state)
{
	struct vm *v = with_window(guest_reads, guest_reads_end);
	_close_ int fd = file();

	assert_ok(vm_dax_map(v, fd, 0, FILE_AT, 4096, false));
	assert_int_equal(end_of(v), VM_END_POWEROFF);
	assert_true(vm_stats(v)->marks[MARK] != 0);
	vm_free(v);
}

static void nothing_mapped(_unused_ void **state)
{
	struct vm *v = with_window(guest_reads, guest_reads_end);
	_close_ int fd = file();

	assert_ok(vm_dax_map(v, fd, 0, FILE_AT, 4096, false));
	assert_ok(vm_dax_unmap(v, FILE_AT, 4096));
	finds_nothing(v);
	vm_free(v);
}

/* As when the disk loses it, or somebody cuts it off: no signal ends us. */
static void cut_off(_unused_ void **state)
{
	struct vm *v = with_window(guest_reads, guest_reads_end);
	_close_ int fd = file();

	assert_ok(vm_dax_map(v, fd, 0, FILE_AT, 4096, false));
	assert_ok(ftruncate(fd, 0));
	finds_nothing(v);
	vm_free(v);
}

static void stores(bool may)
{
	struct vm *v = with_window(guest_stores, guest_stores_end);
	_close_ int fd = file();
	char byte = 0;

	assert_ok(vm_dax_map(v, fd, 0, FILE_AT, 4096, may));
	if (may)
		assert_int_equal(end_of(v), VM_END_POWEROFF);
	else
		finds_nothing(v);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, may ? 77 : MARK);
	vm_free(v);
}

static void stores_where_it_may(_unused_ void **state)
{
	stores(true);
}

static void stores_nowhere_else(_unused_ void **state)
{
	stores(false);
}

static void bounds(_unused_ void **state)
{
	struct vm *v = with_window(guest_reads, guest_reads_end);
	_close_ int fd = file();
	const uint64_t high = UINT64_MAX - 4095;

	assert_int_equal(vm_dax_map(v, fd, 0, WINDOW_SIZE, 4096, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, 0, WINDOW_SIZE - 4096, 8192, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, 0, high, 4096, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, 0, 4096, high, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, 0, 0, 0, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, 0, 1, 4096, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, 0, 0, 1, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, 1, 0, 4096, false), -EINVAL);
	assert_int_equal(vm_dax_map(v, fd, high, 0, 4096, false), -EINVAL);
	assert_int_equal(vm_dax_unmap(v, WINDOW_SIZE, 4096), -EINVAL);
	assert_ok(vm_dax_unmap(v, 0, WINDOW_SIZE));
	assert_true(vm_dax_map(v, -1, 0, 0, 4096, false) < 0);
	vm_free(v);
}

static void bad_sizes(_unused_ void **state)
{
	static struct image i;
	const uint64_t sizes[] = { 4096, VM_DAX_UNIT + 4096, VM_DAX_MAX + VM_DAX_UNIT };
	struct vm_fs fs = { .tag = "root", .serve = serve };
	struct vm_config cfg;
	struct vm *v;

	image_init(&i, guest_reads, guest_reads_end);
	for (size_t n = 0; n < ARRAY_SIZE(sizes); n++) {
		fs.dax = sizes[n];
		cfg = config(image_elf(&i, false));
		cfg.fs = &fs;
		cfg.nfs = 1;
		assert_int_equal(vm_new(&cfg, &v), -EINVAL);
		err_clear();
		fd_close(cfg.kernel_fd);
	}
}

static void two_windows(_unused_ void **state)
{
	static struct image i;
	struct vm_fs fs[] = { { .tag = "root", .serve = serve, .dax = WINDOW_SIZE },
			      { .tag = "other", .serve = serve, .dax = WINDOW_SIZE } };
	struct vm_config cfg;
	struct vm *v;

	image_init(&i, guest_reads, guest_reads_end);
	cfg = config(image_elf(&i, false));
	cfg.fs = fs;
	cfg.nfs = ARRAY_SIZE(fs);
	assert_int_equal(vm_new(&cfg, &v), -EINVAL);
	err_clear();
	fd_close(cfg.kernel_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_file),
		cmocka_unit_test(nothing_mapped),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(stores_where_it_may),
		cmocka_unit_test(stores_nowhere_else),
		cmocka_unit_test(bounds),
		cmocka_unit_test(bad_sizes),
		cmocka_unit_test(two_windows),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no /dev/kvm\n");
		return 0;
	}
	return cmocka_run_group_tests_name("microvm/dax", tests, NULL, NULL);
}
