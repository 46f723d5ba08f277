/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a given container needs around the clone: a time namespace is the one that the parent's
 * children are born into, and its offsets are written before the first is; and into a user
 * namespace that is there already, the one who makes the further namespaces has to go first, so
 * that these belong to it.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

int given_clone_begin(const struct ctr_given *g, int *ret_time)
{
	const struct ctr_namespace *n = given_namespace(g, CLONE_NEWTIME);
	_close_ int own = -1;
	int r;

	if (!n || n->fd >= 0)
		return 0;
	own = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
	if (own < 0 || unshare(CLONE_NEWTIME) < 0)
		return err_sys("cannot create a time namespace");
	*ret_time = take_fd(own);
	r = g->time_offsets ? file_write(AT_FDCWD, "/proc/self/timens_offsets", g->time_offsets) :
			      0;
	return r < 0 ? err(r, "cannot set the offsets of the time namespace: %s", strerror(-r)) : 0;
}

int given_clone_end(int time)
{
	int r = 0;

	if (time >= 0 && setns(time, CLONE_NEWTIME) < 0)
		r = err_sys("cannot return to the time namespace");
	fd_close(time);
	return r;
}

/* The one in between: 0 in the container's process, which is its sibling. */
static pid_t clone_sibling(const struct plan *p, int *pidfd)
{
	struct clone_args a = {
		.flags = clone_flags(p) | CLONE_PARENT,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};
	pid_t pid;

	if (setns(given_namespace(p->given, CLONE_NEWUSER)->fd, CLONE_NEWUSER) < 0)
		return err_sys("cannot enter the user namespace");
	if (userns_become_root() < 0)
		return -EPERM;
	pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	return pid < 0 ? err_sys("cannot create the container's process") : pid;
}

/* proc(5), /proc/PID/fdinfo: "Pid:\t42", as we see it. */
static pid_t pid_of(int pidfd)
{
	char path[40];
	_free_ char *text = NULL;
	const char *at;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	r = file_read_all(AT_FDCWD, path, 4096, &text, NULL);
	if (r < 0)
		return r;
	at = strstr(text, "\nPid:\t");
	return at ? (pid_t)strtol(at + strlen("\nPid:\t"), NULL, 10) : -ESRCH;
}

pid_t given_clone_through(const struct plan *p, int sock, int peer, int *ret_pidfd)
{
	pid_t pid = fork();
	int status, r;

	if (pid < 0)
		return err_sys("cannot fork");
	if (!pid) {
		int fd = -1;

		pid = clone_sibling(p, &fd);
		if (!pid)
			return 0;
		report_send(peer, pid < 0 ? pid : 0, fd);
		_exit(pid < 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		return err(-ECHILD, "the process before the container's was killed");
	r = report_recv(sock, ret_pidfd);
	return r < 0 ? r : pid_of(*ret_pidfd);
}
