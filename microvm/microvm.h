/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm: our own virtual machine monitor on KVM (Linux Documentation/virt/kvm/api.rst).
 *
 * The life of a VM: vm_new() makes the KVM vm, its memory (the kernel's segments in place), vCPUs
 * and the devices it is told of; vm_jail() locks the process in; vm_run() runs the vCPU threads
 * until the guest resets or powers off, or vm_stop() is called from another thread; vm_free().
 * vm_probe() says beforehand whether this KVM can run an unmodified kernel. Descriptors in a config
 * are the caller's: what is kept is duplicated.
 *
 * Threads: one per vCPU, one for the console, two per file system (their serve functions are called
 * from these); the caller's thread waits in vm_run(). vCPU threads touch only KVM, the IOAPIC under
 * its lock, and device registers under the device's lock; no lock is taken under the IOAPIC's. All
 * of them block all signals but VM_KICK_SIGNAL, which is this room's own. Everything of the guest
 * goes through mem_at() (virtio/virtio.h).
 *
 * The guest's side (microvm/guest/): strata-init, started from the initramfs that vm_new() makes of
 * it, talks over the console port "strata.control" (docs/formats/guest.md). vm_control_ functions
 * are our end of that port.
 */
#ifndef MICROVM_MICROVM_H
#define MICROVM_MICROVM_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- can this KVM run Linux? ---- */

enum vm_probe_result { VM_PROBE_OK, VM_PROBE_NO_KVM, VM_PROBE_CANNOT };
/*
 * Runs a guest of a few dozen instructions: some ms, at most 2 s. @why gets one line, "" when it
 * can.
 */
enum vm_probe_result vm_probe(char *why, size_t size);

/* ---- a machine ---- */

#define VM_KICK_SIGNAL SIGRTMIN
#define VM_VCPUS_MAX   32
#define VM_MEMORY_MIN  (UINT64_C(32) << 20)
#define VM_FS_MAX      16
#define VM_PORTS_MAX   15

typedef ssize_t vm_fs_serve_fn(void *ctx, const struct iovec *in, int nin, const struct iovec *out,
			       int nout);

struct vm_fs {
	const char *tag; /* at most 36 bytes; by it the guest's config names it */
	vm_fs_serve_fn *serve;
	void *ctx;
	unsigned threads; /* that call serve; 0 = 2 */
};

/* As struct virtio_console_port (virtio/virtio.h) has them. */
struct vm_port {
	const char *name;
	int in_fd, out_fd;
	bool ordered;
};

struct vm_config {
	int kernel_fd;	     /* ELF vmlinux with a PVH note, or with a 64-bit entry */
	int init_fd;	     /* strata-init, to be /init of the initramfs; -1 = none */
	const char *cmdline; /* added to the machine's own; NULL = nothing */
	uint64_t memory;     /* bytes, at least VM_MEMORY_MIN; rounded up to 2 MiB */
	unsigned vcpus;	     /* 1..VM_VCPUS_MAX */
	const struct vm_fs *fs;
	size_t nfs;
	int console_out;	     /* where hvc0 goes (the kernel's messages), -1 = dropped */
	const struct vm_port *ports; /* named console ports */
	size_t nports;
	bool rng;     /* a virtio-rng even where the CPU has RDRAND */
	bool verbose; /* the kernel's messages, not only its last words */
};

struct vm_stats {
	uint64_t exits[64]; /* by KVM_EXIT_ reason, to user space; complete after vm_run() */
	/* CLOCK_MONOTONIC ns of the guest's first write of n to the mark port; 0 = not yet */
	uint64_t marks[16];
	uint64_t started_ns; /* before the first KVM_RUN */
};

enum vm_end { VM_END_RESET, VM_END_POWEROFF, VM_END_STOPPED, VM_END_CRASHED };

struct vm;
int vm_new(const struct vm_config *cfg, struct vm **ret);
/* Once. *@ret says how it ended. -errno when it could not be started. */
int vm_run(struct vm *v, enum vm_end *ret);
/* From any thread or a signal handler: ends vm_run(). */
void vm_stop(struct vm *v);
/* One line about VM_END_CRASHED, else "". */
const char *vm_why(const struct vm *v);
const char *vm_cmdline(const struct vm *v);
const struct vm_stats *vm_stats(const struct vm *v);
void vm_free(struct vm *v);

/* ---- the guest's init ---- */

#define VM_CONTROL_PORT "strata.control" /* both ways, ordered */
#define VM_STDIN_PORT	"strata.stdin"
#define VM_STDOUT_PORT	"strata.stdout"
#define VM_STDERR_PORT	"strata.stderr"

struct vm_guest_volume {
	const char *tag, *target; /* of a struct vm_fs; an absolute path in the guest */
	bool rdonly;
};

struct vm_guest_rlimit {
	unsigned resource; /* RLIMIT_ */
	uint64_t soft, hard;
};

/* What strata-init is to do. NULL and 0 are "not said". */
struct vm_guest_config {
	const char *root; /* the tag of the root file system */
	bool root_rdonly;
	char *const *argv, *const *env;
	const char *cwd, *user, *hostname; /* user: name or uid, optionally :group or :gid */
	bool tty;			   /* a terminal over stdin and stdout, no stderr */
	bool stdin_open;		   /* else the command reads /dev/null */
	unsigned rows, cols;
	const struct vm_guest_volume *volumes;
	size_t nvolumes;
	const struct vm_guest_rlimit *rlimits;
	size_t nrlimits;
	uint32_t pids; /* processes and threads of the command at most */
};

enum vm_guest_event_kind { VM_GUEST_STARTED, VM_GUEST_FAILED, VM_GUEST_EXITED };

struct vm_guest_event {
	enum vm_guest_event_kind kind;
	int error; /* FAILED: an errno of the guest's */
	/* EXITED: 0..255, 128 + signal; FAILED: 127 no such command, 126 not executable, or 125 */
	int status;
	char text[256]; /* FAILED: one printable line */
};

/*
 * Our end of the control port; never blocks. Its owner polls vm_control_fd() for
 * vm_control_events().
 */
struct vm_control;
/* Takes @fd, one end of a stream socket whose other end is both files of the port. */
int vm_control_new(int fd, struct vm_control **ret);
void vm_control_free(struct vm_control *c);
int vm_control_fd(const struct vm_control *c);
short vm_control_events(const struct vm_control *c);
int vm_control_config(struct vm_control *c,
		      const struct vm_guest_config *cfg); /* first of all, once */
int vm_control_signal(struct vm_control *c, int sig);
int vm_control_resize(struct vm_control *c, unsigned rows, unsigned cols);
/*
 * Sends what waits and gives the next event: 1, 0 = none yet, -EPIPE = the VM has gone, -EPROTO =
 * not our init.
 */
int vm_control_next(struct vm_control *c, struct vm_guest_event *ret);

/* ---- the jail ---- */

struct vm_jail {
	uid_t uid;
	gid_t gid;
};
/*
 * Between vm_new() and vm_run(), after all descriptors are open, while there is one thread: own
 * mount, net, ipc and uts namespaces, an empty root, no capabilities, no_new_privs and a seccomp
 * filter (microvm/seccomp.c: what is not listed fails with EPERM, what only an attacker calls
 * kills). One way. What this host does not let us have is named in @weak, "" when nothing: one
 * line, for the log. Privileges that could not be given up are an error.
 */
int vm_jail(const struct vm_jail *j, char *weak, size_t size);

#endif
