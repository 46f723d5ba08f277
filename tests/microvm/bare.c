/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of a few plain instructions, which software KVM runs too: it writes a list of registers,
 * waits for a device and turns the machine off. So the whole machine is tried without a kernel:
 * ELF, entry, windows, eventfds, threads, the end.
 */
#include "microvm/microvm.h"

#include "base/err.h"
#include "microvm/guest/protocol.h"
#include "microvm/vm.h"
#include "tests/microvm/bare.h"
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MARK_OK	  3
#define MARK_LATE 4

/* The same bytes mean the same in 32-bit and in 64-bit mode. */
extern const uint8_t guest_lists[], guest_lists_end[], guest_spins[], guest_spins_end[],
	guest_faults[], guest_faults_end[], guest_resets[], guest_resets_end[], guest_unmasks[],
	guest_unmasks_end[];
__asm__(".pushsection .rodata\n"
	"guest_lists:\n"
	"mov $0x101000, %esi\n"
	"1: mov (%rsi), %edi; test %edi, %edi; jz 2f\n"
	"mov 4(%rsi), %ebx; mov %ebx, (%rdi); add $8, %esi; jmp 1b\n"
	"2: mov $0x105002, %edi; mov $200000, %ecx\n" /* used.idx */
	"3: movzwl (%rdi), %eax; cmp $1, %eax; je 4f; sub $1, %ecx; jnz 3b\n"
	"mov $4, %al; jmp 5f\n"
	"4: mov $3, %al\n"
	"5: mov $0x5d0, %edx; out %al, %dx; mov $0x5d1, %edx; out %al, %dx; 6: hlt; jmp 6b\n"
	"guest_lists_end:\n"
	"guest_spins: 1: jmp 1b\n"
	"guest_spins_end:\n"
	"guest_faults: ud2\n"
	"guest_faults_end:\n"
	"guest_resets: mov $0xfe, %al; out %al, $0x64; 1: hlt; jmp 1b\n"
	"guest_resets_end:\n"
	/* As guest_lists; when the device is done, it has the IOAPIC's pin 1 send vector 0x41. */
	"guest_unmasks:\n"
	"mov $0x101000, %esi\n"
	"1: mov (%rsi), %edi; test %edi, %edi; jz 2f\n"
	"mov 4(%rsi), %ebx; mov %ebx, (%rdi); add $8, %esi; jmp 1b\n"
	"2: mov $0x105002, %edi; mov $200000, %ecx\n"
	"3: movzwl (%rdi), %eax; cmp $1, %eax; je 4f; sub $1, %ecx; jnz 3b\n"
	"4: mov $0xfec00000, %edi; mov $0x12, %eax; mov %eax, (%rdi); mov $0x41, %eax\n"
	"mov %eax, 16(%rdi); 1: jmp 1b\n"
	"guest_unmasks_end:\n"
	".popsection\n");

static void console_says_hello(bool pvh)
{
	static struct image i;
	struct vm_config cfg;
	const struct vm_stats *s;
	struct vm *v;
	char buf[16];
	int p[2];

	assert_ok(pipe2(p, O_CLOEXEC));
	image_init(&i, guest_lists, guest_lists_end);
	driver(&i, 0, 1, "hello", 0);
	cfg = config(image_elf(&i, pvh));
	cfg.console_out = p[1];
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	s = vm_stats(v);
	assert_true(s->marks[MARK_OK] >= s->started_ns);
	assert_int_equal(s->marks[MARK_LATE], 0);
	/*
	 * KVM_EXIT_IO: the end, with which the mark comes. KVM_EXIT_MMIO: of 13 writes the
	 * five to the status and the one to the selector. What is only written waits for
	 * these, and the kick is an eventfd's.
	 */
	assert_int_equal(s->exits[2], 1);
	assert_int_equal(s->exits[6], 6);
	vm_free(v);
	fd_close(p[0]);
	fd_close(p[1]);
}

static void pvh_entry(_unused_ void **state)
{
	console_says_hello(true);
}

static void long_mode_entry(_unused_ void **state)
{
	console_says_hello(false);
}

