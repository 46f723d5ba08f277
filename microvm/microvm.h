/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm: our own virtual machine monitor on KVM (Linux Documentation/virt/kvm/api.rst).
 *
 * The life of a VM: vm_new() makes the KVM vm, its memory (the kernel's segments in place), vCPUs
 * and the devices it is told of; vm_jail() locks the process in; vm_run() runs the vCPU threads
 * until the guest resets or powers off, or vm_stop() is called from another thread; vm_free().
 * A machine that ran until vm_config.stop_mark can be saved by vm_snapshot_save() instead of freed
 * at once; vm_config.snapshot begins another there. vm_probe() says beforehand whether this KVM can
 * run an unmodified kernel. Descriptors in a config are the caller's; those that a device reads or
 * writes are open until vm_free(), but for disks and network, which are duplicated.
 *
 * Threads: one per vCPU, one for each device, two per file system (their serve functions are called
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

#include "microvm/guest_session.h" /* further commands in the guest */
#include "microvm/snapshot.h"	   /* a machine in a file */
#include "microvm/stats.h"	   /* what was counted while a machine ran */

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
#define VM_MEMORY_MAX  (UINT64_C(1) << 40)
#define VM_FS_MAX      16
#define VM_PORTS_MAX   15
#define VM_DISKS_MAX   4

typedef ssize_t vm_fs_serve_fn(void *ctx, const struct iovec *in, int nin, const struct iovec *out,
			       int nout);

struct vm_fs {
	const char *tag;       /* at most 36 bytes; by it the guest's config names it */
	vm_fs_serve_fn *serve; /* NULL: its place is kept for a snapshot, and nobody serves it */
	void *ctx;
	bool root;	  /* VM_END_POWEROFF when its driver lets it go: that guest is at its end */
	unsigned threads; /* that call serve; 0 = 2 */
	uint64_t dax;	  /* bytes of its DAX window, a multiple of VM_DAX_UNIT; one may have it */
};

/* As struct virtio_console_port (virtio/virtio.h) has them. */
struct vm_port {
	const char *name;
	int in_fd, out_fd;
	bool ordered;
};

/* A network device: Ethernet frames over a stream socket, as virtio/devices.h has them. */
struct vm_net {
	int fd;
	uint8_t mac[6];
	uint16_t mtu;  /* 68..65535 */
	uint64_t rate; /* bytes a second in each direction, 0 = any */
};

/* A raw file, in the guest /dev/vda, vdb... in their order; as struct virtio_blk_config. */
struct vm_disk {
	int fd; /* duplicated */
	bool rdonly;
	uint64_t rate; /* bytes a second, read and written, 0 = any */
};

/* Stream sockets between guest and host, as struct virtio_vsock_config (virtio/devices.h). */
struct vm_vsock {
	int listen_fd; /* -1 = nobody connects to the guest */
	int (*connect)(void *ctx, uint32_t port); /* from a thread of its own; NULL = all refused */
	void *ctx;
};

/*
 * What a VM's memory is made of. With huge pages (2 MiB) it is faster and shared with nobody:
 * kernel, init and snapshot are copied into it, where small pages map them. THP: such as the kernel
 * has at hand (madvise(2)). HUGETLB: those that were set apart (vm.nr_hugepages), or -ENOMEM.
 */
enum vm_pages { VM_PAGES_SMALL, VM_PAGES_THP, VM_PAGES_HUGETLB };

struct vm_config {
	int kernel_fd;	/* ELF vmlinux with a 64-bit entry (Linux), or a PVH note */
	int init_fd;	/* strata-init, to be /init of the initramfs; -1 = none */
	int modules_fd; /* an archive of modules, to go with it; -1 = none */
	bool acpi; /* the kernel learns of its machine by ACPI, not by MP table and command line */
	const char *cmdline; /* added to the machine's own; NULL = nothing */
	uint64_t memory;     /* bytes, VM_MEMORY_MIN to _MAX; rounded up to 2 MiB */
	enum vm_pages pages; /* -EINVAL: HUGETLB with a balloon, which takes small pages */
	unsigned vcpus;	     /* 1..VM_VCPUS_MAX */
	const struct vm_fs *fs;
	size_t nfs;
	int console_out;	     /* where hvc0 goes (the kernel's messages), -1 = dropped */
	uint64_t console_max;	     /* bytes of it in all, what comes behind is dropped; 0 = any */
	const struct vm_port *ports; /* named console ports */
	size_t nports;
	bool rng;     /* a virtio-rng even where the CPU has RDRAND */
	bool balloon; /* a virtio-balloon: what the guest frees goes back to the host */
	const struct vm_disk *disks;
	size_t ndisks;
	const struct vm_net *net;     /* NULL = none */
	const struct vm_vsock *vsock; /* NULL = none */
	bool verbose;		      /* the kernel's messages, not only its last words */
	bool trace; /* the guest's marks are taken in time, an exit each (vm_stats.marks) */
	/*
	 * Begins where the machine of a snapshot stood, in place of a kernel and its init; all else
	 * is as it was when that was made. -ESTALE: not of this machine; -EBADMSG: damaged.
	 */
	const struct vm_snapshot *snapshot;
	/*
	 * Called by the thread in vm_run(), when the guest has begun: for what that does not
	 * wait for yet. Less than 0 ends vm_run() with it. NULL = nothing.
	 */
	int (*begun)(void *ctx);
	void *begun_ctx;
	unsigned stop_mark; /* ends vm_run() at this mark of the guest's (VM_END_MARK); 0 = none */
};

/*
 * Whether @fd may be such a kernel, by its headers; @pvh: with the note, which QEMU wants. -ENOEXEC
 * with a text.
 */
int vm_kernel_check(int fd, bool pvh);

enum vm_end { VM_END_RESET, VM_END_POWEROFF, VM_END_STOPPED, VM_END_CRASHED, VM_END_MARK };

struct vm;
int vm_new(const struct vm_config *cfg, struct vm **ret);
/* Once, or again after vm_again(). *@ret says how it ended. -errno when it could not be started. */
int vm_run(struct vm *v, enum vm_end *ret);
/* From any thread or a signal handler: ends vm_run(). */
void vm_stop(struct vm *v);
/* One line about VM_END_CRASHED, else "". */
const char *vm_why(const struct vm *v);
const char *vm_cmdline(const struct vm *v);
const struct vm_stats *vm_stats(const struct vm *v);
void vm_free(struct vm *v);

/*
 * The DAX window: files that the guest sees as memory, at most VM_DAX_MAX bytes of it. No device
 * may use it as memory and nothing here touches it, so what becomes of a file under a mapping is
 * the guest's trouble alone: a page that is not there, or may not be written to, ends vm_run() with
 * VM_END_CRASHED, and no signal comes. From the threads that serve its file system, and between
 * vm_new() and vm_free(). @at: from the window's start; all are multiples of a page, and inside,
 * else -EINVAL. unmap: what was there is gone, also where nothing was.
 */
#define VM_DAX_UNIT (UINT64_C(2) << 20)
#define VM_DAX_MAX  (UINT64_C(1) << 36)
int vm_dax_map(struct vm *v, int fd, uint64_t off, uint64_t at, uint64_t len, bool write);
int vm_dax_unmap(struct vm *v, uint64_t at, uint64_t len);

/*
 * Asks the guest to do with @bytes of its memory; it takes more when it runs out. While it runs,
 * from any thread. -EOPNOTSUPP without vm_config.balloon, -EINVAL for more than it has.
 */
int vm_memory_wish(struct vm *v, uint64_t bytes);

struct vm_memory_stats {
	uint64_t total;	    /* of the machine, bytes; and so are all of these */
	uint64_t ballooned; /* taken from the guest at this moment */
	uint64_t reported;  /* freed by the guest and given back to the host, in all */
	uint64_t available; /* the guest's own estimate when it last told, UINT64_MAX = not yet */
};
/*
 * What is known now, and has the guest asked for newer figures. -EOPNOTSUPP without
 * vm_config.balloon.
 */
int vm_memory_stats(struct vm *v, struct vm_memory_stats *ret);

/* ---- the jail ---- */

/* A folder, or a single file, whose names are the process' to open. */
struct vm_folder {
	int fd;
	bool rdonly;
};

struct vm_jail {
	uid_t uid;
	gid_t gid;
	const struct vm_folder *folders;
	size_t nfolders;
};
/*
 * Between vm_new() and vm_run(), after all descriptors are open, while there is one thread: own
 * mount, net, ipc and uts namespaces, an empty root, no capabilities, no core file, a limit of
 * threads, no_new_privs, Landlock where the host offers it (no name but those under @j's folders)
 * and a seccomp filter (microvm/seccomp.c: what is not listed fails with EPERM, what only an
 * attacker calls kills), which each thread of the machine narrows further. One way. What this host
 * does not let us have is named in @weak, "" when nothing: one line, for the log. Privileges that
 * could not be given up are an error.
 */
int vm_jail(const struct vm_jail *j, char *weak, size_t size);
/* What Landlock of this host the jail uses: its ABI, or -EOPNOTSUPP (before Linux 5.19, or off). */
int vm_landlock_abi(void);

/*
 * Narrows the calling thread to what one of kind @name has to do (microvm/jail_thread.c); one way.
 * The threads of a machine do it by themselves; "control" is for the caller's, who hears init and
 * the supervisor while another is in vm_run(). Without vm_jail() before it does nothing. -ENOSYS:
 * no such kind.
 */
int vm_jail_thread(const char *name);

/*
 * The initramfs that vm_new() makes of @init_fd and @modules_fd (-1 = none), as a file in memory,
 * for another VMM: its descriptor, or -errno with a text.
 */
int vm_initramfs_file(int init_fd, int modules_fd);

#include "microvm/guest_control.h" /* the guest's init, and what it is to do */

#endif
