/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of a few plain instructions (as tests/microvm/bare.c's) that says something, is saved
 * when it marks, and says something else once it goes on: in one machine or in fifty.
 */
#include "microvm/microvm.h"

#include "base/err.h"
#include "microvm/snapshot_file.h"
#include "tests/microvm/bare.h"
#include <sys/wait.h>

#define CLONES	    50
#define CLONE_DIRTY 16u /* KiB: the used ring, the avail ring, the buffer, the list */

/*
 * Says what is in the buffer, twice as the list has it; between the two it marks and changes one
 * letter of it. Registers are set before and looked at after the mark.
 */
extern const uint8_t guest_twice[], guest_twice_end[];
__asm__(".pushsection .rodata\n"
	"guest_twice:\n"
	"mov $0x101000, %esi; mov $0x105002, %ebp; mov $0x12345678, %r8d; mov $1, %r9d\n"
	"1: mov (%rsi), %edi; add $4, %esi; test %edi, %edi; jz 2f\n"
	"mov (%rsi), %ebx; add $4, %esi; mov %ebx, (%rdi); jmp 1b\n"
	"2: mov $2000000, %ecx\n"
	"3: movzwl (%rbp), %eax; cmp %r9d, %eax; je 4f; sub $1, %ecx; jnz 3b\n"
	"jmp 6f\n"
	"4: cmp $2, %r9d; je 5f\n"
	"mov $0x5d0, %edx; mov $3, %al; out %al, %dx\n" /* saved here */
	"cmp $0x12345678, %r8d; jne 6f; mov $2, %r9d; addb $1, 0x106000; jmp 1b\n"
	"5: mov $0x5d0, %edx; mov $4, %al; out %al, %dx\n"
	"6: mov $0x5d1, %edx; out %al, %dx; 7: hlt; jmp 7b\n"
	"guest_twice_end:\n"
	".popsection\n");

#define MARK_SAVE 3
#define MARK_OK	  4

static const struct digest key = { { 1, 2, 3 } };

/* The guest's console, and its list: the first buffer, a zero, the second one. */
static int twice_elf(void)
{
	static struct image i;
	uint16_t *avail = (uint16_t *)(i.mem + AT_AVAIL);

	image_init(&i, guest_twice, guest_twice_end);
	driver(&i, 0, 1, "Hello", 0);
	i.list++;	  /* 0: the first part's end */
	avail[2 + 1] = 0; /* the same buffer again */
	then_write(&i, LOAD + AT_AVAIL, 2 << 16);
	then_write(&i, WINDOW(0) + 0x50, 1);
	return image_elf(&i, false);
}

struct said {
	int pipe[2];
	char text[32];
};

static struct vm_config twice(struct said *s)
{
	struct vm_config cfg = config(-1);

	assert_ok(pipe2(s->pipe, O_CLOEXEC));
	cfg.console_out = s->pipe[1];
	cfg.stop_mark = MARK_SAVE;
	return cfg;
}

static const char *said(struct said *s)
{
	ssize_t n;

	fd_close(s->pipe[1]);
	n = read(s->pipe[0], s->text, sizeof(s->text) - 1);
	s->text[MAX(n, (ssize_t)0)] = '\0';
	fd_close(s->pipe[0]);
	return s->text;
}

static int new_file(void)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* A snapshot of the guest at its mark. */
static int saved(unsigned vcpus)
{
	struct vm_snapshot snap = { new_file(), key };
	struct said s;
	struct vm_config cfg = twice(&s);
	struct vm *v;
	int r;

	cfg.kernel_fd = twice_elf();
	cfg.vcpus = vcpus;
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_MARK);
	r = vm_snapshot_save(v, &snap);
	if (r < 0)
		print_message("# %s\n", err_take(r));
	assert_ok(r);
	vm_free(v);
	assert_string_equal(said(&s), "Hello");
	assert_ok(vm_snapshot_verify(&snap));
	return snap.fd;
}

/* A machine that goes on from there, and what it says. */
static void goes_on(int fd, unsigned vcpus, struct said *s)
{
	struct vm_snapshot snap = { fd, key };
	struct vm_config cfg = twice(s);
	struct vm *v;

	cfg.snapshot = &snap;
	cfg.vcpus = vcpus;
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_true(vm_stats(v)->marks[MARK_OK] != 0);
	vm_free(v);
	assert_string_equal(said(s), "Iello");
}

static void saved_and_restored(_unused_ void **state)
{
	struct said s;
	int fd = saved(1);

	goes_on(fd, 1, &s);
	goes_on(fd, 1, &s); /* the first one changed nothing of it */
	fd_close(fd);
}

