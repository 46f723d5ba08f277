/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc_stat.h"
#include "base/str.h"
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/local/libexec/strata"
#endif

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

int proc_start_time(pid_t pid, uint64_t *ret)
{
	struct proc_stat s = { 0 };
	int r = proc_stat(pid, &s);

	if (r < 0)
		return r;
	*ret = s.start;
	return 0;
}

bool proc_alive(pid_t pid, uint64_t start_time)
{
	struct proc_stat s = { 0 };

	if (pid <= 0 || proc_stat(pid, &s) < 0)
		return false;
	return s.start == start_time && s.state != 'Z' && s.state != 'X';
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
	if (access(path, R_OK) < 0) {
		free(path);
		path = str_fmt("%s/%s", LIBEXECDIR, name);
		if (!path)
			return -ENOMEM;
		if (access(path, R_OK) < 0)
			return err_sys("%s: neither in %s nor in " LIBEXECDIR, name,
				       dir ? dir : "its directory");
	}
	*ret = take_ptr(path);
	return 0;
}

int proc_find(const char *name, char **ret)
{
	const char *given = getenv("PATH");
	_free_ char *path = strdup(given ? given : "/usr/local/bin:/usr/bin:/bin");
	char *save = NULL;

	if (!path)
		return -ENOMEM;
	for (char *dir = strtok_r(path, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		_free_ char *file = str_fmt("%s/%s", dir, name);

		if (!file)
			return -ENOMEM;
		if (dir[0] == '/' && access(file, X_OK) == 0) {
			*ret = take_ptr(file);
			return 0;
		}
	}
	return -ENOENT;
}