/* More than KVM's ring of waiting writes holds: it exits when that is full, and none is lost. */
static void writes_wait_in_order(_unused_ void **state)
{
	static struct image i;
	const unsigned many = 500;
	struct vm_config cfg;
	const struct vm_stats *s;
	struct vm *v;
	char buf[16];
	int p[2];

	assert_ok(pipe2(p, O_CLOEXEC));
	image_init(&i, guest_lists, guest_lists_end);
	then_write(&i, WINDOW(0) + 0x30, 1);
	for (unsigned n = 0; n < many; n++)
		then_write(&i, WINDOW(0) + 0x80, n << 12);
	driver(&i, 0, 1, "hello", 0);
	cfg = config(image_elf(&i, true));
	cfg.console_out = p[1];
	cfg.trace = true;
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	s = vm_stats(v);
	assert_int_equal(s->exits[2], 2); /* traced: the mark is an exit of its own */
	assert_true(s->exits[6] > 7 && s->exits[6] < 20);
	assert_int_equal(s->mark_exits[MARK_OK], s->exits[6]);
	assert_true(s->began_ns <= s->kvm_ns && s->kvm_ns <= s->loaded_ns &&
		    s->loaded_ns <= s->started_ns && s->started_ns <= s->marks[MARK_OK] &&
		    s->marks[MARK_OK] <= s->ended_ns);
	assert_string_equal(vm_mark_name(1), "init runs");
	assert_null(vm_mark_name(99));
	vm_free(v);
	fd_close(p[0]);
	fd_close(p[1]);
}

#define SPURIOUS 0xfee000f0u /* of the local APIC (Intel SDM 3A, 11.9): it is enabled here */
#define IRR	 0x200u	     /* its requests: 32 vectors each 16 bytes */
#define VECTOR	 0x41u

/* Of a machine that stands: the console's interrupt comes to the local APIC in a second. */
static bool interrupted(const struct vm *v)
{
	struct kvm_lapic_state s;
	uint32_t irr = 0;

	for (unsigned i = 0; i < 100 && !(irr & 1u << VECTOR % 32); i++) {
		if (i)
			usleep(10000);
		assert_true(ioctl(v->vcpus[0].fd, KVM_GET_LAPIC, &s) == 0);
		memcpy(&irr, s.regs + IRR + VECTOR / 32 * 16, sizeof(irr));
	}
	return irr & 1u << VECTOR % 32;
}

static void lists_ioapic(struct image *i, uint32_t entry)
{
	then_write(i, SPURIOUS, 0x1ff);
	then_write(i, 0xfec00000, 0x13);
	then_write(i, 0xfec00010, 0);
	then_write(i, 0xfec00000, 0x12);
	then_write(i, 0xfec00010, entry);
}

/* What the guest wrote to the IOAPIC waits, but no interrupt goes by what was there before. */
static void interrupt_finds_its_entry(_unused_ void **state)
{
	static struct image i;
	struct vm_config cfg;
	struct vm *v;

	image_init(&i, guest_lists, guest_lists_end);
	lists_ioapic(&i, VECTOR);
	driver(&i, 0, 1, "hello", 0);
	cfg = config(image_elf(&i, true));
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_true(interrupted(v));
	assert_int_equal(vm_stats(v)->exits[6], 6);
	assert_true(v->coalesced.ioapic);
	vm_free(v);
}

static bool unmasked(struct ioapic *a)
{
	bool r;

	pthread_mutex_lock(&a->lock);
	r = a->entries[1] == VECTOR;
	pthread_mutex_unlock(&a->lock);
	return r;
}

static void *stop_late(void *arg)
{
	struct vm *v = arg;

	for (unsigned i = 0; i < 1000 && !unmasked(&v->ioapic); i++)
		usleep(10000);
	vm_stop(v);
	return NULL;
}

