/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What many machines at once have in memory, a process each, whose guest (of a few plain
 * instructions) has written a MiB: booted, each has its own; from one snapshot, all have it
 * together, but for what each writes then. bench/density prints the figures.
 */
#include "microvm/microvm.h"

#include "base/err.h"
#include "tests/microvm/bare.h"
#include <sys/wait.h>

#define WRITTEN_KIB 1024u
#define SPARED_KIB  700u /* of these, at least, each of many */

#define MARK_SAVE 3
#define MARK_IDLE 5

/* Writes 256 pages; marks; writes 4 of them again; marks. */
extern const uint8_t guest_writes[], guest_writes_end[];
__asm__(".pushsection .rodata\n"
	"guest_writes:\n"
	"mov $0x200000, %edi; mov $256, %ecx\n"
	"1: movl $1, (%rdi); add $0x1000, %edi; sub $1, %ecx; jnz 1b\n"
	"mov $0x5d0, %edx; mov $3, %al; out %al, %dx\n" /* saved here */
	"mov $0x200000, %edi; mov $4, %ecx\n"
	"2: movl $2, (%rdi); add $0x1000, %edi; sub $1, %ecx; jnz 2b\n"
	"mov $0x5d0, %edx; mov $5, %al; out %al, %dx\n" /* stands here */
	"3: hlt; jmp 3b\n"
	"guest_writes_end:\n"
	".popsection\n");

static const struct digest key = { { 4, 5, 6 } };

static struct vm *begin(const struct vm_snapshot *snap, int stop_mark)
{
	static struct image i;
	struct vm_config cfg = config(-1);
	struct vm *v;

	cfg.stop_mark = stop_mark;
	cfg.snapshot = snap;
	if (!snap) {
		image_init(&i, guest_writes, guest_writes_end);
		cfg.kernel_fd = image_elf(&i, false);
	}
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_MARK);
	return v;
}

static int saved(void)
{
	struct vm_snapshot snap = { memfd_create("snapshot", MFD_CLOEXEC), key };
	struct vm *v = begin(NULL, MARK_SAVE);

	assert_true(snap.fd >= 0);
	assert_ok(vm_snapshot_save(v, &snap));
	vm_free(v);
	return snap.fd;
}

static unsigned pss_kib(pid_t pid)
{
	_free_ char *text = NULL;
	char path[64];
	const char *line;
	unsigned kib = 0;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	assert_ok(file_read_all(AT_FDCWD, path, 1u << 20, &text, &len));
	line = strstr(text, "\nPss:");
	assert_true(line && sscanf(line, "\nPss: %u", &kib) == 1);
	return kib;
}

static pid_t start(int fd, int ready)
{
	const struct vm_snapshot snap = { fd, key };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	begin(fd >= 0 ? &snap : NULL, MARK_IDLE);
	if (write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

/* The KiB of each of @n that stand there at once; @fd: from that snapshot, -1: booted. */
static unsigned each_kib(const char *how, int fd, unsigned n)
{
	_free_ pid_t *pids = mem_new(n, sizeof(*pids));
	unsigned sum = 0;
	int ready[2];
	char c;

	assert_non_null(pids);
	assert_ok(pipe2(ready, O_CLOEXEC));
	for (unsigned i = 0; i < n; i++)
		pids[i] = start(fd, ready[1]);
	fd_close(ready[1]);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	for (unsigned i = 0; i < n; i++)
		sum += pss_kib(pids[i]);
	for (unsigned i = 0; i < n; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	fd_close(ready[0]);
	print_message("# %s: %u at once have %u KiB, %u each\n", how, n, sum, sum / n);
	return sum / n;
}

static void many_at_once(_unused_ void **state)
{
	static const unsigned counts[] = { 1, 4, 8, 50 };
	unsigned booted = 0, warm = 0;
	int fd = saved();

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		booted = each_kib("booted", -1, counts[i]);
		warm = each_kib("from one snapshot", fd, counts[i]);
	}
	assert_true(booted > WRITTEN_KIB);
	assert_true(warm + SPARED_KIB < booted);
	fd_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(many_at_once) };

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no /dev/kvm\n");
		return 0;
	}
	return cmocka_run_group_tests_name("microvm/density", tests, NULL, NULL);
}