/* The one that was saved is none the worse for it. */
static void saved_and_goes_on(_unused_ void **state)
{
	const uint64_t note = 77;
	struct vm_snapshot snap = { new_file(), key, &note, sizeof(note) };
	struct said s;
	struct vm_config cfg = twice(&s);
	uint64_t noted = 0;
	struct vm *v;

	cfg.kernel_fd = twice_elf();
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_MARK);
	assert_ok(vm_snapshot_save(v, &snap));
	assert_ok(vm_snapshot_note(&snap, &noted, sizeof(noted)));
	assert_int_equal(noted, note);
	assert_int_equal(vm_snapshot_note(&snap, &noted, 4), -EBADMSG);
	err_clear();
	vm_again(v);
	assert_int_equal(run(v), VM_END_POWEROFF);
	vm_free(v);
	assert_string_equal(said(&s), "HelloIello");
	goes_on(snap.fd, 1, &s);
	fd_close(snap.fd);
}

static void several_vcpus(_unused_ void **state)
{
	struct said s;
	int fd = saved(4);

	goes_on(fd, 4, &s);
	fd_close(fd);
}

/*
 * KiB of the machine's memory that are its own: copies. What only it still maps of the file counts
 * as private and dirty too, once the others have ended.
 */
static unsigned copied(void)
{
	_free_ char *text = NULL;
	bool ours = false;
	unsigned sum = 0, n;
	char *line, *at;
	size_t len;

	assert_ok(file_read_all(AT_FDCWD, "/proc/self/smaps", 16u << 20, &text, &len));
	for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
			ours = strstr(line, "memfd:snapshot") != NULL;
		else if (ours && sscanf(line, "Anonymous: %u", &n) == 1)
			sum += n;
	}
	return sum;
}

/* In a process of its own: all are there at once, before one of them goes on. */
static int clone_main(int fd, int ready, int go)
{
	struct vm_snapshot snap = { fd, key };
	struct said s;
	struct vm_config cfg = twice(&s);
	enum vm_end end;
	struct vm *v;
	char c;

	cfg.snapshot = &snap;
	if (vm_new(&cfg, &v) < 0 || write(ready, "", 1) != 1 || read(go, &c, 1) != 0)
		return 1;
	alarm(60);
	if (vm_run(v, &end) < 0 || end != VM_END_POWEROFF || !vm_stats(v)->marks[MARK_OK])
		return 2;
	if (copied() > CLONE_DIRTY)
		return 3;
	vm_free(v);
	return strcmp(said(&s), "Iello") == 0 ? 0 : 4;
}

static void fifty_at_once(_unused_ void **state)
{
	struct vm_snapshot snap = { saved(1), key };
	int ready[2], go[2];
	char c;

	assert_ok(pipe2(ready, O_CLOEXEC));
	assert_ok(pipe2(go, O_CLOEXEC));
	for (int i = 0; i < CLONES; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			fd_close(go[1]);
			fd_close(ready[0]);
			_exit(clone_main(snap.fd, ready[1], go[0]));
		}
	}
	fd_close(ready[1]);
	for (int i = 0; i < CLONES; i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	fd_close(go[1]);
	for (int i = 0; i < CLONES; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_ok(vm_snapshot_verify(&snap));
	fd_close(ready[0]);
	fd_close(go[0]);
	fd_close(snap.fd);
}

/* ---- refusals ---- */

static void refused(struct vm_config cfg, int fd, struct digest k, int error)
{
	struct vm_snapshot snap = { fd, k };
	struct vm *v = NULL;

	cfg.snapshot = &snap;
	assert_int_equal(vm_new(&cfg, &v), error);
	assert_null(v);
	err_clear();
}

static void of_another_machine(_unused_ void **state)
{
	int fd = saved(1);
	struct vm_config cfg = config(-1);
	struct digest other = key;

	other.b[31] ^= 1;
	refused(cfg, fd, other, -ESTALE);
	cfg.memory *= 2;
	refused(cfg, fd, key, -ESTALE);
	cfg = config(-1);
	cfg.vcpus = 2;
	refused(cfg, fd, key, -ESTALE);
	cfg = config(-1);
	cfg.balloon = true;
	refused(cfg, fd, key, -ESTALE);
	fd_close(fd);
}

static uint8_t byte_at(int fd, off_t off)
{
	uint8_t b;

	assert_int_equal(pread(fd, &b, 1, off), 1);
	return b;
}

static void tampered(_unused_ void **state)
{
	int fd = saved(1), empty = new_file();
	struct vm_snapshot snap = { fd, key };
	struct vm_config cfg = config(-1);
	/* The head: magic, key, sizes, digests; then records. */
	static const off_t places[] = {
		0, 20, 48, 60, 70, 90, 120, 150, SNAPSHOT_PAGE, SNAPSHOT_PAGE + 100
	};
	struct stat st;

	refused(cfg, empty, key, -EBADMSG);
	fd_close(empty);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		uint8_t was = byte_at(fd, places[i]), is = (uint8_t)~was;

		assert_int_equal(pwrite(fd, &is, 1, places[i]), 1);
		refused(cfg, fd, key, -EBADMSG);
		assert_int_equal(pwrite(fd, &was, 1, places[i]), 1);
	}
	assert_ok(vm_snapshot_verify(&snap));
	/* The memory, which is looked at by verify alone. */
	assert_ok(fstat(fd, &st));
	assert_int_equal(pwrite(fd, "!", 1, st.st_size - 5), 1);
	assert_int_equal(vm_snapshot_verify(&snap), -EBADMSG);
	err_clear();
	for (off_t len = st.st_size - 1; len > 0; len /= 3) {
		assert_ok(ftruncate(fd, len));
		refused(cfg, fd, key, -EBADMSG);
	}
	fd_close(fd);
}