/* The guest does nothing more that exits: unmasking alone lets the interrupt through. */
static void interrupt_while_masked(_unused_ void **state)
{
	static struct image i;
	struct vm_config cfg;
	pthread_t t;
	struct vm *v;

	image_init(&i, guest_unmasks, guest_unmasks_end);
	lists_ioapic(&i, 1u << 16 | VECTOR);
	driver(&i, 0, 1, "hello", 0);
	cfg = config(image_elf(&i, true));
	v = machine(&cfg);
	assert_ok(pthread_create(&t, NULL, stop_late, v));
	assert_int_equal(run(v), VM_END_STOPPED);
	pthread_join(t, NULL);
	assert_true(interrupted(v));
	vm_free(v);
}

static ssize_t serve(void *ctx, const struct iovec *in, int nin, const struct iovec *out, int nout)
{
	if (nin == 1 && nout == 1 && in[0].iov_len == 7 && out[0].iov_len == 100)
		memcpy(ctx, in[0].iov_base, 7);
	memset(out[0].iov_base, 'r', 10);
	return 10;
}

static void fs_serves(_unused_ void **state)
{
	static struct image i;
	char seen[8] = "";
	struct vm_fs fs = { .tag = "root", .serve = serve, .ctx = seen };
	struct vm_config cfg;
	struct vm *v;

	image_init(&i, guest_lists, guest_lists_end);
	driver(&i, 1, 1, "request", 100);
	cfg = config(image_elf(&i, true));
	cfg.fs = &fs;
	cfg.nfs = 1;
	v = machine(&cfg);
	assert_non_null(strstr(vm_cmdline(v), "virtio_mmio.device=4K@0xd0001000:2"));
	assert_non_null(strstr(vm_cmdline(v), " initcall_blacklist=slab_late_init,"));
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_string_equal(seen, "request");
	assert_true(vm_stats(v)->marks[MARK_OK] != 0);
	vm_free(v);
}

