/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/local/libexec/strata"
#endif

#define STAT_MAX 4096 /* bytes of /proc/PID/stat: 52 numbers and a name */

int proc_boot_id(struct boot_id *ret)
{
	_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	struct boot_id id;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = fd_read_full(fd, id.s, sizeof(id.s));
	if (n < 0)
		return (int)n;
	if (n != sizeof(id.s) || id.s[36] != '\n')
		return -EBADMSG;
	id.s[36] = '\0';
	*ret = id;
	return 0;
}

/* The state letter and the start time of @pid. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	_close_ int fd = -1;
	char path[32], text[STAT_MAX], state;
	unsigned long long start;
	const char *rest;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = fd_read_full(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	/* The name, field 2, stands in parentheses and may hold anything, parentheses too. */
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %c%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s %llu", &state,
			    &start) != 2)
		return -EBADMSG;
	*ret_state = state;
	*ret_start = start;
	return 0;
}

int proc_start_time(pid_t pid, uint64_t *ret)
{
	char state;

	return read_stat(pid, &state, ret);
}

bool proc_alive(pid_t pid, uint64_t start_time)
{
	uint64_t start;
	char state;

	if (pid <= 0 || read_stat(pid, &state, &start) < 0)
		return false;
	return start == start_time && state != 'Z' && state != 'X';
}

int proc_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int proc_pidfd_kill(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

int proc_wait(int pidfd, int *ret_status)
{
	siginfo_t si = { 0 };

	while (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (ret_status)
		*ret_status = si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
	return 0;
}

/* The directory of the running program, or NULL. */
static char *own_directory(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	char *slash;

	if (n <= 0 || n == sizeof(path))
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	return slash ? strndup(path, (size_t)(slash - path)) : NULL;
}

int proc_sibling(const char *name, char **ret)
{
	_free_ char *dir = own_directory();
	_free_ char *path = NULL;

	path = str_fmt("%s/%s", dir ? dir : LIBEXECDIR, name);
	if (!path)
		return -ENOMEM;
	if (access(path, X_OK) < 0) {
		free(path);
		path = str_fmt("%s/%s", LIBEXECDIR, name);
		if (!path)
			return -ENOMEM;
		if (access(path, X_OK) < 0)
			return err_sys("%s: neither in %s nor in " LIBEXECDIR, name, dir ? dir : "its directory");
	}
	*ret = take_ptr(path);
	return 0;
}
