/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-vmm: one microVM with its file server inside. It is handed everything as descriptors
 * (engine/vmm.h), jails itself before the guest's first instruction, and ends with its guest.
 */
#include "engine/vmm.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/checkpoint.h"
#include "engine/vmm_files.h"
#include "engine/vmm_go.h"
#include "engine/vmm_guest.h"
#include "engine/vmm_hearer.h"
#include "engine/vmm_machine.h"
#include "engine/vmm_make.h"
#include "engine/vmm_qemu.h"
#include "engine/vmm_stats.h"
#include "engine/vmm_trace.h"
#include "microvm/microvm.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define CONFIG_MAX	(8u << 20)
#define ARRIVAL_THREADS 8 /* most of them may wait for the network */

struct vmm {
	struct run_spec *spec;
	struct vmm_files *files;
	struct vm *vm;
	struct vmm_qemu *qemu; /* in its place */
	struct vm_control *control;
	int port_fd; /* the guest's end of the control port */
	struct vmm_hearer hearer;
	bool opened; /* its files */
	enum vm_end end;
	int run_result;
	struct vmm_trace trace;
	bool arriving; /* what its root has may still be asked for */
	bool warm;     /* it begins from the snapshot */
	bool make;     /* it is for the snapshot */
	bool rehearse; /* it is for those who will begin from that */
	bool restore;  /* it goes on from its own */
	struct checkpoint_note note;
	int checkpoint_fd; /* what to save it to, -1 = nobody has asked */
	bool goes_on;	   /* ... and then runs on */
	bool saved;	   /* it ends, to go on later */
	struct vm_snapshot snapshot;
	bool told; /* the monitor knows how the command fared */
};

/* ---- the machine ---- */

/* What the host has at @port, for the guest's vsock; from the one thread of that device. */
static int port_connect(_unused_ void *ctx, uint32_t port)
{
	int32_t answer = -EIO;
	size_t nfds = 0;
	int fd = -1;

	if (send(VMM_PORTS, &port, sizeof(port), MSG_NOSIGNAL) != sizeof(port) ||
	    fd_recv(VMM_PORTS, &answer, sizeof(answer), &fd, 1, &nfds) != sizeof(answer))
		answer = -EIO;
	if (answer < 0 || nfds != 1) {
		fd_close(fd);
		return answer < 0 ? answer : -EIO;
	}
	return fd;
}

static void tell_monitor(struct vmm *v, enum vmm_kind kind, int value, const char *text)
{
	struct vmm_message m = { .kind = kind, .value = value };

	snprintf(m.text, sizeof(m.text), "%s", text);
	send(VMM_CONTROL, &m, sizeof(m), MSG_NOSIGNAL);
	v->told = v->told || kind == VMM_FAILED || kind == VMM_EXITED || kind == VMM_SAVED;
}

static int open_files(struct vmm *v)
{
	int r = vmm_files_open(v->files, v->restore ? &v->note.agreed : NULL, v->vm);

	v->opened = true;
	return r;
}

static int guest_begun(void *ctx);

static int new_machine(struct vmm *v)
{
	bool layout = v->restore ? v->note.warm : v->warm;
	struct vmm_machine m = { .kind = layout ? VMM_WARM : VMM_BOOTS,
				 .snapshot = v->warm || v->restore ? &v->snapshot : NULL,
				 .port_fd = v->port_fd,
				 .serve = vmm_files_serve,
				 .ctx = vmm_files_ctx,
				 .end = vmm_files_end,
				 .arg = v->files,
				 .threads = v->arriving ? ARRIVAL_THREADS : 0,
				 .connect = port_connect,
				 .begun = guest_begun,
				 .begun_ctx = v };
	int r = v->spec->emulated ? vmm_qemu_new(v->spec, &m, &v->qemu) :
				    vmm_machine_new(v->spec, &m, &v->vm);

	if (r >= 0 || !v->warm)
		return r;
	/* What is wrong with it costs a boot; the next one gets another. */
	tell_monitor(v, VMM_COLD, -r, err_take(r));
	v->warm = false;
	m.kind = VMM_BOOTS;
	m.snapshot = NULL;
	return vmm_machine_new(v->spec, &m, &v->vm);
}

