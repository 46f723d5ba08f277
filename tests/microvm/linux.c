/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux and strata-init in the machine: each test boots. Needs a KVM that can, the kernel
 * (STRATA_KERNEL) and init beside the build (STRATA_INIT); tests/microvm.bats sees to these. The
 * root is tests/microvm/fakefs.h's, or a union.
 */
#include "microvm/microvm.h"

#include "base/clock.h"
#include "base/err.h"
#include "microvm/guest/protocol.h"
#include "tests/base/unit.h"
#include "tests/microvm/fakefs.h"
#include "tests/microvm/union_root.h"
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BOOT_MAX_S 60 /* in an emulated machine */
#define OUTPUT_MAX (4u << 20)

enum { BIN = 1, ETC, PASSWD = 11 };
static const struct fake_node nodes[] = {
	{ "", 0, S_IFDIR | 0755, NULL, false },
	{ "bin", 0, S_IFDIR | 0755, NULL, false },
	{ "etc", 0, S_IFDIR | 0755, NULL, false },
	{ "dev", 0, S_IFDIR | 0755, NULL, false },
	{ "proc", 0, S_IFDIR | 0755, NULL, false },
	{ "sys", 0, S_IFDIR | 0755, NULL, false },
	{ "tmp", 0, S_IFDIR | 01777, NULL, false },
	{ "data", 0, S_IFDIR | 0755, NULL, false },
	{ "sh", BIN, S_IFREG | 0755, NULL, true },
	{ "busybox", BIN, S_IFREG | 0755, NULL, true },
	{ "group", ETC, S_IFREG | 0644, "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n", false },
	{ "passwd", ETC, S_IFREG | 0644,
	  "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/u:/bin/sh\n", false },
};

/* One boot: what goes in, and what came out. */
struct boot {
	struct vm_config vm;
	struct vm_guest_config guest;
	const char *input; /* NULL: none, and no stdin */
	int signal;	   /* sent when the command has started */
	uint64_t wish;	   /* the memory that it is asked to do with once it has started */
	bool close_output; /* nobody reads what it says */
	bool jail;
	struct vm_folder folders[3]; /* that the jail leaves */
	size_t nfolders;

	int kernel, init; /* descriptors */
	struct fakefs fake;
	struct vm_fs fs[2];
	struct vm_port ports[4];
	struct vm *v;
	struct vm_control *control;
	int in[2], out[2], err[2], control_fds[2];
	char *output;
	size_t output_len;
	char errors[4096];
	bool started, done;
	struct vm_guest_event last;
	enum vm_end end;
	struct vm_memory_stats memory; /* at the end, with a balloon */
};

static char *word(const char *s)
{
	return (char *)(uintptr_t)s;
}

static struct boot *boot_new(char *const *argv)
{
	struct boot *b = new0(struct boot);

	b->kernel = open(getenv("STRATA_KERNEL"), O_RDONLY | O_CLOEXEC);
	b->init = open(getenv("STRATA_INIT"), O_RDONLY | O_CLOEXEC);
	b->fake = (struct fakefs){ nodes, ARRAY_SIZE(nodes),
				   open("/bin/busybox", O_RDONLY | O_CLOEXEC), 0 };
	assert_true(b->kernel >= 0 && b->init >= 0 && b->fake.busybox_fd >= 0);
	b->fs[0] = (struct vm_fs){ .tag = "root", .serve = fake_serve, .ctx = &b->fake };
	b->vm = (struct vm_config){
		.memory = 128 << 20, .vcpus = 1, .nfs = 1, .console_out = -1, .nports = 4
	};
	b->guest = (struct vm_guest_config){ .root = "root", .argv = argv, .hostname = "box" };
	b->output = malloc(OUTPUT_MAX);
	assert_non_null(b->output);
	return b;
}

static void boot_free(struct boot *b)
{
	vm_free(b->v);
	fd_close(b->kernel);
	fd_close(b->init);
	fd_close(b->fake.busybox_fd);
	free(b->output);
	free(b);
}

