/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a machine and its parts. */
#ifndef MICROVM_VM_H
#define MICROVM_VM_H

#include "microvm/microvm.h"
#include "virtio/virtio.h"
#include <linux/kvm.h>
#include <pthread.h>

#define MIB (UINT64_C(1) << 20)

/*
 * The machine's addresses. RAM is below HOLE and, when there is more, from 4 GiB on. In low memory
 * lie what the boot hands over; the kernel is done with it before it uses that memory for something
 * else.
 */
#define VM_HOLE_START	0xd0000000u /* also the first device window */
#define VM_HOLE_END	UINT64_C(0x100000000)
#define VM_IOAPIC_GPA	0xfec00000u
#define VM_LAPIC_GPA	0xfee00000u
#define VM_IDENTITY_GPA 0xfffbc000u /* a page and three for KVM on old Intel CPUs */
#define VM_TSS_GPA	0xfffbd000u
#define VM_GDT_GPA	0x500u
#define VM_INFO_GPA	0x6000u /* hvm_start_info */
#define VM_PARAMS_GPA	0x7000u /* boot_params, for the 64-bit entry */
#define VM_TABLES_GPA	0x9000u /* page tables, for the 64-bit entry: 6 pages */
#define VM_CMDLINE_GPA	0x20000u
#define VM_CMDLINE_MAX	2048u /* COMMAND_LINE_SIZE of x86, with NUL */
#define VM_MPTABLE_GPA \
	0x9fc00u /* the last KiB of base memory, where the kernel looks (MP spec 1.4, chapter 4) */
#define VM_ACPI_GPA 0xe0000u /* where the kernel looks too (ACPI 6.3, 5.2.5.1) */
#define VM_ACPI_MAX 0x4000u
#define VM_HIGH_GPA 0x100000u

#define VM_MPTABLE_MAX 1024u

#define VM_SOON_MAX 8

#define VM_LATE_MAX 32 /* threads that wait to be started: at most one of each device */

/*
 * console, file systems, disks, rng, balloon, net, vsock; an interrupt each, from 1 on: 0 is none
 * for Linux
 */
#define VM_DEVICES_MAX (5 + VM_FS_MAX + VM_DISKS_MAX)
#define VM_GSI_FIRST   1u
/* With ACPI also 2 is none, that of a second PIC (Linux drivers/acpi/resource.c, valid_IRQ). */
#define VM_GSI_ACPI 3u

/* ---- interrupts: the local APICs are KVM's, the IOAPIC ours (82093AA data sheet) ---- */

struct ioapic {
	pthread_mutex_t lock;
	int vm_fd;
	unsigned npins;
	uint32_t select, id;
	uint64_t entries[VM_GSI_ACPI + VM_DEVICES_MAX];
	bool pending[VM_GSI_ACPI + VM_DEVICES_MAX]; /* came while masked */
};

void ioapic_init(struct ioapic *a, int vm_fd, unsigned npins);
void ioapic_done(struct ioapic *a);
void ioapic_access(struct ioapic *a, uint64_t off, void *data, unsigned len, bool write);
/* An edge at @pin, from any thread. False: the pin is masked, it is kept until it no longer is. */
bool ioapic_raise(struct ioapic *a, unsigned pin);

/* ---- writes that wait ---- */

struct coalesced {
	pthread_mutex_t turn; /* of the one who drains; before a device's */
	pthread_mutex_t lock; /* of the ring; before the IOAPIC's, behind all others */
	int vm_fd;
	size_t offset; /* of the ring, behind kvm_run; 0 = this KVM has none */
	bool ports;    /* they can be among them */
	bool ioapic;   /* its registers are among them; atomic */
};

void coalesced_init(struct coalesced *c, int vm_fd);
void coalesced_done(struct coalesced *c);
void coalesced_add(const struct coalesced *c, uint64_t gpa, uint32_t len);
void coalesced_add_ioapic(struct coalesced *c);
void coalesced_add_ports(const struct coalesced *c, uint16_t first, uint16_t n);
/* Does what was written: by a vCPU, before it handles an exit. */
void coalesced_drain(struct vm *v);
/* Does what was written to the IOAPIC, and nothing else: by any thread, before an interrupt. */
void coalesced_ioapic(struct vm *v);
/*
 * From here on writes to it exit, and those before are done. For whoever has found an interrupt
 * masked: that it no longer is would be seen at the next exit, which may never come.
 */