/* The guest writes the first sector of its disk: head, data and status are one buffer of its. */
static void disk_is_written(_unused_ void **state)
{
	static struct image i;
	struct ring_desc *d = (struct ring_desc *)(i.mem + AT_DESC);
	struct vm_disk disk = { .fd = memfd_create("disk", MFD_CLOEXEC) };
	struct vm_disk_stats s;
	struct vm_config cfg;
	char seen[9] = "";
	struct vm *v;

	assert_ok(ftruncate(disk.fd, 4096));
	image_init(&i, guest_lists, guest_lists_end);
	driver(&i, 1, 0, "", 1);
	memcpy(i.mem + AT_BUFFER, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a sector", 24);
	d[0] = (struct ring_desc){ LOAD + AT_BUFFER, 16 + 512, DESC_F_NEXT, 1 };
	cfg = config(image_elf(&i, true));
	cfg.disks = &disk;
	cfg.ndisks = 1;
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_int_equal(pread(disk.fd, seen, 8, 0), 8);
	assert_string_equal(seen, "a sector");
	vm_disk_stats(v, 0, &s);
	assert_int_equal(s.writes, 1);
	assert_int_equal(s.flushes, 1); /* it negotiated none: each write is on the disk */
	assert_int_equal(s.errors, 0);
	vm_free(v);
	fd_close(disk.fd);
}

/* A driver that hands over nonsense stops its device and nothing else. */
static void hostile_ring(_unused_ void **state)
{
	static struct image i;
	struct vm_config cfg;
	struct vm *v;

	image_init(&i, guest_lists, guest_lists_end);
	driver(&i, 0, 1, "hello", 0);
	((struct ring_desc *)(i.mem + AT_DESC))[0].addr = UINT64_MAX - 2;
	cfg = config(image_elf(&i, true));
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_int_equal(vm_stats(v)->marks[MARK_OK], 0);
	assert_true(vm_stats(v)->marks[MARK_LATE] != 0);
	vm_free(v);
}

/* Notes what it can do: nothing but what a file server has to. */
static ssize_t serve_narrowed(void *ctx, const struct iovec *in, int nin, const struct iovec *out,
			      int nout)
{
	*(bool *)ctx = accept4(-1, NULL, NULL, 0) < 0 && errno == EPERM &&
		       openat(-1, "x", O_RDONLY) < 0 && errno == EBADF;
	return nin && nout && in && out ? 10 : 0;
}

/* A driver that starts its device twice, so its threads come and go while vCPUs may make none. */
static int run_in_jail(void)
{
	static struct image i;
	const struct vm_jail jail = { 65534, 65534 };
	bool narrowed = false;
	struct vm_fs fs = { .tag = "root", .serve = serve_narrowed, .ctx = &narrowed };
	struct vm_config cfg;
	enum vm_end end;
	char weak[256];
	struct vm *v;

	image_init(&i, guest_lists, guest_lists_end);
	then_write(&i, WINDOW(1) + 0x70, 3);
	then_write(&i, WINDOW(1) + 0x24, 1);
	then_write(&i, WINDOW(1) + 0x20, 1); /* VERSION_1 */
	then_write(&i, WINDOW(1) + 0x70, 11);
	then_write(&i, WINDOW(1) + 0x70, 15);
	driver(&i, 1, 1, "request", 100);
	cfg = config(image_elf(&i, true));
	cfg.fs = &fs;
	cfg.nfs = 1;
	alarm(30);
	if (vm_new(&cfg, &v) < 0 || vm_jail(&jail, weak, sizeof(weak)) < 0)
		return 1;
	if (vm_run(v, &end) < 0 || end != VM_END_POWEROFF)
		return 2;
	if (!vm_stats(v)->marks[MARK_OK] || !narrowed)
		return 3;
	vm_free(v);
	return 0;
}

static void runs_in_jail(_unused_ void **state)
{
	int status;
	pid_t pid;

	if (getuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_in_jail());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Whether @page of guest memory, at LOAD, is in memory and no longer the file's (pagemap.rst). */
static bool is_own(const struct vm *v, unsigned page)
{
	uintptr_t at = (uintptr_t)v->mem.regions[0].hva + LOAD + page * 4096u;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	assert_int_equal(pread(fd, &entry, sizeof(entry), (off_t)(at / 4096 * sizeof(entry))),
			 sizeof(entry));
	fd_close(fd);
	return entry >> 63 && !(entry >> 61 & 1);
}

/* The guest of @i, its one segment with @flags and its pages @first and up to @end one section. */
static struct vm *ran(const struct image *i, Elf64_Word flags, unsigned first, unsigned end)
{
	const Elf64_Shdr code = { .sh_type = SHT_PROGBITS,
				  .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
				  .sh_offset = 4096 + first * 4096,
				  .sh_size = (end - first) * 4096 };
	const uint64_t shoff = 2048;
	const Elf64_Half shentsize = sizeof(code), shnum = 1;
	int fd = image_elf(i, true);
	struct vm_config cfg = config(fd);
	struct vm *v;

	assert_ok(fd_pwrite_full(fd, &flags, sizeof(flags),
				 sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_flags)));
	assert_ok(fd_pwrite_full(fd, &shoff, sizeof(shoff), offsetof(Elf64_Ehdr, e_shoff)));
	assert_ok(fd_pwrite_full(fd, &shentsize, sizeof(shentsize),
				 offsetof(Elf64_Ehdr, e_shentsize)));
	assert_ok(fd_pwrite_full(fd, &shnum, sizeof(shnum), offsetof(Elf64_Ehdr, e_shnum)));
	assert_ok(fd_pwrite_full(fd, &code, sizeof(code), (off_t)shoff));
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	return v;
}

/* What a kernel writes while it boots it finds written to; what it does not stays the file's. */
static void what_is_written_is_own(_unused_ void **state)
{
	static struct image i;
	struct vm *v;

	image_init(&i, guest_lists, guest_lists_end);
	driver(&i, 0, 1, "hello", 0);
	v = ran(&i, PF_R | PF_W, 0, 1);
	for (unsigned page = 0; page < 15; page++)
		assert_true(is_own(v, page));
	vm_free(v);
	for (unsigned page = 7; page < 10; page++)
		i.mem[page * 4096 + 1] = 0x90; /* not filler: code */
	v = ran(&i, PF_R | PF_X, 7, 14);
	assert_true(is_own(v, 7) && is_own(v, 9));
	assert_false(is_own(v, 2) || is_own(v, 10) || is_own(v, 13));
	vm_free(v);
}

static void *stop_soon(void *arg)
{
	usleep(20000);
	vm_stop(arg);
	return NULL;
}

static void stopped_from_outside(_unused_ void **state)
{
	static struct image i;
	struct vm_config cfg;
	pthread_t t;
	struct vm *v;

	image_init(&i, guest_spins, guest_spins_end);
	cfg = config(image_elf(&i, true));
	cfg.vcpus = VM_VCPUS_MAX; /* the others wait to be started */
	v = machine(&cfg);
	assert_ok(pthread_create(&t, NULL, stop_soon, v));
	assert_int_equal(run(v), VM_END_STOPPED);
	pthread_join(t, NULL);
	vm_free(v);
}

static void stopped_before(_unused_ void **state)
{
	static struct image i;
	struct vm_config cfg;
	struct vm *v;

	image_init(&i, guest_spins, guest_spins_end);
	cfg = config(image_elf(&i, true));
	v = machine(&cfg);
	vm_stop(v);
	assert_int_equal(run(v), VM_END_STOPPED);
	vm_free(v);
}

static void resets(_unused_ void **state)
{
	static struct image i;
	struct vm_config cfg;
	struct vm *v;

	image_init(&i, guest_resets, guest_resets_end);
	cfg = config(image_elf(&i, true));
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_RESET);
	vm_free(v);
	image_init(&i, guest_faults, guest_faults_end); /* without an IDT: a triple fault */
	cfg = config(image_elf(&i, true));
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_RESET);
	vm_free(v);
}

