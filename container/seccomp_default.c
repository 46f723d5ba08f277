/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's default profile (github.com/moby/profiles, seccomp/default.json, 2025) for x86-64,
 * written as what it does not allow: of the 380 system calls up to removexattrat, some are refused,
 * some need a capability, three are judged by an argument.
 */
#include "container/seccomp.h"

#include "base/mem.h"
#include "base/nr.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define CAP(n) (1ull << CAP_##n)
#define ONE(nr, verdict_, unless_)        \
	{                                 \
		nr, nr, verdict_, unless_ \
	}
#define NEVER(nr)	ONE(nr, SECCOMP_DENY, 0)
#define NEEDS(nr, caps) ONE(nr, SECCOMP_DENY, caps)
#define ADMIN(nr)	NEEDS(nr, CAP(SYS_ADMIN))

const unsigned int seccomp_highest = NR_REMOVEXATTRAT;

const struct seccomp_rule seccomp_rules[] = {
	/*
	 * Nobody: other programs' memory placement, kernel replacement, the kernel's key rings,
	 * relics.
	 */
	NEVER(SYS_uselib),
	NEVER(SYS_ustat),
	NEVER(SYS_sysfs),
	NEVER(SYS_pivot_root),
	NEVER(SYS__sysctl),
	{ SYS_swapon, SYS_swapoff, SECCOMP_DENY, 0 },
	NEVER(SYS_create_module),
	{ SYS_get_kernel_syms, SYS_query_module, SECCOMP_DENY, 0 },
	{ SYS_nfsservctl, SYS_security, SECCOMP_DENY, 0 },
	NEVER(SYS_vserver),
	NEVER(SYS_kexec_load),
	{ SYS_add_key, SYS_keyctl, SECCOMP_DENY, 0 },
	NEVER(SYS_migrate_pages),
	NEVER(SYS_move_pages),
	NEVER(SYS_kexec_file_load),
	NEVER(SYS_userfaultfd),
	{ SYS_io_uring_setup, SYS_io_uring_register, SECCOMP_DENY, 0 },
	/* Not assigned. */
	{ NR_URETPROBE + 1, SYS_pidfd_send_signal - 1, SECCOMP_ABSENT, 0 },

	/*
	 * By an argument. glibc falls back to clone when clone3, whose flags cannot be seen, is not
	 * there.
	 */
	ONE(SYS_personality, SECCOMP_PERSONALITY, 0),
	ONE(SYS_socket, SECCOMP_SOCKET, 0),
	ONE(SYS_clone, SECCOMP_CLONE, CAP(SYS_ADMIN)),
	ONE(SYS_clone3, SECCOMP_ABSENT, CAP(SYS_ADMIN)),

	/* With a capability. */
	NEEDS(SYS_syslog, CAP(SYS_ADMIN) | CAP(SYSLOG)),
	NEEDS(SYS_perf_event_open, CAP(SYS_ADMIN) | CAP(PERFMON)),
	NEEDS(SYS_bpf, CAP(SYS_ADMIN) | CAP(BPF)),
	ADMIN(SYS_mount),
	ADMIN(SYS_umount2),
	ADMIN(SYS_sethostname),
	ADMIN(SYS_setdomainname),
	ADMIN(SYS_quotactl),
	ADMIN(SYS_lookup_dcookie),
	ADMIN(SYS_unshare),
	ADMIN(SYS_fanotify_init),
	ADMIN(SYS_setns),
	{ SYS_open_tree, SYS_fspick, SECCOMP_DENY, CAP(SYS_ADMIN) },
	{ SYS_mount_setattr, SYS_quotactl_fd, SECCOMP_DENY, CAP(SYS_ADMIN) },
	{ NR_LSM_GET_SELF_ATTR, NR_LSM_LIST_MODULES, SECCOMP_DENY, CAP(SYS_ADMIN) },
	NEEDS(SYS_open_by_handle_at, CAP(DAC_READ_SEARCH)),
	NEEDS(SYS_reboot, CAP(SYS_BOOT)),
	NEEDS(SYS_chroot, CAP(SYS_CHROOT)),
	NEEDS(SYS_init_module, CAP(SYS_MODULE)),
	NEEDS(SYS_delete_module, CAP(SYS_MODULE)),
	NEEDS(SYS_finit_module, CAP(SYS_MODULE)),
	NEEDS(SYS_acct, CAP(SYS_PACCT)),
	NEEDS(SYS_kcmp, CAP(SYS_PTRACE)),
	NEEDS(SYS_pidfd_getfd, CAP(SYS_PTRACE)),
	NEEDS(SYS_process_madvise, CAP(SYS_PTRACE)),
	NEEDS(SYS_iopl, CAP(SYS_RAWIO)),
	NEEDS(SYS_ioperm, CAP(SYS_RAWIO)),
	NEEDS(SYS_settimeofday, CAP(SYS_TIME)),
	NEEDS(SYS_clock_settime, CAP(SYS_TIME)),
	NEEDS(SYS_vhangup, CAP(SYS_TTY_CONFIG)),
	{ SYS_mbind, SYS_get_mempolicy, SECCOMP_DENY, CAP(SYS_NICE) },
	NEEDS(SYS_set_mempolicy_home_node, CAP(SYS_NICE)),
};
const size_t seccomp_nrules = ARRAY_SIZE(seccomp_rules);

/* Linux, BSD's layout on fork, 32-bit uname, both; and the question (personality(2)). */
const uint32_t seccomp_personalities[] = { PER_LINUX, PER_LINUX32, UNAME26, UNAME26 | PER_LINUX32,
					   0xffffffff };
const size_t seccomp_npersonalities = ARRAY_SIZE(seccomp_personalities);

/*
 * All up to AF_MCTP (45) but DECnet, Econet, ATM's switched circuits, IrDA, Wanpipe, ISDN, CAIF,
 * the kernel's crypto (AF_ALG) and AF_VSOCK, which would reach the host past every network
 * namespace.
 */
#define FAMILY(n) (1ull << (n))
const uint64_t seccomp_families = (FAMILY(45 + 1) - 1) &
				  ~(FAMILY(AF_DECnet) | FAMILY(AF_ECONET) | FAMILY(AF_ATMSVC) |
				    FAMILY(AF_IRDA) | FAMILY(AF_WANPIPE) | FAMILY(AF_ISDN) |
				    FAMILY(AF_CAIF) | FAMILY(AF_ALG) | FAMILY(AF_VSOCK));
