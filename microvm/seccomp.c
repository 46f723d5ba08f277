/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that a running VMM makes, its file server included. The list is plain BPF:
 * libseccomp takes longer to make a filter than the VMM to make a VM. What is not listed fails with
 * EPERM, so that a path that was forgotten is an error and not the end of the guest; what only an
 * attacker calls kills the process. The kernel remembers which calls are allowed whatever their
 * arguments, so the length of the list costs nothing at run time.
 */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/vm.h"
#include <asm/ioctls.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Younger than our headers may be. */
#define NR_CACHESTAT	 451 /* Linux 6.5 */
#define NR_FCHMODAT2	 452 /* Linux 6.6 */
#define NR_SETXATTRAT	 463 /* Linux 6.13, and the three behind it */
#define NR_GETXATTRAT	 464
#define NR_LISTXATTRAT	 465
#define NR_REMOVEXATTRAT 466
#define NR_KNOWN	 466 /* programs try later ones and take ENOSYS for an answer */

static const int allowed[] = {
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
	NR_REMOVEXATTRAT, SYS_fchdir, SYS_getcwd, 463, 464, 465,
	466, /* setxattrat, getxattrat, listxattrat, removexattrat: Linux 6.13 */
};

static const int killed[] = {
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
	KVM_RUN,	   KVM_SIGNAL_MSI,  KVM_IOEVENTFD,   FICLONE,
	FICLONERANGE,	   FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR,
	FS_IOC_FSSETXATTR, FIONREAD,	    TCGETS,
};

/* What a snapshot is made of: it is only read. */
static const unsigned long saving[] = {
	KVM_CHECK_EXTENSION, KVM_GET_MSR_INDEX_LIST, KVM_GET_TSC_KHZ, KVM_GET_CLOCK,
	KVM_GET_MP_STATE,    KVM_GET_REGS,	     KVM_GET_SREGS2,  KVM_GET_XCRS,
	KVM_GET_XSAVE,	     KVM_GET_XSAVE2,	     KVM_GET_MSRS,    KVM_GET_LAPIC,
	KVM_GET_DEBUGREGS,   KVM_GET_VCPU_EVENTS,
};

#define CLONE_THREAD_FLAGS 0x00010000u /* CLONE_THREAD: a thread, not a process */

/* ---- the program ---- */

struct program {
	struct sock_filter insns[512];
	unsigned short n;
};

#define NR     offsetof(struct seccomp_data, nr)
#define ARCH   offsetof(struct seccomp_data, arch)
#define ARG(i) (offsetof(struct seccomp_data, args) + 8 * (i)) /* its low half */
#define ALLOW  SECCOMP_RET_ALLOW
#define DENY   (SECCOMP_RET_ERRNO | EPERM)
#define KILL   SECCOMP_RET_KILL_PROCESS

static void insn(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (p->n < ARRAY_SIZE(p->insns))
		p->insns[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(struct program *p, size_t off)
{
	insn(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)off, 0, 0);
}

static void ret(struct program *p, uint32_t action)
{
	insn(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Ends with @action when what is loaded is @k. */
static void if_equal(struct program *p, uint32_t k, uint32_t action)
{
	insn(p, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
	ret(p, action);
}

/* Ends when none of the bits @k is set / one is. */
static void if_none_set(struct program *p, uint32_t k, uint32_t action)
{
	insn(p, BPF_JMP | BPF_JSET | BPF_K, k, 1, 0);
	ret(p, action);
}

static void if_set(struct program *p, uint32_t k, uint32_t action)
{
	insn(p, BPF_JMP | BPF_JSET | BPF_K, k, 0, 1);
	ret(p, action);
}

/*
 * Begins a rule that looks at an argument of system call @nr; end_call() ends it, denying what is
 * left.
 */
static unsigned short begin_call(struct program *p, int nr, unsigned arg)
{
	unsigned short at = p->n;

	insn(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 0);
	load(p, ARG(arg));
	return at;
}

static void end_call(struct program *p, unsigned short at)
{
	ret(p, DENY);
	p->insns[at].jf = (uint8_t)(p->n - at - 1);
}

static void rules_by_argument(struct program *p)
{
	unsigned short at = begin_call(p, SYS_ioctl, 1);

	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++)
		if_equal(p, (uint32_t)ioctls[i], ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(saving); i++)
		if_equal(p, (uint32_t)saving[i], ALLOW);
	end_call(p, at);
	/* No memory that can be written becomes code. */
	at = begin_call(p, SYS_mmap, 2);
	if_none_set(p, PROT_EXEC, ALLOW);
	end_call(p, at);
	at = begin_call(p, SYS_mprotect, 2);
	if_none_set(p, PROT_EXEC, ALLOW);
	end_call(p, at);
	at = begin_call(p, SYS_clone, 0);
	if_set(p, CLONE_THREAD_FLAGS, ALLOW);
	end_call(p, at);
	/* Signals to ourselves alone. */
	at = begin_call(p, SYS_tgkill, 0);
	if_equal(p, (uint32_t)getpid(), ALLOW);
	end_call(p, at);
	/* Its flags are in memory, where no filter looks: the C library falls back to clone. */
	if_equal(p, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
}

static void program_make(struct program *p)
{
	load(p, ARCH);
	insn(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	ret(p, KILL);
	load(p, NR);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if_equal(p, (uint32_t)allowed[i], ALLOW);
	rules_by_argument(p);
	for (size_t i = 0; i < ARRAY_SIZE(killed); i++)
		if_equal(p, (uint32_t)killed[i], KILL);
	insn(p, BPF_JMP | BPF_JGT | BPF_K, NR_KNOWN, 0, 1);
	ret(p, SECCOMP_RET_ERRNO | ENOSYS);
	ret(p, DENY);
}

int vm_seccomp(void)
{
	struct program p = { .n = 0 };
	struct sock_fprog prog;

	program_make(&p);
	if (p.n == ARRAY_SIZE(p.insns))
		return err(-E2BIG, "VM's jail: the seccomp filter is too long");
	prog = (struct sock_fprog){ p.n, p.insns };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
		return err_sys("VM's jail: seccomp");
	return 0;
}
