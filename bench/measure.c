/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure [-n RUNS] [-w WARMUP] [-p PID]... -- CMD [ARG...] [--- CMD [ARG...]]...
 *
 * Runs the commands in turn (A B C A B C ...), so that what disturbs the machine disturbs all of
 * them, and prints a line of tab-separated values for each: the command, runs, CPU milliseconds
 * (min, median, p99; user + system of the command and of all its descendants, also those it left
 * behind: they become ours to wait for), wall milliseconds until the command ended (the same), page
 * faults (minor + major, median), peak resident KiB (median), failed runs, CPU milliseconds of the
 * processes named by -p (median), seconds of CLOCK_MONOTONIC when the last run began, KiB written
 * to file systems (median; as pages are made dirty, /proc/PID/io's write_bytes). What the processes
 * named by -p use while a command runs (a file server, say) counts as its CPU time and bytes, too.
 * Output of the commands goes to /dev/null; their stderr stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX     1000000
#define COMMANDS_MAX 32
#define OTHERS_MAX   32

extern char **environ;

struct sample {
	double cpu, wall, faults, peak, others, written;
};

/* The CPU clocks of the processes named by -p. */
struct others {
	clockid_t clocks[OTHERS_MAX];
	long pids[OTHERS_MAX];
	int n;
};

struct command {
	char **argv;
	struct sample *samples;
	double began; /* ms */
	int failed;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms(struct timeval t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

static void die(const char *what, int error)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(error));
	exit(2);
}

static void add(struct sample *s, const struct rusage *u)
{
	s->cpu += ms(u->ru_utime) + ms(u->ru_stime);
	s->faults += (double)(u->ru_minflt + u->ru_majflt);
	if ((double)u->ru_maxrss > s->peak)
		s->peak = (double)u->ru_maxrss;
	s->written += (double)u->ru_oublock / 2; /* of 512 bytes each */
}

static void others_add(struct others *o, const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);
	int r = *end || pid <= 0 || o->n == OTHERS_MAX ?
			EINVAL :
			clock_getcpuclockid((pid_t)pid, &o->clocks[o->n]);

	if (r)
		die(text, r);
	o->pids[o->n++] = pid;
}

/* All threads of theirs, also those that have ended. */
static double others_ms(const struct others *o)
{
	double sum = 0;

	for (int i = 0; i < o->n; i++) {
		struct timespec t;

		if (clock_gettime(o->clocks[i], &t) < 0)
			die("a process given by -p", errno);
		sum += (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
	}
	return sum;
}

/* 0 where the kernel does not count it. */
static double others_written_kib(const struct others *o)
{
	double sum = 0;

	for (int i = 0; i < o->n; i++) {
		unsigned long long bytes;
		char path[64], line[128];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%ld/io", o->pids[i]);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "write_bytes: %llu", &bytes) == 1)
				sum += (double)bytes / 1024;
		}
		if (f)
			fclose(f);
	}
	return sum;
}

