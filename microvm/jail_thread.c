/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each kind of thread may call, on top of the process' filter (microvm/seccomp.c), which goes
 * on saying what arguments may be and what kills: the least that the thread has to do, since one
 * that has been taken over by its device's guest is to find as little as can be. docs/THREATS.md
 * has the table in words.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "microvm/filter.h"
#include "microvm/jail.h"
#include "microvm/vm.h"
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Memory of its own, locks, its end; telling an eventfd or the log. */
static const short every[] = {
	SYS_write,	     SYS_futex,	 SYS_mprotect,	     SYS_munmap,       SYS_mremap,
	SYS_madvise,	     SYS_brk,	 SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigaction,
	SYS_restart_syscall, SYS_tgkill, SYS_gettid,	     SYS_getpid,       SYS_sched_yield,
	SYS_clock_gettime,   SYS_exit,	 SYS_exit_group
};

/* Waiting for kicks. */
static const short device[] = { SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl };

static const short console[] = { SYS_readv, SYS_writev, SYS_pwritev2, SYS_poll, SYS_sendmsg };

/* Of a socket; of a TAP read, which a timer has too, and writev. */
static const short net[] = { SYS_recvfrom, SYS_sendmsg, SYS_read, SYS_writev, SYS_timerfd_settime };

static const short blk[] = { SYS_preadv,    SYS_pwritev, SYS_fdatasync,
			     SYS_fallocate, SYS_read,	 SYS_timerfd_settime };

static const short vsock[] = { SYS_accept4, SYS_recvfrom, SYS_recvmsg, SYS_sendto,
			       SYS_sendmsg, SYS_shutdown, SYS_close };

static const short rng[] = { SYS_getrandom };

/* Messages of the guest's init and of the supervisor. */
static const short control[] = { SYS_read,   SYS_poll,	   SYS_recvfrom, SYS_recvmsg,
				 SYS_sendto, SYS_shutdown, SYS_close };

static const short files[] = {
	SYS_read,	SYS_readv,	     SYS_writev,	  SYS_pread64,
	SYS_pwrite64,	SYS_preadv,	     SYS_pwritev,	  SYS_preadv2,
	SYS_pwritev2,	SYS_lseek,	     SYS_close,		  SYS_dup,
	SYS_fcntl,	SYS_memfd_create,    SYS_splice,	  SYS_pipe2,
	SYS_sendto,	SYS_recvmsg, /* for an object of the image */
	SYS_openat,	SYS_openat2,	     SYS_fstat,		  SYS_newfstatat,
	SYS_statx,	SYS_fstatfs,	     SYS_statfs,	  SYS_getdents64,
	SYS_readlinkat, SYS_faccessat,	     SYS_faccessat2,	  SYS_mkdirat,
	SYS_mknodat,	SYS_symlinkat,	     SYS_linkat,	  SYS_unlinkat,
	SYS_renameat,	SYS_renameat2,	     SYS_fchmod,	  SYS_fchmodat,
	NR_FCHMODAT2,	SYS_fchown,	     SYS_fchownat,	  SYS_utimensat,
	SYS_ftruncate,	SYS_fallocate,	     SYS_fsync,		  SYS_fdatasync,
	SYS_syncfs,	SYS_sync_file_range, SYS_copy_file_range, SYS_sendfile,
	SYS_fadvise64,	SYS_readahead,	     SYS_flock,		  SYS_umask,
	SYS_getxattr,	SYS_lgetxattr,	     SYS_fgetxattr,	  SYS_setxattr,
	SYS_lsetxattr,	SYS_fsetxattr,	     SYS_listxattr,	  SYS_llistxattr,
	SYS_flistxattr, SYS_removexattr,     SYS_lremovexattr,	  SYS_fremovexattr,
	NR_SETXATTRAT,	NR_GETXATTRAT,	     NR_LISTXATTRAT,	  NR_REMOVEXATTRAT,
	SYS_getuid,	SYS_geteuid,	     SYS_getgid,	  SYS_getegid,
	SYS_getrandom,	SYS_fchdir,	     SYS_getcwd,	  SYS_poll
};

/* Beside the two by which all interrupt the guest. */
static const unsigned long guest_ioctls[] = { KVM_RUN };
static const unsigned long queue_ioctls[] = { FIONREAD }; /* of what QEMU's ports hold */
static const unsigned long file_ioctls[] = {
	FICLONE,	 FICLONERANGE,	    FS_IOC_GETFLAGS,
	FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR,
};

#define CALLS(list)  .calls = (list), .ncalls = ARRAY_SIZE(list)
#define IOCTLS(list) .ioctls = (list), .nioctls = ARRAY_SIZE(list)

static const struct kind {
	const char *name; /* as struct virtio_ops has it; of the two that are no devices, ours */
	const short *calls;
	size_t ncalls;
	const unsigned long *ioctls;
	size_t nioctls;
	bool waits; /* for kicks */
	bool maps;  /* files */
} kinds[] = {
	{ .name = "vcpu", IOCTLS(guest_ioctls) },
	{ .name = "control", CALLS(control), IOCTLS(queue_ioctls) },
	{ .name = "fs", .waits = true, .maps = true, CALLS(files), IOCTLS(file_ioctls) },
	{ .name = "console", .waits = true, CALLS(console) },
	{ .name = "net", .waits = true, CALLS(net) },
	{ .name = "blk", .waits = true, CALLS(blk) },
	{ .name = "vsock", .waits = true, CALLS(vsock) },
	{ .name = "balloon", .waits = true },
	{ .name = "rng", .waits = true, CALLS(rng) },
};

static _Atomic bool jailed;

static void rules(struct filter *f, const struct kind *k)
{
	filter_rule(f, SYS_ioctl, 1);
	for (size_t i = 0; i < k->nioctls; i++)
		filter_if_equal(f, (uint32_t)k->ioctls[i], FILTER_ALLOW);
	filter_if_equal(f, (uint32_t)KVM_SIGNAL_MSI, FILTER_ALLOW);
	filter_if_equal(f, (uint32_t)KVM_UNREGISTER_COALESCED_MMIO, FILTER_ALLOW);
	filter_rule_end(f);
	if (k->maps)
		return;
	/* A heap, and no file. */
	filter_rule(f, SYS_mmap, 3);
	filter_if_set(f, MAP_ANONYMOUS, FILTER_ALLOW);
	filter_rule_end(f);
}

static const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

void vm_jail_began(void)
{
	atomic_store(&jailed, true);
}

int vm_jail_thread(const char *name)
{
	const short mmap_call = SYS_mmap;
	const struct kind *k = kind_find(name);
	struct filter f;

	if (!k)
		return err(-ENOSYS, "VM's jail: nobody knows what a thread \"%s\" may do", name);
	if (!atomic_load(&jailed))
		return 0;
	filter_init(&f);
	filter_set(&f, every, ARRAY_SIZE(every), FILTER_ALLOW);
	if (k->waits)
		filter_set(&f, device, ARRAY_SIZE(device), FILTER_ALLOW);
	filter_set(&f, k->calls, k->ncalls, FILTER_ALLOW);
	if (k->maps)
		filter_set(&f, &mmap_call, 1, FILTER_ALLOW);
	rules(&f, k);
	return filter_install(&f, 0);
}