void coalesced_end_ioapic(struct vm *v);

/* ---- machine ---- */

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
	struct vcpu vcpus[VM_VCPUS_MAX];
	unsigned nvcpus;
	struct virtio_mmio *devices[VM_DEVICES_MAX];
	unsigned ndevices, gsi_first;
	struct virtio_mmio *console, *rng; /* of these, or NULL */
	struct virtio_balloon *balloon; /* one of them, or NULL */
	struct virtio_net *net;		/* the same */
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
	int unread_fd; /* eventfd of the writes that nobody has to see; -1 = none yet */
	int end_fd;    /* eventfd: somebody has set end, an errand waits or a vCPU has ended */
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
	int (*begun)(void *ctx); /* NULL: there is none, or it was called */
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

/* memory.c: maps RAM, as @cfg wants it, and the pages of @ndevices windows; gives them to KVM. */
int vm_memory_new(struct vm *v, const struct vm_config *cfg, unsigned ndevices);
/*
 * Has RAM at @hva hold @len bytes of @fd from @off: mapped, or, in huge pages, copied. All are
 * multiples of a page but @len. 0 or -errno without a text.
 */
int vm_memory_put(const struct vm *v, uint8_t *hva, uint64_t len, int fd, off_t off);
/* dax.c: the DAX window that @cfg asks for, behind RAM, in the next slot. */
int vm_dax_new(struct vm *v, const struct vm_config *cfg);
void vm_dax_free(struct vm *v);
/*
 * What lies at @hva is written while the guest boots: vm_memory_own() makes it this machine's, once
 * the guest runs, so that the guest finds it so. A page that it reads and then writes costs three
 * exits: one to map the file's page, one to copy it, one to map the copy. Huge pages are its own
 * anyway.
 */
void vm_memory_soon(struct vm *v, void *hva, uint64_t len);
void vm_memory_own(struct vm *v);
int vm_slot_set(struct vm *v, unsigned slot, const struct mem_region *r, uint32_t flags);
void vm_memory_free(struct vm *v);

/* kernel_elf.c: where the kernel is entered. */
struct vm_kernel {
	bool pvh; /* at @entry in 32-bit mode, hvm_start_info; else in 64-bit mode, boot_params */
	uint64_t entry; /* physical */
	uint64_t end;	/* behind its last byte */
};
int vm_kernel_load(struct vm *v, int fd, struct vm_kernel *ret);

/* initramfs.c: @fd as /init at the top of low RAM, and behind it the archive @modules or none. */
struct vm_initramfs {
	uint64_t gpa, len;
};
int vm_initramfs_load(struct vm *v, int fd, int modules, const struct vm_kernel *kernel,
		      struct vm_initramfs *ret);

/* boot.c: what the kernel is handed, and the first vCPU's registers; @acpi: tables are there. */
int vm_boot(struct vm *v, const struct vm_kernel *kernel, const struct vm_initramfs *initramfs,
	    bool acpi);
/* mptable.c */
int vm_mptable_write(struct vm *v);
/* acpi.c: at VM_ACPI_GPA. */
int vm_acpi_write(struct vm *v);
/* cmdline.c */
int vm_cmdline_make(struct vm *v, const struct vm_config *cfg);

/* devices.c: makes them on the bus of this machine. */
int vm_devices_new(struct vm *v, const struct vm_config *cfg);

/* cpuid.c */
struct kvm_cpuid2 *vm_cpuid_get(int kvm_fd);
bool vm_cpuid_has_rdrand(const struct kvm_cpuid2 *all);
/* Also Hygon, whose CPUs are AMD's. */
bool vm_cpuid_is_amd(const struct kvm_cpuid2 *all);
/* What CPUID says on @c, out of what KVM supports; the caller frees. NULL: no memory. */
struct kvm_cpuid2 *vm_cpuid_of(const struct vcpu *c, const struct kvm_cpuid2 *all);
int vm_cpuid_set(const struct vcpu *c, const struct kvm_cpuid2 *all);

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

/*
 * landlock.c: from here on nothing but what is under @folders, where this host has Landlock with
 * ABI 2. 0 also where it has not.
 */
int vm_landlock(const struct vm_folder *folders, size_t n);

/* seccomp.c */
int vm_seccomp(void);
/* jail_thread.c: from here on vm_jail_thread() does something. */
void vm_jail_began(void);

#endif
