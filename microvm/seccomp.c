/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that a running VMM makes, its file server included: what holds for all of its
 * threads. Each kind of them has a narrower filter on top (microvm/jail_thread.c). What is not
 * listed fails with EPERM, so that a path that was forgotten is an error and not the end of the
 * guest; what only an attacker calls kills the process.
 */
#include "base/mem.h"
#include "microvm/filter.h"
#include "microvm/jail.h"
#include "microvm/vm.h"
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const short allowed[] = {
	/* every program: memory, threads, time, signals, the end */
	SYS_brk, SYS_munmap, SYS_madvise, SYS_mremap, SYS_futex, SYS_set_robust_list, SYS_rseq,
	SYS_sched_yield, SYS_sched_getaffinity, SYS_gettid, SYS_getpid, SYS_exit, SYS_exit_group,
	SYS_rt_sigreturn, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_sigaltstack,
	SYS_restart_syscall, SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_getrandom,
	SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_membarrier, SYS_prlimit64,
	SYS_sysinfo, SYS_get_robust_list, SYS_uname, SYS_getrusage, SYS_gettimeofday, SYS_time,
	SYS_times, SYS_getcpu,
	/* descriptors */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv,
	SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_close, SYS_close_range, SYS_dup, SYS_dup3,
	SYS_fcntl, SYS_lseek, SYS_poll, SYS_ppoll, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait,
	SYS_epoll_pwait, SYS_eventfd2, SYS_timerfd_create, SYS_timerfd_settime, SYS_pipe2,
	SYS_splice, SYS_memfd_create, SYS_signalfd4,
	/* sockets that are there already, and who comes to the one that listens (vsock) */
	SYS_sendmsg, SYS_recvmsg, SYS_sendto, SYS_recvfrom, SYS_shutdown, SYS_getsockopt,
	SYS_accept4,
	/* the file server */
	SYS_openat, SYS_openat2, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fstatfs, SYS_statfs,
	SYS_getdents64, SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_mkdirat, SYS_mknodat,
	SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_fchmod,
	SYS_fchmodat, NR_FCHMODAT2, SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_ftruncate,
	SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_syncfs, SYS_sync_file_range,
	SYS_copy_file_range, SYS_sendfile, SYS_fadvise64, SYS_readahead, NR_CACHESTAT, SYS_flock,
	SYS_umask, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_setxattr, SYS_lsetxattr,
	SYS_fsetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr, SYS_removexattr,
	SYS_lremovexattr, SYS_fremovexattr, NR_SETXATTRAT, NR_GETXATTRAT, NR_LISTXATTRAT,
	NR_REMOVEXATTRAT, SYS_fchdir, SYS_getcwd
};

static const short killed[] = {
	SYS_execve,
	SYS_execveat,
	SYS_fork,
	SYS_vfork,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_socket,
	SYS_connect,
	SYS_bind,
	SYS_listen,
	SYS_mount,
	SYS_umount2,
	SYS_move_mount,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fsmount,
	SYS_pivot_root,
	SYS_chroot,
	SYS_setns,
	SYS_unshare,
	SYS_bpf,
	SYS_init_module,
	SYS_finit_module,
	SYS_kexec_load,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_userfaultfd,
	SYS_perf_event_open,
	SYS_io_uring_setup,
	SYS_open_by_handle_at,
	SYS_modify_ldt,
	SYS_iopl,
	SYS_ioperm,
};

static const unsigned long ioctls[] = {
	KVM_RUN,	 KVM_SIGNAL_MSI,    KVM_UNREGISTER_COALESCED_MMIO,
	KVM_IOEVENTFD,	 FICLONE,	    FICLONERANGE,
	FS_IOC_GETFLAGS, FS_IOC_SETFLAGS,   FS_IOC_FSGETXATTR,
	FIONREAD,	 FS_IOC_FSSETXATTR, TCGETS,
};

/* What a snapshot is made of: it is only read. */
static const unsigned long saving[] = {
	KVM_CHECK_EXTENSION, KVM_GET_MSR_INDEX_LIST, KVM_GET_TSC_KHZ, KVM_GET_CLOCK,
	KVM_GET_MP_STATE,    KVM_GET_REGS,	     KVM_GET_SREGS2,  KVM_GET_XCRS,
	KVM_GET_XSAVE,	     KVM_GET_XSAVE2,	     KVM_GET_MSRS,    KVM_GET_LAPIC,
	KVM_GET_DEBUGREGS,   KVM_GET_VCPU_EVENTS,
};

#define CLONE_THREAD_FLAGS 0x00010000u /* CLONE_THREAD: a thread, not a process */

static void ioctl_rule(struct filter *f)
{
	filter_rule(f, SYS_ioctl, 1);
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++)
		filter_if_equal(f, (uint32_t)ioctls[i], FILTER_ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(saving); i++)
		filter_if_equal(f, (uint32_t)saving[i], FILTER_ALLOW);
	filter_rule_end(f);
}

/* KVM_RUN is an ioctl: what is asked most often comes first. */
static void rules(struct filter *f)
{
	ioctl_rule(f);
	/* No memory that can be written becomes code. */
	filter_rule(f, SYS_mmap, 2);
	filter_if_none_set(f, PROT_EXEC, FILTER_ALLOW);
	filter_rule_end(f);
	filter_rule(f, SYS_mprotect, 2);
	filter_if_none_set(f, PROT_EXEC, FILTER_ALLOW);
	filter_rule_end(f);
	filter_rule(f, SYS_clone, 0);
	filter_if_set(f, CLONE_THREAD_FLAGS, FILTER_ALLOW);
	filter_rule_end(f);
	/* Signals to ourselves alone. */
	filter_rule(f, SYS_tgkill, 0);
	filter_if_equal(f, (uint32_t)getpid(), FILTER_ALLOW);
	filter_rule_end(f);
	/* A thread's own name. */
	filter_rule(f, SYS_prctl, 0);
	filter_if_equal(f, PR_SET_NAME, FILTER_ALLOW);
	filter_rule_end(f);
	/* A thread's filter, which only adds to this one. */
	filter_rule(f, SYS_seccomp, 0);
	filter_if_equal(f, SECCOMP_SET_MODE_FILTER, FILTER_ALLOW);
	filter_rule_end(f);
	/* Its flags are in memory, where no filter looks: the C library falls back to clone. */
	filter_call(f, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
}

int vm_seccomp(void)
{
	struct filter f;

	filter_init(&f);
	filter_set(&f, allowed, ARRAY_SIZE(allowed), FILTER_ALLOW);
	filter_set(&f, killed, ARRAY_SIZE(killed), FILTER_KILL);
	rules(&f);
	return filter_install(&f, SECCOMP_FILTER_FLAG_TSYNC);
}
