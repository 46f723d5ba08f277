/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program. The child borrows our memory until it execs (clone(2) with CLONE_VM and
 * CLONE_VFORK), so that no page table is copied, however large we are; it has a stack of its own,
 * every signal blocked until our handlers are gone from it, and makes nothing but system calls.
 */
#include "base/proc.h"

#include "base/fd.h"
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define STACK_SIZE   (64u << 10) /* bytes for the child until it execs */
#define SIGNALS	     64		 /* _NSIG of Linux x86-64 */
#define SIGSET_BYTES (SIGNALS / 8)

/* Its writes to our memory are meant; the sanitizers' bookkeeping would outlive it. */
#define _child_ __attribute__((no_sanitize("address", "thread", "undefined")))

#ifdef __SANITIZE_THREAD__
/* The same function by a name that the sanitizer does not take for a fork(2) of all our memory. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

struct spawn {
	const char *path;
	char *const *argv, *const *env;
	const int *fds;
	int *high; /* room for nfds */
	unsigned int nfds;
	int *error; /* set by the child */
};

/* What the kernel takes (struct kernel_sigaction); all zero is SIG_DFL. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

_child_ static int child_fds(struct spawn *s)
{
	/* First all above the numbers to be given, so that none is overwritten before its turn. */
	for (unsigned int i = 0; i < s->nfds; i++) {
		long fd = s->fds[i];
		bool none = fd < 0;

		if (none)
			fd = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
		if (fd < 0)
			return errno;
		s->high[i] = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, (long)s->nfds);
		if (s->high[i] < 0)
			return errno;
		if (none)
			syscall(SYS_close, fd);
	}
	for (unsigned int i = 0; i < s->nfds; i++) {
		if (syscall(SYS_dup2, s->high[i], i) < 0)
			return errno;
	}
	return syscall(SYS_close_range, s->nfds, ~0u, 0) < 0 ? errno : 0;
}

_child_ static void child_signals(void)
{
	static const struct kernel_sigaction dfl;
	static const uint64_t none;

	for (int sig = 1; sig <= SIGNALS; sig++)
		syscall(SYS_rt_sigaction, sig, &dfl, NULL, SIGSET_BYTES);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGSET_BYTES);
}

_child_ static int child_main(void *arg)
{
	struct spawn *s = arg;

	*s->error = child_fds(s);
	if (!*s->error) {
		child_signals();
		syscall(SYS_execve, s->path, s->argv, s->env);
		*s->error = errno;
	}
	syscall(SYS_exit_group, 127);
	return 127;
}

/* Starts the child and comes back when it has execed or ended. */
static int spawn_clone(struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	uint64_t all = ~UINT64_C(0), old;
	int pidfd = -1, r;

	if (stack == MAP_FAILED)
		return -errno;
	/* By the system call: glibc's leaves two signals of its own unblocked. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, SIGSET_BYTES);
	r = clone(child_main, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, s,
		  &pidfd);
	if (r < 0)
		r = -errno;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, SIGSET_BYTES);
	munmap(stack, STACK_SIZE);
	if (r < 0)
		return r;
	*ret_pid = r;
	*ret_pidfd = pidfd;
	return 0;
}

/*
 * Into a cgroup goes only clone3(2), which gives the child no stack to call a function on: so it
 * has a copy of our memory, and of this stack, and its error in a page that both see.
 */
static int spawn_clone3(struct spawn *s, int cgroup_fd, pid_t *ret_pid, int *ret_pidfd)
{
	int *error = mmap(NULL, sizeof(*error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	int pidfd = -1, *ours = s->error;
	struct clone_args a = { .flags = CLONE_INTO_CGROUP | CLONE_VFORK | CLONE_PIDFD,
				.pidfd = (uintptr_t)&pidfd,
				.exit_signal = SIGCHLD,
				.cgroup = (uint64_t)cgroup_fd };
	uint64_t all = ~UINT64_C(0), old;
	long r;

	if (error == MAP_FAILED)
		return -errno;
	s->error = error;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, SIGSET_BYTES);
	r = syscall(SYS_clone3, &a, sizeof(a));
	if (r == 0)
		child_main(s);
	if (r < 0)
		r = -errno;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, SIGSET_BYTES);
	*ours = *error;
	munmap(error, sizeof(*error));
	if (r < 0)
		return (int)r;
	*ret_pid = (pid_t)r;
	*ret_pidfd = pidfd;
	return 0;
}

int proc_spawn(const char *path, char *const *argv, char *const *env, const int *fds, int nfds,
	       pid_t *ret_pid, int *ret_pidfd)
{
	return proc_spawn_in(-1, path, argv, env, fds, nfds, ret_pid, ret_pidfd);
}

int proc_spawn_in(int cgroup_fd, const char *path, char *const *argv, char *const *env,
		  const int *fds, int nfds, pid_t *ret_pid, int *ret_pidfd)
{
	int error = 0;
	size_t n = nfds > 0 ? (size_t)nfds : 0;
	_free_ int *high = mem_new(n, sizeof(*high));
	struct spawn s = {
		.path = path,
		.argv = argv,
		.env = env ? env : environ,
		.fds = fds,
		.high = high,
		.nfds = (unsigned int)n,
		.error = &error,
	};
	_close_ int pidfd = -1;
	pid_t pid = -1;
	int r;

	if (!high)
		return -ENOMEM;
	r = cgroup_fd < 0 ? spawn_clone(&s, &pid, &pidfd) :
			    spawn_clone3(&s, cgroup_fd, &pid, &pidfd);
	if (r < 0)
		return r;
	if (error) {
		proc_wait(pidfd, NULL);
		return -error;
	}
	if (ret_pid)
		*ret_pid = pid;
	if (ret_pidfd)
		*ret_pidfd = take_fd(pidfd);
	return 0;
}