static void run(struct command *c, const posix_spawn_file_actions_t *actions,
		const struct others *others, struct sample *ret)
{
	double written_before = others_written_kib(others);
	double others_before = others_ms(others), start = now_ms();
	struct rusage u;
	pid_t pid;
	int status, r = posix_spawnp(&pid, c->argv[0], actions, NULL, c->argv, environ);

	if (r)
		die(c->argv[0], r);
	*ret = (struct sample){ 0 };
	c->began = start;
	for (;;) {
		pid_t ended = wait4(-1, &status, 0, &u);

		if (ended < 0 && errno == ECHILD)
			break;
		if (ended < 0 && errno != EINTR)
			die("wait4", errno);
		if (ended < 0)
			continue;
		add(ret, &u);
		if (ended == pid) {
			ret->wall = now_ms() - start;
			c->failed += status != 0;
		}
	}
	ret->others = others_ms(others) - others_before;
	ret->cpu += ret->others;
	ret->written += others_written_kib(others) - written_before;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The values at @offset of @n samples, sorted. */
static double *sorted(const struct sample *s, int n, size_t offset)
{
	double *v = calloc((size_t)n, sizeof(*v));

	if (!v)
		die("memory", ENOMEM);
	for (int i = 0; i < n; i++)
		memcpy(&v[i], (const char *)&s[i] + offset, sizeof(*v));
	qsort(v, (size_t)n, sizeof(*v), ascending);
	return v;
}

static void print_spread(const struct sample *s, int n, size_t offset)
{
	double *v = sorted(s, n, offset);

	printf("\t%.3f\t%.3f\t%.3f", v[0], v[n / 2], v[(int)((n - 1) * 0.99)]);
	free(v);
}

static void print_median(const struct sample *s, int n, size_t offset)
{
	double *v = sorted(s, n, offset);

	printf("\t%.0f", v[n / 2]);
	free(v);
}

static void print_others(const struct sample *s, int n, size_t offset)
{
	double *v = sorted(s, n, offset);

	printf("\t%.3f", v[n / 2]);
	free(v);
}

static void print_command(const struct command *c, int n)
{
	for (char **arg = c->argv; *arg; arg++)
		printf("%s%s", arg == c->argv ? "" : " ", *arg);
	printf("\t%d", n);
	print_spread(c->samples, n, offsetof(struct sample, cpu));
	print_spread(c->samples, n, offsetof(struct sample, wall));
	print_median(c->samples, n, offsetof(struct sample, faults));
	print_median(c->samples, n, offsetof(struct sample, peak));
	printf("\t%d", c->failed);
	print_others(c->samples, n, offsetof(struct sample, others));
	printf("\t%.6f", c->began / 1e3);
	print_median(c->samples, n, offsetof(struct sample, written));
	putchar('\n');
}

/* Cuts @argv at each "---" into commands; how many. */
static int split(char **argv, struct command *c)
{
	int n = 0;

	while (*argv) {
		if (n == COMMANDS_MAX)
			die("too many commands", E2BIG);
		c[n++].argv = argv;
		while (*argv && strcmp(*argv, "---") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
		if (!c[n - 1].argv[0])
			die("an empty command", EINVAL);
	}
	return n;
}

static void usage(void)
{
	fputs("usage: measure [-n RUNS] [-w WARMUP] [-p PID]... "
	      "-- CMD [ARG...] [--- CMD [ARG...]]...\n",
	      stderr);
	exit(2);
}

static int count(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*end || n < 0 || n > RUNS_MAX)
		usage();
	return (int)n;
}

int main(int argc, char **argv)
{
	struct command c[COMMANDS_MAX] = { 0 };
	posix_spawn_file_actions_t actions;
	struct others others = { 0 };
	struct sample ignored;
	int runs = 100, warmup = 3, n, opt;

	while ((opt = getopt(argc, argv, "+n:w:p:")) != -1) {
		if (opt == 'n')
			runs = count(optarg);
		else if (opt == 'w')
			warmup = count(optarg);
		else if (opt == 'p')
			others_add(&others, optarg);
		else
			usage();
	}
	n = split(argv + optind, c);
	if (!n || !runs)
		usage();
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	for (int i = 0; i < n; i++) {
		c[i].samples = calloc((size_t)runs, sizeof(*c[i].samples));
		if (!c[i].samples)
			die("memory", ENOMEM);
	}
	for (int r = -warmup; r < runs; r++) {
		for (int i = 0; i < n; i++) {
			if (!r)
				c[i].failed = 0;
			run(&c[i], &actions, &others, r < 0 ? &ignored : &c[i].samples[r]);
		}
	}
	puts("command\truns\tcpu_min\tcpu_median\tcpu_p99\twall_min\twall_median\twall_p99"
	     "\tfaults\tpeak_kib\tfailed\tothers_cpu\tbegan_s\twritten_kib");
	for (int i = 0; i < n; i++)
		print_command(&c[i], runs);
	return 0;
}
