/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells of a process in /proc/PID/stat (proc(5)), of which there is more. */
#ifndef BASE_PROC_STAT_H
#define BASE_PROC_STAT_H

#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	char state;
	pid_t ppid;
	uint64_t cpu_ns; /* its own, user and system, to a clock tick */
	uint64_t start;	 /* clock ticks after boot: with the pid it names one process */
};

/* -ESRCH: there is none. */
int proc_stat(pid_t pid, struct proc_stat *ret);
/* Of the file's text; -EBADMSG. */
int proc_stat_parse(const char *text, struct proc_stat *ret);

#endif