static void boot_make(struct boot *b)
{
	int r;

	assert_ok(pipe2(b->in, O_CLOEXEC));
	assert_ok(pipe2(b->out, O_CLOEXEC));
	assert_ok(pipe2(b->err, O_CLOEXEC));
	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b->control_fds));
	b->ports[0] =
		(struct vm_port){ VM_CONTROL_PORT, b->control_fds[1], b->control_fds[1], true };
	b->ports[1] = (struct vm_port){ VM_STDIN_PORT, b->in[0], -1, false };
	b->ports[2] = (struct vm_port){ VM_STDOUT_PORT, -1, b->out[1], false };
	b->ports[3] = (struct vm_port){ VM_STDERR_PORT, -1, b->err[1], false };
	b->vm.kernel_fd = b->kernel;
	b->vm.init_fd = b->init;
	b->vm.modules_fd = -1;
	b->vm.fs = b->fs;
	b->vm.ports = b->ports;
	r = vm_new(&b->vm, &b->v);
	if (r < 0)
		print_message("# %s\n", err_take(r));
	assert_ok(r);
	assert_ok(vm_control_new(b->control_fds[0], &b->control));
	b->guest.stdin_open = b->input != NULL;
	assert_ok(vm_control_config(b->control, &b->guest));
}

static void on_event(struct boot *b, const struct vm_guest_event *e)
{
	b->last = *e;
	if (e->kind == VM_GUEST_STARTED) {
		b->started = true;
		if (b->signal)
			assert_ok(vm_control_signal(b->control, b->signal));
		if (b->wish)
			assert_ok(vm_memory_wish(b->v, b->wish));
	} else {
		b->done = true;
		vm_stop(b->v);
	}
}

static void feed(struct boot *b)
{
	size_t len = strlen(b->input);
	ssize_t n = write(b->in[1], b->input, MIN(len, (size_t)4096));

	if (n > 0)
		b->input += n;
	if (n < 0 || !*b->input) {
		b->in[1] = fd_close(b->in[1]);
		b->input = NULL;
	}
}

/* What the VMM's own loop does. */
static void converse(struct boot *b)
{
	uint64_t deadline = clock_ns() + BOOT_MAX_S * UINT64_C(1000000000);

	while (!b->done && clock_ns() < deadline) {
		struct pollfd p[] = {
			{ .fd = vm_control_fd(b->control),
			  .events = vm_control_events(b->control) },
			{ .fd = b->out[0], .events = POLLIN },
			{ .fd = b->input ? b->in[1] : -1, .events = POLLOUT },
		};
		struct vm_guest_event e;
		int r = 1;

		assert_true(poll(p, 3, BOOT_MAX_S * 1000) >= 0);
		if (p[1].revents & POLLIN)
			b->output_len += (size_t)read(b->out[0], b->output + b->output_len,
						      OUTPUT_MAX - b->output_len - 1);
		if (p[2].revents)
			feed(b);
		while (!b->done && (r = vm_control_next(b->control, &e)) > 0)
			on_event(b, &e);
		if (r < 0)
			break;
	}
	vm_stop(b->v);
}

static void *runner(void *arg)
{
	struct boot *b = arg;

	if (vm_run(b->v, &b->end) < 0)
		b->end = VM_END_CRASHED;
	return NULL;
}

static void boot_run(struct boot *b)
{
	char weak[256];
	pthread_t t;
	ssize_t n;

	boot_make(b);
	if (b->close_output)
		b->out[0] = fd_close(b->out[0]);
	if (b->jail) {
		const struct vm_jail j = { 65534, 65534, b->folders, b->nfolders };

		assert_ok(vm_jail(&j, weak, sizeof(weak)));
		print_message("# jail: %s\n", weak[0] ? weak : "whole");
	}
	assert_ok(pthread_create(&t, NULL, runner, b));
	converse(b);
	pthread_join(t, NULL);
	if (b->end == VM_END_CRASHED)
		print_message("# %s\n", vm_why(b->v));
	if (!b->done)
		print_message("# the guest did not say how it ended\n");
	if (b->vm.balloon)
		assert_ok(vm_memory_stats(b->v, &b->memory));
	vm_free(b->v);
	b->v = NULL;
	fd_close(b->in[0]);
	fd_close(b->out[1]);
	fd_close(b->err[1]);
	fd_close(b->control_fds[1]);
	while (b->out[0] >= 0 &&
	       (n = read(b->out[0], b->output + b->output_len, OUTPUT_MAX - b->output_len - 1)) > 0)
		b->output_len += (size_t)n;
	b->output[b->output_len] = '\0';
	n = read(b->err[0], b->errors, sizeof(b->errors) - 1);
	b->errors[MAX(n, 0)] = '\0';
	vm_control_free(b->control);
	fd_close(b->out[0]);
	fd_close(b->err[0]);
	fd_close(b->in[1]);
}

