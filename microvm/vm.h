/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a machine and its parts. */
#ifndef MICROVM_VM_H
#define MICROVM_VM_H

#include "microvm/coalesced.h"
#include "microvm/ioapic.h"
#include "microvm/layout.h"
#include "microvm/microvm.h"
#include "virtio/virtio.h"
#include <linux/kvm.h>
#include <pthread.h>

#define VM_SOON_MAX 8

#define VM_LATE_MAX 32 /* threads that wait to be started: at most one of each device */

struct vcpu {
	struct vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	uint64_t exits[64];
};

struct errand {
	pthread_mutex_t turn; /* held by the vCPU whose it is; under a device's window lock */
	pthread_mutex_t lock; /* of what follows, the last one taken */
	pthread_cond_t done;
	int (*fn)(void *arg); /* NULL = none waits */
	void *arg;
	int result;
};

struct vm {
	int kvm_fd, fd;
	size_t run_size;
	struct mem mem;
	enum vm_pages pages; /* that it is made of */
	struct ioapic ioapic;
	struct coalesced coalesced;
	struct vcpu *vcpus;
	unsigned nvcpus;
	struct virtio_mmio *devices[VM_DEVICES_MAX];
	unsigned ndevices, gsi_first;
	struct virtio_mmio *console, *rng; /* of these, or NULL */
	struct virtio_mmio *root;	   /* of that vm_fs, or NULL */
	struct virtio_balloon *balloon;	   /* one of them, or NULL */
	struct virtio_net *net;		   /* the same */
	struct virtio_blk *disks[VM_DISKS_MAX];
	struct virtio_vsock *vsock; /* the same */
	/* What the guest reads in the devices' windows; NULL = KVM has no read-only memory. */
	uint8_t *windows;
	size_t windows_len;
	struct {
		uint8_t *hva;
		uint64_t len;
	} soon[VM_SOON_MAX];
	unsigned nsoon;
	int pagemap_fd; /* what of its memory is there (snapshot_touched.c); -1 = nobody asks */
	int unread_fd;	/* eventfd of the writes that nobody has to see; -1 = none yet */
	int end_fd;	/* eventfd: somebody has set end, an errand waits or a vCPU has ended */
	struct errand errand;
	/* Called when @fd is readable, once; of the thread in vm_run() alone, as errands are. */
	struct late {
		int fd;
		void (*fn)(void *arg);
		void *arg;
	} late[VM_LATE_MAX];
	unsigned nlate;
	_Atomic unsigned nrunning; /* vCPUs */
	_Atomic int end;	   /* an enum vm_end, -1 = running */
	char why[160];
	char cmdline[VM_CMDLINE_MAX];
	struct vm_stats stats;
	struct kvm_cpuid2 *cpuid; /* of vCPU 0 */
	unsigned stop_mark;
	int (*begun)(void *ctx); /* NULL: there is none */
	void *begun_ctx;
	uint64_t nexits; /* of all vCPUs so far; atomic */
};

/*
 * Sets how it ended, unless somebody has, and wakes vm_run(). Safe in a signal handler without a
 * text.
 */
void vm_ended(struct vm *v, enum vm_end end);
/* The same for VM_END_CRASHED, with the text. */
void vm_crashed(struct vm *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* devices.c: makes them on the bus of this machine. */
int vm_devices_new(struct vm *v, const struct vm_config *cfg);

/* snapshot.c: in place of kernel, init and boot. */
int vm_restore(struct vm *v, const struct vm_snapshot *s);

/* vcpu.c */
int vcpu_init(struct vcpu *c, struct vm *v, unsigned index, const struct kvm_cpuid2 *cpuid);
void vcpu_done(struct vcpu *c);
int vcpu_start(struct vcpu *c);
/* Out of the guest and the thread, after vm_ended(). */
void vcpu_kick(struct vcpu *c);
void vcpu_join(struct vcpu *c);

/* errand.c: what vCPUs have the thread in vm_run() do, which may start and end threads. */
int vm_errand(struct vm *v, int (*fn)(void *arg), void *arg);
/* By that thread: does the one that waits, if any. */
void vm_errand_do(struct vm *v);
/* As struct virtio_bus has when(); in an errand, or while vm_run() does not run. */
int vm_when(struct vm *v, int fd, void (*fn)(void *arg), void *arg);
/* By the thread in vm_run(): until v->end_fd is readable; calls whoever's turn comes meanwhile. */
void vm_errand_wait(struct vm *v);

/* exits.c: handles the exit in c->run. */
void vcpu_exit(struct vcpu *c);
/* An access to what is no memory, @len at most 8. */
void vm_mmio(struct vm *v, uint64_t gpa, void *data, unsigned len, bool write);
void vm_port_out(struct vm *v, uint16_t port, uint8_t value);

#endif
