/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clone itself. The cgroup namespace is not among the flags: its root is the cgroup that the
 * process is in, so the child makes it once it has been moved (child.c).
 */
#include "container/inner.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t clone_flags(const struct plan *p)
{
	const struct ctr_spec *spec = p->spec;
	uint64_t flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;

	if (p->join >= 0)
		return CLONE_PIDFD;
	if (p->given) {
		flags = CLONE_PIDFD;
		for (size_t i = 0; i < p->given->nnamespaces; i++) {
			const struct ctr_namespace *n = &p->given->namespaces[i];

			/* Time's is the parent's to unshare, for its offsets (given_clone.c). */
			if (n->fd < 0 && n->flag != CLONE_NEWCGROUP && n->flag != CLONE_NEWTIME)
				flags |= (uint64_t)n->flag;
		}
		return flags;
	}
	if (spec->network == CTR_NETWORK_NONE)
		flags |= CLONE_NEWNET;
	if (spec->userns)
		flags |= CLONE_NEWUSER;
	return flags;
}

static pid_t clone3(uint64_t flags, int cgroup, int *pidfd)
{
	struct clone_args a = {
		.flags = flags | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
	};

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

/* Where clone3 is hidden from us, as inside docker with its default seccomp profile. */
static pid_t clone2(uint64_t flags, int *pidfd)
{
	return (pid_t)syscall(SYS_clone, (unsigned long)flags | SIGCHLD, NULL, pidfd, NULL, 0ul);
}

pid_t clone_child(const struct plan *p, int *ret_pidfd, bool *ret_joined)
{
	const struct ctr_spec *spec = p->spec;
	uint64_t flags = clone_flags(p);
	pid_t pid = -1;

	*ret_joined = true;
	if (spec->cgroup_fd >= 0)
		pid = clone3(flags, spec->cgroup_fd, ret_pidfd);
	if (pid < 0) {
		/*
		 * No cgroup, or one that refuses a clone into it (threaded, domain invalid, kernel
		 * before 5.7).
		 */
		*ret_joined = spec->cgroup_fd < 0;
		pid = clone3(flags, -1, ret_pidfd);
	}
	if (pid < 0 && errno == ENOSYS)
		pid = clone2(flags, ret_pidfd);
	if (pid < 0)
		return err_sys("cannot create the container's process");
	return pid;
}