static void exited(const struct boot *b, int status)
{
	if (b->last.kind == VM_GUEST_FAILED)
		print_message("# %s\n", b->last.text);
	assert_true(b->done);
	assert_int_equal(b->last.kind, VM_GUEST_EXITED);
	if (b->last.status != status)
		print_message("# stdout: %.200s\n# stderr: %.200s\n", b->output, b->errors);
	assert_int_equal(b->last.status, status);
}

#define SHELL(script)                                      \
	{                                                  \
		word("sh"), word("-c"), word(script), NULL \
	}

static void output_and_status(_unused_ void **state)
{
	char *argv[] = SHELL("echo out; echo err >&2; busybox hostname; echo $HOME;"
			     " (busybox sleep 99) & exit 42");
	struct boot *b = boot_new(argv);

	boot_run(b);
	exited(b, 42);
	assert_true(b->started);
	assert_string_equal(b->output, "out\nbox\n/root\n");
	assert_string_equal(b->errors, "err\n");
	boot_free(b);
}

static void what_cannot_start(_unused_ void **state)
{
	static const struct {
		const char *command, *user;
		int status;
	} cases[] = { { "nosuch", NULL, 127 },
		      { "/etc/passwd", NULL, 126 },
		      { "sh", "nobody", 125 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[] = { word(cases[i].command), NULL };
		struct boot *b = boot_new(argv);

		b->guest.user = cases[i].user;
		boot_run(b);
		assert_int_equal(b->last.kind, VM_GUEST_FAILED);
		assert_int_equal(b->last.status, cases[i].status);
		assert_non_null(strstr(b->last.text, cases[i].user ? "nobody" : cases[i].command));
		assert_false(b->started);
		boot_free(b);
	}
}

/* The balloon fills while the command runs. */
static void memory_is_taken(_unused_ void **state)
{
	char *argv[] = SHELL(
		"free() { busybox awk '/^MemFree/ { print int($2 / 1024) }' /proc/meminfo; };"
		" n=0; while [ $(free) -gt 60 ] && [ $n -lt 300 ]; do busybox usleep 100000; "
		"n=$((n + 1)); done;"
		" [ $(free) -le 60 ] || exit 1; exit 3");
	struct boot *b = boot_new(argv);

	b->vm.balloon = true;
	b->wish = 80 << 20;
	boot_run(b);
	exited(b, 3);
	assert_int_equal(b->memory.total, 128 << 20);
	assert_true(b->memory.available < 128 << 20);
	assert_int_equal(b->memory.ballooned, 48 << 20);
	boot_free(b);
}

/* What the guest frees by itself goes back after some seconds (page_reporting of Linux: 2). */
static void freed_memory_goes_back(_unused_ void **state)
{
	char *argv[] = SHELL("busybox dd if=/dev/zero of=/dev/shm/f bs=1M count=40 2>/dev/null;"
			     " busybox rm /dev/shm/f; busybox sleep 8");
	struct boot *b = boot_new(argv);

	b->vm.balloon = true;
	boot_run(b);
	exited(b, 0);
	assert_int_equal(b->memory.ballooned, 0);
	assert_true(b->memory.reported >= 16 << 20);
	boot_free(b);
}

/* More than all the rings and pipes on the way hold, there and back. */
static void much_through_cat(_unused_ void **state)
{
	char *argv[] = { word("busybox"), word("cat"), NULL };
	struct boot *b = boot_new(argv);
	size_t len = 2 << 20;
	char *data = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (char)('!' + (i * 7 + i / 93) % 90);
	data[len] = '\0';
	b->input = data;
	boot_run(b);
	exited(b, 0);
	assert_int_equal(b->output_len, len);
	assert_memory_equal(b->output, data, len);
	free(data);
	boot_free(b);
}

static void terminal(_unused_ void **state)
{
	char *argv[] = SHELL(
		"busybox tty; busybox stty size; read line; echo got $line; echo x >/dev/stdout");
	struct boot *b = boot_new(argv);

	b->guest.tty = true;
	b->guest.rows = 31;
	b->guest.cols = 97;
	b->input = "typed\n";
	boot_run(b);
	exited(b, 0);
	assert_non_null(strstr(b->output, "/dev/pts/0\r\n"));
	assert_non_null(strstr(b->output, "31 97\r\n"));
	assert_non_null(strstr(b->output, "got typed\r\nx\r\n"));
	boot_free(b);
}

static void another_user(_unused_ void **state)
{
	char *argv[] = SHELL("busybox id -u; busybox id -G; echo $HOME; echo again >/dev/stdout;"
			     " ulimit -n; pwd");
	const struct vm_guest_rlimit limit = { 7, 321, 321 }; /* RLIMIT_NOFILE */
	struct boot *b = boot_new(argv);

	b->guest.user = "user";
	b->guest.cwd = "/tmp";
	b->guest.rlimits = &limit;
	b->guest.nrlimits = 1;
	boot_run(b);
	exited(b, 0);
	assert_string_equal(b->output, "1000\n1000 2000\n/home/u\nagain\n321\n/tmp\n");
	boot_free(b);
}

static void signalled(_unused_ void **state)
{
	char *argv[] = { word("busybox"), word("sleep"), word("1000"), NULL };
	struct boot *b = boot_new(argv);

	b->signal = SIGTERM;
	boot_run(b);
	exited(b, 128 + SIGTERM);
	boot_free(b);
}

static void nobody_reads(_unused_ void **state)
{
	char *argv[] = { word("busybox"), word("yes"), NULL };
	struct boot *b = boot_new(argv);

	b->close_output = true;
	boot_run(b);
	exited(b, 128 + SIGPIPE);
	boot_free(b);
}

static void volume(_unused_ void **state)
{
	char *argv[] = SHELL("busybox cat /data/etc/group; echo x >/data/file || echo read-only");
	const struct vm_guest_volume v = { "v0", "/data", true };
	struct boot *b = boot_new(argv);

	b->fs[1] = (struct vm_fs){ .tag = "v0", .serve = fake_serve, .ctx = &b->fake };
	b->vm.nfs = 2;
	b->guest.volumes = &v;
	b->guest.nvolumes = 1;
	boot_run(b);
	exited(b, 0);
	assert_non_null(strstr(b->output, "extra:x:2000:user\nread-only\n"));
	boot_free(b);
}

/* A kernel without the PVH note is entered in 64-bit mode, as one with it is. */
static void long_mode_entry(_unused_ void **state)
{
	char *argv[] = SHELL("echo here");
	struct boot *b = boot_new(argv);
	struct stat st;
	int fd = memfd_create("kernel", MFD_CLOEXEC);
	char *p;
	unsigned notes = 0;

	assert_ok(fstat(b->kernel, &st));
	p = malloc((size_t)st.st_size);
	assert_int_equal(fd_pread_full(b->kernel, p, (size_t)st.st_size, 0), st.st_size);
	for (off_t i = 0; i + 16 < st.st_size; i += 4) {
		if (memcmp(p + i, "\4\0\0\0", 4) == 0 &&
		    memcmp(p + i + 8, "\22\0\0\0Xen", 8) == 0) {
			p[i + 12] = 'Y';
			notes++;
		}
	}
	assert_int_equal(notes, 1);
	assert_ok(fd_pwrite_full(fd, p, (size_t)st.st_size, 0));
	free(p);
	fd_close(b->kernel);
	b->kernel = fd;
	boot_run(b);
	exited(b, 0);
	assert_string_equal(b->output, "here\n");
	boot_free(b);
}

/*
 * Two vCPUs, memory above 4 GiB, the entropy device, and all of the jail; in a child, since that is
 * one way.
 */
static int jailed_child(void)
{
	char *argv[] =
		SHELL("busybox nproc; busybox awk '/MemTotal/{print ($2>3500000)}' /proc/meminfo;"
		      " busybox cat /sys/class/misc/hw_random/rng_current");
	struct boot *b = boot_new(argv);

	b->vm.vcpus = 2;
	b->vm.memory = UINT64_C(4) << 30;
	b->vm.rng = true;
	b->jail = true;
	boot_run(b);
	return b->done && b->last.status == 0 && strcmp(b->output, "2\n1\nvirtio_rng.0\n") == 0 ?
		       0 :
		       1;
}

static void jailed(_unused_ void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(jailed_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Runs the guest in a child; whether all was as it should be. */
static int union_child(struct union_fixture *f, bool jail)
{
	char *argv[] = SHELL(
		"busybox mkdir /new && echo kept >/new/file && busybox chown 5:6 /new/file && "
		"busybox chmod 4751 /new/file && busybox ln -s file /new/link && "
		"busybox mkfifo /new/fifo && "
		"busybox mv /new/file /new/moved && busybox truncate -s 7 /new/moved && "
		"busybox stat -c '%u %g %s %a' /new/moved && echo more >>/gone && "
		"busybox rm /gone && ! busybox cat /gone 2>/dev/null && busybox ls -A /new");
	struct boot *b = boot_new(argv);
	int r;

	b->fs[0] = (struct vm_fs){ .tag = "root", .serve = union_serve, .ctx = f->conn };
	b->jail = jail;
	b->folders[0].fd = f->cfg.upper_fd;
	b->folders[1].fd = f->cfg.work_fd;
	b->folders[2] = (struct vm_folder){ f->dir, true }; /* objects, which it opens itself */
	b->nfolders = ARRAY_SIZE(b->folders);
	boot_run(b);
	r = b->done && b->last.status == 0 &&
			    strcmp(b->output, "5 6 7 4751\nfifo\nlink\nmoved\n") == 0 ?
		    0 :
		    1;
	if (r)
		print_message("# status %d: %s%s%s\n", b->last.status, b->last.text, b->output,
			      b->errors);
	boot_free(b);
	return r;
}

/* The root is a union: what the guest writes is in its top. */
static void union_root(bool jail)
{
	struct union_fixture f;
	struct stat st;
	int status;
	pid_t pid;

	union_init(&f, jail ? 65534 : 0);
	pid = fork();
	if (pid == 0)
		_exit(union_child(&f, jail));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* Not a setuid file of somebody else's here, whatever it is in the guest. */
	assert_ok(fstatat(f.dir, "upper/new/moved", &st, 0));
	assert_int_equal(st.st_uid, jail ? 65534 : 0);
	assert_int_equal(st.st_mode & 06000, 0);
	assert_int_equal(st.st_size, 7);
	union_done(&f);
	temp_close(f.path, f.dir);
}

static void union_plain(_unused_ void **state)
{
	union_root(false);
}

static void union_jailed(_unused_ void **state)
{
	union_root(true);
}

/* One argument: only the tests whose names match it. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status), cmocka_unit_test(what_cannot_start),
		cmocka_unit_test(much_through_cat),  cmocka_unit_test(terminal),
		cmocka_unit_test(another_user),	     cmocka_unit_test(signalled),
		cmocka_unit_test(nobody_reads),	     cmocka_unit_test(volume),
		cmocka_unit_test(long_mode_entry),   cmocka_unit_test(jailed),
		cmocka_unit_test(union_plain),	     cmocka_unit_test(union_jailed),
		cmocka_unit_test(memory_is_taken),   cmocka_unit_test(freed_memory_goes_back),
	};
	char why[256];

	signal(SIGPIPE, SIG_IGN);
	if (vm_probe(why, sizeof(why)) != VM_PROBE_OK) {
		printf("1..0 # SKIP %s\n", why);
		return 0;
	}
	if (!getenv("STRATA_KERNEL") || !getenv("STRATA_INIT")) {
		printf("1..0 # SKIP no STRATA_KERNEL, STRATA_INIT: see tests/microvm.bats\n");
		return 0;
	}
	if (access("/bin/busybox", X_OK) < 0) {
		printf("1..0 # SKIP no busybox\n");
		return 0;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("microvm/linux", tests, NULL, NULL);
}
