/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm: our own virtual machine monitor on KVM (Linux Documentation/virt/kvm/api.rst).
 *
 * The life of a VM: vm_new() makes the KVM vm, its memory (the kernel's segments in place), irqchip, vCPUs and the
 * devices it is told of; vm_run() runs the vCPU threads until the guest resets or powers off, or vm_stop() is called
 * from another thread; vm_free(). vm_probe() says beforehand whether this KVM can run an unmodified kernel.
 *
 * Threads: one per vCPU, one per device; the caller's thread waits in vm_run(). vCPU threads touch only KVM and device
 * registers under the device's lock. Everything of the guest goes through mem_at() (virtio/virtio.h).
 *
 * The guest's side (microvm/guest/): strata-init, started from the initramfs that vm_new() makes of it, talks over the
 * console port "strata.control"; microvm/guest/protocol.h has the messages.
 */
#ifndef MICROVM_MICROVM_H
#define MICROVM_MICROVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- can this KVM run Linux? ---- */

enum vm_probe_result { VM_PROBE_OK, VM_PROBE_NO_KVM, VM_PROBE_CANNOT };
/* Runs a guest of a few dozen instructions, at most 2 s. @why gets one line. */
enum vm_probe_result vm_probe(char *why, size_t size);

/* ---- a machine ---- */

typedef ssize_t vm_fs_serve_fn(void *ctx, const struct iovec *in, int nin, const struct iovec *out, int nout);

struct vm_fs {
	const char *tag; /* "/dev/root" is the root, others are volumes */
	vm_fs_serve_fn *serve;
	void *ctx;
};

struct vm_port {
	const char *name;
	int in_fd, out_fd;
};

struct vm_config {
	int kernel_fd;		/* ELF vmlinux with a PVH note, or with a 64-bit entry */
	int init_fd;		/* strata-init, becomes /init of the initramfs; -1 = no initramfs */
	const char *cmdline;	/* added to the machine's own */
	uint64_t memory;	/* bytes, at least 32 MiB */
	unsigned vcpus;		/* 1..32 */
	const struct vm_fs *fs;
	size_t nfs;
	int console_out;	/* where hvc0 goes (the kernel's messages), -1 = dropped */
	const struct vm_port *ports; /* named console ports */
	size_t nports;
	bool trace;		/* count exits by reason */
};

struct vm_stats {
	uint64_t exits[64];  /* by KVM_EXIT_ reason, to user space */
	uint64_t marks[16];  /* CLOCK_MONOTONIC ns at which the guest wrote n to the mark port; 0 = not yet */
	uint64_t started_ns; /* before the first KVM_RUN */
};

enum vm_end { VM_END_RESET, VM_END_POWEROFF, VM_END_STOPPED, VM_END_CRASHED };

struct vm;
int vm_new(const struct vm_config *cfg, struct vm **ret);
/* *@ret says how it ended. -errno when it could not be started. */
int vm_run(struct vm *v, enum vm_end *ret);
/* From any thread or signal handler context: ends vm_run(). */
void vm_stop(struct vm *v);
void vm_resize(struct vm *v, unsigned port, unsigned rows, unsigned cols);
const struct vm_stats *vm_stats(const struct vm *v);
void vm_free(struct vm *v);

/* ---- the jail ---- */

struct vm_jail {
	uid_t uid;
	gid_t gid;
	const int *keep_fds; /* all others are closed */
	size_t nkeep;
};
/*
 * Before vm_run(), after all descriptors are open: own namespaces, an empty root, no capabilities, no_new_privs, and
 * the seccomp filter that later threads narrow. One way.
 */
int vm_jail(const struct vm_jail *j);

#endif