/* A file of another version of us is made anew, not called damaged. */
static void of_another_version(_unused_ void **state)
{
	int fd = saved(1);

	assert_int_equal(pwrite(fd, "\3", 1, 8), 1);
	refused(config(-1), fd, key, -ESTALE);
	fd_close(fd);
}

/* ---- what is touched first ---- */

#define READ_PAGE    (0x101000u / SNAPSHOT_PAGE) /* the guest's list */
#define WRITTEN_PAGE (0x106000u / SNAPSHOT_PAGE) /* where it changes a letter */
#define TOUCHED_MAX  32u /* pages that such a guest and its console come to */

/* 1 = written, 0 = read, -1 = not known. */
static int known(const struct snapshot_file *f, uint32_t page)
{
	for (uint32_t i = 0; i < f->nruns; i++)
		if (page >= f->runs[i].page && page - f->runs[i].page < f->runs[i].n)
			return f->runs[i].written;
	return -1;
}

static uint32_t npages(const struct snapshot_file *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->nruns; i++)
		n += f->runs[i].n;
	return n;
}

/* One goes on and tells; those after it have at hand what it touched, and do the same. */
static void learnt(_unused_ void **state)
{
	struct vm_snapshot snap = { .fd = saved(1), .key = key, .learn = true };
	struct snapshot_file f;
	struct said s;
	struct vm_config cfg = twice(&s);
	struct vm *v;

	cfg.snapshot = &snap;
	v = machine(&cfg);
	assert_int_equal(run(v), VM_END_POWEROFF);
	assert_ok(vm_snapshot_learn(v, &snap));
	assert_int_equal(vm_snapshot_learn(v, &snap), -EBADMSG);
	err_clear();
	vm_free(v);
	assert_string_equal(said(&s), "Iello");
	assert_ok(vm_snapshot_verify(&snap));
	assert_ok(snapshot_file_open(snap.fd, &key, &f));
	assert_int_equal(known(&f, READ_PAGE), 0);
	assert_int_equal(known(&f, WRITTEN_PAGE), 1);
	/* No neighbours, which Linux maps with what is read. */
	assert_in_range(npages(&f), 2, TOUCHED_MAX);
	snapshot_file_done(&f);
	for (unsigned i = 0; i < 2; i++)
		goes_on(snap.fd, 1, &s);
	fd_close(snap.fd);
}

/* Each is one that nobody could have learnt. */
static void impossible_runs(_unused_ void **state)
{
	static const struct snapshot_run all[][2] = {
		{ { 5, 0, 0 }, { 9, 1, 0 } },	       /* of no page */
		{ { 5, 4, 0 }, { 8, 1, 0 } },	       /* one in the other */
		{ { 5, 1, 2 }, { 9, 1, 0 } },	       /* neither read nor written */
		{ { 5, 1, 0 }, { UINT32_MAX, 1, 0 } }, /* behind the memory */
		{ { 5, 1, 0 }, { 9, UINT16_MAX, 1 } }, /* the same, or more than may be ahead */
	};
	struct snapshot_file f;
	int fd = saved(1);

	assert_ok(snapshot_file_open(fd, &key, &f));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(snapshot_file_add_runs(&f, all[i], 2), -EBADMSG);
		err_clear();
	}
	assert_int_equal(snapshot_file_add_runs(&f, all[0], SNAPSHOT_RUNS_MAX + 1), -EBADMSG);
	err_clear();
	snapshot_file_done(&f);
	goes_on(fd, 1, &(struct said){ .text = "" });
	fd_close(fd);
}

/* The head was checked when the file was opened; another one may say any length. */
static void another_head(_unused_ void **state)
{
	static const struct snapshot_run run = { 5, 1, 0 };
	const uint64_t records_len = UINT64_C(1) << 40;
	struct snapshot_file f;
	int fd = saved(1);

	assert_ok(snapshot_file_open(fd, &key, &f));
	assert_int_equal(pwrite(fd, &records_len, sizeof(records_len), 64), 8);
	assert_int_equal(snapshot_file_add_runs(&f, &run, 1), -EBADMSG);
	err_clear();
	snapshot_file_done(&f);
	fd_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saved_and_restored),
		cmocka_unit_test(saved_and_goes_on),
		cmocka_unit_test(several_vcpus),
		cmocka_unit_test(fifty_at_once),
		cmocka_unit_test(of_another_machine),
		cmocka_unit_test(tampered),
		cmocka_unit_test(learnt),
		cmocka_unit_test(impossible_runs),
		cmocka_unit_test(another_head),
		cmocka_unit_test(of_another_version),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no /dev/kvm\n");
		return 0;
	}
	return cmocka_run_group_tests_name("microvm/snapshot", tests, NULL, NULL);
}
