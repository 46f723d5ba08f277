/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: who they are over time, starting them, waiting for them. */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* This boot's id, 36 characters (/proc/sys/kernel/random/boot_id). */
struct boot_id {
	char s[37];
};
int proc_boot_id(struct boot_id *ret);

/*
 * When @pid started, in clock ticks after boot (proc(5), stat field 22): with the pid it names one
 * process.
 */
int proc_start_time(pid_t pid, uint64_t *ret);
/* Whether the process that had @pid and @start_time is still there (a zombie is not). */
bool proc_alive(pid_t pid, uint64_t start_time);

/* pidfd_open(2): a descriptor or -errno. */
int proc_pidfd(pid_t pid);
/* Sends @sig through a pidfd: 0 or -errno. */
int proc_pidfd_kill(int pidfd, int sig);
/* Waits for the child behind @pidfd; *@ret as a shell has it: the exit code, or 128 + signal. */
int proc_wait(int pidfd, int *ret_status);

/*
 * Starts @path with @argv and @env (NULL: ours). The child holds exactly the @nfds descriptors of
 * @fds, renumbered 0..nfds-1 (-1 gives /dev/null), default signals and nothing else of ours.
 * *@ret_pidfd is the caller's.
 */
int proc_spawn(const char *path, char *const *argv, char *const *env, const int *fds, int nfds,
	       pid_t *ret_pid, int *ret_pidfd);
/*
 * The same, begun inside the cgroup v2 group behind @cgroup_fd, where to move there later costs ms.
 * It may fail where the other does not: an old kernel, a seccomp filter around us, a group that
 * refuses (threaded).
 */
int proc_spawn_in(int cgroup_fd, const char *path, char *const *argv, char *const *env,
		  const int *fds, int nfds, pid_t *ret_pid, int *ret_pidfd);

/*
 * Where a program of ours is: beside the running one (/proc/self/exe), else in the LIBEXECDIR that
 * it was built for. The caller frees *@ret.
 */
int proc_sibling(const char *name, char **ret);

/* Where PATH has the program @name, which the caller frees; -ENOENT without a text. */
int proc_find(const char *name, char **ret);

#endif
