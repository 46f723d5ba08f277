/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first_run [-s] PROGRAM CALL -- CMD [ARG...]
 *
 * What a program costs from its exec to its first ioctl CALL (a number, such as KVM_RUN's 0xae80).
 * CMD is run and followed through all it starts until a process executes a file called PROGRAM.
 * Prints "system calls", "CPU us", "private dirty KiB", "page faults" as tab-separated values when
 * one of its threads is about to make that call: of all of them until this one began, and its own
 * from there on; what the others do meanwhile is not on the way there. Then all is killed.
 *
 * -s: system calls are counted, each of them by a stop, so that the CPU time is of no use and left
 * out ("-"). Without it the process runs freely but for the thread that makes the call.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64

static const char *program;
static unsigned long wanted;
static bool count_all;

/* The process that it is about, once it runs. */
static pid_t target;
struct sample {
	unsigned long long cpu_ns, faults, dirty_kib, ncalls;
};

static struct thread {
	pid_t tid;
	unsigned ncalls;
	struct sample before; /* what it cost until this one began, by all */
} threads[THREADS_MAX];

static struct sample at_exec;

static void die(const char *what)
{
	fprintf(stderr, "first_run: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- what /proc says ---- */

static FILE *proc_open(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

/* By the scheduler. */
static unsigned long long thread_cpu_ns(pid_t tid)
{
	FILE *f = proc_open(tid, "schedstat");
	unsigned long long ns = 0;

	if (f && fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns;
}

static unsigned long long faults(void)
{
	unsigned long long minor = 0, major = 0;
	FILE *f = proc_open(target, "stat");

	if (f && fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &minor,
			&major) != 2)
		minor = major = 0;
	if (f)
		fclose(f);
	return minor + major;
}

static unsigned long long private_dirty_kib(void)
{
	unsigned long long kib = 0;
	FILE *f = proc_open(target, "smaps_rollup");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Private_Dirty: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* ---- following ---- */

static struct thread *thread_of(pid_t tid)
{
	for (size_t i = 0; i < THREADS_MAX; i++)
		if (threads[i].tid == tid)
			return &threads[i];
	return NULL;
}

static struct thread *thread_add(pid_t tid)
{
	struct thread *t = thread_of(0);

	if (!t)
		die("too many threads");
	*t = (struct thread){ .tid = tid };
	return t;
}

static bool is_program(pid_t pid)
{
	char path[64], exe[512];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	base = strrchr(exe, '/');
	return base && strcmp(base + 1, program) == 0;
}

static pid_t thread_group(pid_t tid)
{
	FILE *f = proc_open(tid, "status");
	char line[256];
	int tgid = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	if (f)
		fclose(f);
	return tgid;
}

static void take(struct sample *ret)
{
	*ret = (struct sample){ .faults = faults(), .dirty_kib = private_dirty_kib() };
	for (size_t i = 0; i < THREADS_MAX; i++) {
		if (threads[i].tid)
			ret->cpu_ns += thread_cpu_ns(threads[i].tid);
		ret->ncalls += threads[i].ncalls;
	}
}

static void report(const struct thread *t)
{
	const struct sample *before = &t->before;
	unsigned long long cpu = before->cpu_ns - at_exec.cpu_ns + thread_cpu_ns(t->tid);

	if (count_all)
		printf("%llu\t-", before->ncalls + t->ncalls);
	else
		printf("-\t%llu", cpu / 1000);
	printf("\t%llu\t%llu\n", before->dirty_kib, before->faults - at_exec.faults);
}

/* At the begin or end of a call of one of its threads: true when it is the one. */
static bool at_call(struct thread *t)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	if (info.entry.nr == SYS_ioctl && info.entry.args[1] == wanted)
		return true;
	t->ncalls++;
	return false;
}

/* Of a new one and its maker either may stop first; the other does little until it has. */
static void thread_begins(pid_t tid)
{
	struct sample s;

	take(&s);
	thread_add(tid)->before = s;
}

static void makes_thread(pid_t maker)
{
	unsigned long tid;

	if (ptrace(PTRACE_GETEVENTMSG, maker, 0, &tid) < 0)
		die("ptrace");
	if (!thread_of((pid_t)tid))
		thread_begins((pid_t)tid);
}

static void begins(pid_t pid)
{
	target = pid;
	thread_add(pid);
	take(&at_exec);
}

/* How a stopped @tid goes on; 0: it was the call. */
static int next(pid_t tid, int status)
{
	struct thread *t = thread_of(tid);
	int sig = WSTOPSIG(status), event = status >> 16;
	bool own_thread = t && target && tid != target;

	if (event == PTRACE_EVENT_EXEC && !target && is_program(tid))
		begins(tid);
	else if (t && event == PTRACE_EVENT_CLONE)
		makes_thread(tid);
	else if (t && sig == (SIGTRAP | 0x80) && at_call(t)) {
		report(t);
		return 0;
	}
	if (event || sig == (SIGTRAP | 0x80) || sig == SIGSTOP)
		sig = 0;
	t = thread_of(tid);
	return ptrace(t && (count_all || own_thread) ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, sig) <
				       0 &&
			       errno != ESRCH ?
		       -1 :
		       1;
}

static void follow(void)
{
	int status, r = 1;

	while (r > 0) {
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			die("the call was not made");
		if (!WIFSTOPPED(status))
			continue;
		if (target && !thread_of(tid) && thread_group(tid) == target)
			thread_begins(tid);
		r = next(tid, status);
	}
	if (r < 0)
		die("ptrace");
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (waitpid(pid, NULL, WUNTRACED) < 0 ||
	    ptrace(PTRACE_SEIZE, pid, 0,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			   PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) < 0)
		die("ptrace");
	kill(pid, SIGCONT);
	return pid;
}

int main(int argc, char **argv)
{
	int i = 1;

	if (argc > 1 && strcmp(argv[1], "-s") == 0) {
		count_all = true;
		i++;
	}
	if (argc < i + 4 || strcmp(argv[i + 2], "--") != 0) {
		fprintf(stderr, "usage: first_run [-s] PROGRAM CALL -- CMD [ARG...]\n");
		return 2;
	}
	program = argv[i];
	wanted = strtoul(argv[i + 1], NULL, 0);
	start(argv + i + 3);
	follow();
	return 0;
}
