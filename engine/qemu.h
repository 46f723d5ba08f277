/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU in place of our own VMM, for a host whose KVM cannot run Linux: it emulates the processor
 * (TCG) and has the console ports, the balloon and the network; the file systems are ours, over
 * vhost-user. Kernel, init and what they say to us are the same.
 */
#ifndef ENGINE_QEMU_H
#define ENGINE_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* virtio-mmio windows of its machine where ACPI does not tell of a second IOAPIC. */
#define QEMU_DEVICES_MAX    8u
#define QEMU_DEVICES_ALWAYS 3u			   /* console, vsock, the root */
#define QEMU_FS_MAX	    (QEMU_DEVICES_MAX - 2) /* the root, and volumes */
#define QEMU_PORTS_MAX	    4u
#define QEMU_DISKS_MAX	    4u

/* A stream socket whose other end is ours, as a named port of the guest's console device. */
struct qemu_port {
	const char *name;
	int fd;
};

struct qemu_config {
	int kernel_fd;	 /* ELF vmlinux with a PVH note */
	int init_fd;	 /* strata-init, to be /init of the initramfs */
	int modules_fd;	 /* an archive of modules to go with it, -1 = none */
	uint64_t memory; /* bytes; rounded up to 2 MiB */
	bool hugetlb;	 /* in pages of 2 MiB that were set apart */
	unsigned vcpus;
	bool balloon, verbose;	 /* the kernel's messages, not only its last words */
	int fs_fds[QEMU_FS_MAX]; /* stream sockets with a vhost-user back end each */
	const char *fs_tags[QEMU_FS_MAX];
	size_t nfs;
	struct qemu_disk {
		int fd;
		bool rdonly;
	} disks[QEMU_DISKS_MAX];
	size_t ndisks;
	uint64_t disk_rate; /* bytes a second of each, 0 = any */
	int vsock_fd;	    /* as these, of a vsock */
	struct qemu_port ports[QEMU_PORTS_MAX];
	size_t nports;
	int console_fd; /* a stream socket: hvc0 */
	int qmp_fd;	/* a stream socket: qmp.h */
	int net_fd;	/* a stream socket of frames (virtio/devices.h), -1 = no network */
	uint8_t mac[6];
	int log_fd; /* its stderr */
	uid_t uid;  /* as whom it runs, and as which group */
};

/*
 * Where it is, unless @ret_path is NULL; the caller's. -EOPNOTSUPP with a text that says what to
 * install.
 */
int qemu_find(char **ret_path);

/*
 * Starts it, as @uid alone: own network, ipc and uts namespaces, no capabilities, no_new_privs and
 * QEMU's own seccomp filter. It ends with the thread that called. Nothing of @cfg is kept. 0 or
 * -errno with a text.
 */
int qemu_spawn(const struct qemu_config *cfg, pid_t *ret_pid, int *ret_pidfd);

#endif