static void refused(const struct vm_config *cfg, int error)
{
	struct vm *v = NULL;

	assert_int_equal(vm_new(cfg, &v), error);
	assert_null(v);
	err_clear();
}

static void bad_configs(_unused_ void **state)
{
	static struct image i;
	int empty = memfd_create("empty", MFD_CLOEXEC);
	struct vm_config cfg;

	image_init(&i, guest_spins, guest_spins_end);
	cfg = config(image_elf(&i, true));
	cfg.vcpus = 0;
	refused(&cfg, -EINVAL);
	cfg.vcpus = VM_VCPUS_MAX + 1;
	refused(&cfg, -EINVAL);
	cfg.vcpus = 1;
	cfg.memory = 1 << 20;
	refused(&cfg, -EINVAL);
	cfg.memory = VM_MEMORY_MIN;
	cfg.init_fd = empty;
	cfg.modules_fd = -1;
	refused(&cfg, -EINVAL);
	fd_close(cfg.kernel_fd);
	cfg.kernel_fd = empty;
	refused(&cfg, -ENOEXEC);
	fd_close(empty);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void nothing_is_left(_unused_ void **state)
{
	int before = count_fds();

	console_says_hello(true);
	assert_int_equal(count_fds(), before);
}

static void probe(_unused_ void **state)
{
	int before = count_fds();
	char why[256];
	enum vm_probe_result r = vm_probe(why, sizeof(why));

	if (r != VM_PROBE_OK)
		print_message("# %s\n", why);
	assert_true((r == VM_PROBE_OK) == !why[0]);
	assert_null(strchr(why, '\n'));
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe),
		cmocka_unit_test(pvh_entry),
		cmocka_unit_test(long_mode_entry),
		cmocka_unit_test(fs_serves),
		cmocka_unit_test(disk_is_written),
		cmocka_unit_test(hostile_ring),
		cmocka_unit_test(what_is_written_is_own),
		cmocka_unit_test(runs_in_jail),
		cmocka_unit_test(stopped_from_outside),
		cmocka_unit_test(stopped_before),
		cmocka_unit_test(resets),
		cmocka_unit_test(bad_configs),
		cmocka_unit_test(nothing_is_left),
		cmocka_unit_test(writes_wait_in_order),
		cmocka_unit_test(interrupt_finds_its_entry),
		cmocka_unit_test(interrupt_while_masked),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no /dev/kvm\n");
		return 0;
	}
	return cmocka_run_group_tests_name("microvm/bare", tests, NULL, NULL);
}
