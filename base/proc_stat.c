/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc_stat.h"

#include "base/fd.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 4096 /* 52 numbers and a name */

enum { STATE = 3, PPID = 4, UTIME = 14, STIME = 15, START = 22 }; /* proc(5) counts from 1 */

int proc_stat_parse(const char *text, struct proc_stat *ret)
{
	/* The name, field 2, stands in parentheses and may hold anything, parentheses too. */
	const char *at = strrchr(text, ')');
	uint64_t n[START + 1];
	char state;

	if (!at || at[1] != ' ' || !at[2])
		return -EBADMSG;
	state = at[2];
	at += 3;
	for (int i = STATE + 1; i <= START; i++) {
		char *end;

		n[i] = strtoull(at, &end, 10);
		if (*at != ' ' || end == at)
			return -EBADMSG;
		at = end;
	}
	*ret = (struct proc_stat){
		.state = state,
		.ppid = (pid_t)n[PPID],
		.cpu_ns = (n[UTIME] + n[STIME]) * (1000000000u / (unsigned)sysconf(_SC_CLK_TCK)),
		.start = n[START],
	};
	return 0;
}

int proc_stat(pid_t pid, struct proc_stat *ret)
{
	_close_ int fd = -1;
	char path[32], text[TEXT_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = fd_read_full(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return proc_stat_parse(text, ret);
}