static int open_control(struct vmm *v)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("control port");
	v->port_fd = pair[0];
	return vm_control_new(pair[1], &v->control);
}

static int load_spec(struct vmm *v)
{
	_free_ char *text = NULL;
	_json_ json_t *j = NULL;
	size_t len;
	int r = fd_read_all(VMM_CONFIG, CONFIG_MAX, &text, &len);

	if (r >= 0)
		r = json_parse(text, len, "config.json", &j);
	return r < 0 ? r : spec_from_json(j, &v->spec);
}

static int jail(const struct vmm *v)
{
	char weak[256] = "";
	_free_ struct vm_folder *folders = mem_new(VMM_FILES_FOLDERS(v->spec), sizeof(*folders));
	struct vm_jail j = { .uid = vmm_uid(v->spec), .gid = vmm_uid(v->spec) };
	int r;

	if (!folders)
		return -ENOMEM;
	j.folders = folders;
	j.nfolders = vmm_files_folders(v->spec, folders);
	r = vm_jail(&j, weak, sizeof(weak));

	if (r >= 0 && weak[0])
		log_warn("%s", weak);
	return r;
}

/* ---- while it runs ---- */

static void stop_machine(void *ctx)
{
	struct vmm *v = ctx;

	vmm_files_end(v->files);
	if (v->qemu)
		vmm_qemu_stop(v->qemu);
	else
		vm_stop(v->vm);
}

static int memory_wish(struct vmm *v, uint64_t bytes)
{
	return v->qemu ? vmm_qemu_memory(v->qemu, bytes) : vm_memory_wish(v->vm, bytes);
}

