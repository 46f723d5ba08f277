/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the machine, for `top`: all but the kernel's threads and init's own. */
#include "base/proc_stat.h"
#include "microvm/guest/init.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KTHREADD 2u /* the kernel's threads are its children */

static ssize_t read_command(const char *pid, char *buf, size_t size)
{
	char path[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

/* A session, or init. */
static bool is_init(const char *pid)
{
	struct stat own, its;
	char path[300];

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	return stat("/proc/self/exe", &own) == 0 && stat(path, &its) == 0 &&
	       own.st_dev == its.st_dev && own.st_ino == its.st_ino;
}

static bool read_process(const char *pid, struct guest_process *ret)
{
	struct proc_stat s;
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	if (stat(path, &st) < 0 || proc_stat((pid_t)strtoul(pid, NULL, 10), &s) < 0)
		return false;
	*ret = (struct guest_process){ .pid = (uint32_t)strtoul(pid, NULL, 10),
				       .ppid = (uint32_t)s.ppid,
				       .uid = st.st_uid,
				       .cpu_ns = s.cpu_ns };
	return ret->pid != KTHREADD && ret->ppid != KTHREADD && !is_init(pid);
}

static bool tell(int fd, const char *pid)
{
	struct guest_process p;
	char command[4096];
	ssize_t len;

	if (!read_process(pid, &p))
		return true;
	len = read_command(pid, command, sizeof(command));
	for (ssize_t i = 0; i + 1 < len; i++)
		if (!command[i])
			command[i] = ' ';
	while (len > 0 && !command[len - 1])
		len--;
	return session_send(fd, GUEST_PROCESS, &p, sizeof(p), command, len > 0 ? (size_t)len : 0);
}

void session_processes(int fd)
{
	struct guest_exited e = { 0 };
	DIR *d = opendir("/proc");
	struct dirent *entry;
	bool ok = d != NULL;

	while (ok && (entry = readdir(d)))
		if (isdigit((unsigned char)entry->d_name[0]))
			ok = tell(fd, entry->d_name);
	if (ok)
		session_send(fd, GUEST_EXITED, &e, sizeof(e), "", 0);
}