static void tell_stats(const struct vmm *v, int fd)
{
	struct device_stats d;

	vmm_stats_take(v->spec, v->vm, v->qemu, v->files, &d);
	send(fd, &d, sizeof(d), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* All but what ends the machine. */
static void do_message(void *ctx, const struct vmm_message *m, int fd)
{
	struct vmm *v = ctx;

	if (m->kind == VMM_SIGNAL)
		vm_control_signal(v->control, m->value);
	else if (m->kind == VMM_RESIZE)
		vm_control_resize(v->control, m->rows, m->cols);
	else if (m->kind == VMM_STATS && fd >= 0)
		tell_stats(v, fd);
	else if (m->kind == VMM_MEMORY && m->value > 0 &&
		 memory_wish(v, (uint64_t)m->value << 20) < 0)
		log_warn("%s", err_take(-EIO));
}

/* 0, or -EPIPE: the supervisor has gone, and the guest goes with it. */
static int hear_monitor(void *ctx)
{
	struct vmm *v = ctx;
	struct vmm_message m;
	size_t nfds = 0;
	int fd = -1;
	ssize_t n = fd_recv(VMM_CONTROL, &m, sizeof(m), &fd, 1, &nfds);

	if (n != sizeof(m))
		return -EPIPE;
	if (m.kind == VMM_CHECKPOINT && nfds && v->vm && v->checkpoint_fd < 0) {
		v->checkpoint_fd = fd;
		v->goes_on = m.value == 1;
		vm_stop(v->vm);
		return 0;
	}
	do_message(v, &m, fd);
	fd_close(fd);
	return 0;
}

/* ENOENT and EACCES speak of the command, and of nothing else that may be missing or denied. */
static int failed_errno(const struct vm_guest_event *e)
{
	return e->status == 127 ? ENOENT : e->status == 126 ? EACCES : EIO;
}

/* With its last message the guest has synced and waits for the power to go (formats/guest.md). */
static void hear_guest(void *ctx, const struct vm_guest_event *e)
{
	struct vmm *v = ctx;

	switch (e->kind) {
	case VM_GUEST_STARTED:
		vmm_files_started(v->files);
		if (v->qemu)
			vmm_qemu_started(v->qemu);
		tell_monitor(v, VMM_STARTED, 0, "");
		break;
	case VM_GUEST_FAILED:
		tell_monitor(v, VMM_FAILED, failed_errno(e), e->text);
		stop_machine(v);
		break;
	case VM_GUEST_EXITED:
		tell_monitor(v, VMM_EXITED, e->status, "");
		stop_machine(v);
		break;
	}
}

/* Before the machine is freed, and after the balloon has told. */
static void trace_take(struct vmm *v)
{
	struct vm_memory_stats m = { 0 };

	if (v->spec->balloon && vm_memory_stats(v->vm, &m) < 0)
		err_clear();
	if (spec_has_eth0(v->spec) && vm_net_stats(v->vm, &v->trace.net) < 0)
		err_clear();
	for (size_t i = 0; i < v->spec->ndisks; i++)
		vm_disk_stats(v->vm, i, &v->trace.disks[i]);
	vm_vsock_stats(v->vm, &v->trace.vsock);
	v->trace.reported = m.reported;
	v->trace.stats = *vm_stats(v->vm);
}

static const char *end_word(const struct vmm *v)
{
	return v->end == VM_END_CRASHED	 ? vm_why(v->vm) :
	       v->end == VM_END_POWEROFF ? "shut down" :
					   "reset";
}

static void tell_end(struct vmm *v)
{
	char text[256];

	if (v->vm)
		trace_take(v);
	if (v->told)
		return;
	if (v->run_result < 0)
		snprintf(text, sizeof(text), "%s", err_take(v->run_result));
	else
		snprintf(text, sizeof(text), "the guest ended before its command: %s", end_word(v));
	log_err("%s", text);
	tell_monitor(v, VMM_FAILED, v->run_result < 0 ? -v->run_result : EIO, text);
}

static int tell_guest(struct vmm *v)
{
	struct vm_guest_identity identity = { 0 };
	int r = v->warm ? vmm_guest_identity(v->spec, vm_stats(v->vm)->loaded_ns, &identity) : 0;

	if (r >= 0)
		r = vmm_guest_config(v->spec, v->warm ? &identity : NULL, v->control);
	explicit_bzero(&identity, sizeof(identity));
	return r;
}

/* In place of a config: the guest knows what it does. */
static int tell_restored(struct vmm *v)
{
	struct vm_guest_identity identity;
	int r = vmm_guest_identity(v->spec, vm_stats(v->vm)->loaded_ns, &identity);

	if (r >= 0)
		r = vmm_guest_restored(v->spec, &v->snapshot.key, &identity, v->control);
	explicit_bzero(&identity, sizeof(identity));
	vmm_files_started(v->files);
	if (r >= 0)
		tell_monitor(v, VMM_STARTED, 0, "");
	return r;
}

/* The machine stands still, its end is known. 0: it is in the file. */
static int save(struct vmm *v)
{
	const struct checkpoint_note note = { .version = CHECKPOINT_VERSION,
					      .warm = v->restore ? v->note.warm : v->warm,
					      .agreed = vmm_files_agreed(v->files) };
	const struct vm_snapshot s = { v->checkpoint_fd, checkpoint_key(v->spec->id), &note,
				       sizeof(note) };
	int r = vm_snapshot_save(v->vm, &s);

	if (r < 0)
		tell_monitor(v, VMM_UNSAVED, -r, err_take(r));
	else
		tell_monitor(v, v->goes_on ? VMM_KEPT : VMM_SAVED, 0, "");
	v->checkpoint_fd = fd_close(v->checkpoint_fd);
	return r;
}

/* It was stopped to be saved. What could not be saved runs on; so does what was to. */
static bool runs_on(struct vmm *v)
{
	if (v->checkpoint_fd < 0 || v->told || v->end != VM_END_STOPPED || v->run_result < 0)
		return false;
	if (save(v) < 0)
		return true;
	v->saved = !v->goes_on;
	return v->goes_on && vmm_await_go(VMM_CONTROL, do_message, v);
}

/* The guest runs, and waits for none of this yet. */
static int guest_begun(void *ctx)
{
	struct vmm *v = ctx;
	int r = vmm_hearer_begin(&v->hearer);

	return r < 0 || v->opened ? r : open_files(v);
}

/* Until it ends, or stands still to be saved. */
static int run_once(struct vmm *v)
{
	int r = v->qemu ? vmm_hearer_begin(&v->hearer) : 0;

	if (r < 0)
		return r;
	v->end = VM_END_POWEROFF; /* as QEMU's ends are called */
	v->run_result = v->qemu ? vmm_qemu_run(v->qemu) : vm_run(v->vm, &v->end);
	vmm_hearer_end(&v->hearer);
	return 0;
}

static int run(struct vmm *v)
{
	int r = jail(v);

	v->hearer = (struct vmm_hearer){ .control = v->control,
					 .guest = hear_guest,
					 .monitor_fd = VMM_CONTROL,
					 .monitor = hear_monitor,
					 .stop = stop_machine,
					 .ctx = v,
					 .ended_fd = -1 };
	/* What goes on from its own snapshot keeps that until all is well. */
	if (r >= 0 && (v->qemu || v->restore))
		r = open_files(v);
	if (r >= 0)
		r = v->restore ? tell_restored(v) : tell_guest(v);
	if (r >= 0)
		r = run_once(v);
	while (r >= 0 && runs_on(v)) {
		vm_again(v->vm);
		r = run_once(v);
	}
	if (r >= 0)
		tell_end(v);
	return r;
}

static void sync_files(struct vmm *v)
{
	vmm_files_end(v->files);
	vmm_qemu_free(v->qemu);
	vm_free(v->vm);
	if (v->saved)
		vmm_files_leave(v->files);
	vmm_files_free(v->files);
}

/* What we start is in our cgroup then, and the supervisor reaches it by our process group. */
static int wait_to_go(void)
{
	struct vmm_message m;

	if (setpgid(0, 0) < 0)
		return err_sys("process group");
	if (recv(VMM_CONTROL, &m, sizeof(m), 0) != sizeof(m) || m.kind != VMM_GO)
		return err(-EPIPE, "the supervisor has gone");
	return 0;
}

static int run_all(struct vmm *v)
{
	int r = open_control(v);

	if (r >= 0 && v->spec->emulated)
		r = wait_to_go();
	if (r >= 0 && v->restore)
		r = vm_snapshot_note(&v->snapshot, &v->note, sizeof(v->note));
	if (r >= 0 && v->restore && v->note.version != CHECKPOINT_VERSION)
		r = err(-ESTALE, "checkpoint: of another version of strata");
	if (r >= 0)
		r = vmm_files_new(v->spec, v->arriving, &v->files);
	if (r >= 0)
		r = new_machine(v);
	return r < 0 ? r : run(v);
}

/* "warm KEY", "make KEY", "rehearse KEY" or "restore KEY": what VMM_SNAPSHOT is, or nothing. */
static bool parse_args(struct vmm *v, int argc, char **argv)
{
	v->snapshot.fd = VMM_SNAPSHOT;
	v->arriving = streq(argv[argc - 1], "arriving");
	argc -= v->arriving;
	if (argc == 1)
		return true;
	v->make = argc == 3 && streq(argv[1], "make");
	v->rehearse = argc == 3 && streq(argv[1], "rehearse");
	v->warm = argc == 3 && streq(argv[1], "warm");
	v->restore = argc == 3 && streq(argv[1], "restore");
	return (v->make || v->rehearse || v->warm || v->restore) &&
	       digest_parse_hex(argv[2], strlen(argv[2]), &v->snapshot.key) == 0;
}

static int by_hand(void)
{
	fprintf(stderr, "strata-vmm is started by strata-monitor, not by hand\n");
	return 2;
}

int vmm_main(int argc, char **argv)
{
	struct vmm v = { .port_fd = -1, .checkpoint_fd = -1 };
	int r;

	if (!parse_args(&v, argc, argv))
		return by_hand();
	v.trace.process_ns = clock_ns();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	log_setup("strata-vmm", VMM_LOG, LOG_INFO);
	r = load_spec(&v);
	if (r < 0 && fcntl(VMM_MORE - 1, F_GETFD) < 0)
		return by_hand();
	if (r >= 0)
		r = v.make     ? vmm_make(v.spec, &v.snapshot.key) :
		    v.rehearse ? vmm_rehearse(v.spec, &v.snapshot.key) :
				 run_all(&v);
	if (r < 0 && (v.make || v.rehearse))
		log_err("%s", err_take(r));
	else if (r < 0)
		tell_monitor(&v, VMM_FAILED, -r, err_take(r));
	sync_files(&v);
	v.trace.freed_ns = clock_ns();
	if (r >= 0 && v.spec->trace && v.vm)
		vmm_trace_print(&v.trace, STDERR_FILENO);
	return r < 0;
}
