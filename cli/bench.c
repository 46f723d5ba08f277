/* SPDX-License-Identifier: Apache-2.0 */
/* strata bench startup: what a start costs, container against microVM. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/util.h"
#include <stdio.h>

#define MODES_MAX 4
#define PHASES	  6

static const char *const phase_names[PHASES] = {
	"start", "run", "cleanup", "remove", "total", "cpu"
};

struct samples {
	const char *mode;
	uint64_t *values[PHASES]; /* ns */
	size_t n, cap;
};

struct bench {
	struct samples modes[MODES_MAX];
	bool tsv;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static struct samples *samples_of(struct bench *b, const char *mode)
{
	for (unsigned i = 0; i < MODES_MAX; i++) {
		if (!b->modes[i].mode)
			b->modes[i].mode = mode;
		if (streq(b->modes[i].mode, mode))
			return &b->modes[i];
	}
	return NULL;
}

static int add_sample(void *ctx, const struct bench_sample *s)
{
	struct bench *b = ctx;
	struct samples *of = samples_of(b, s->mode);
	const uint64_t values[PHASES] = {
		s->start_ns,
		s->run_ns,
		s->cleanup_ns,
		s->remove_ns,
		s->start_ns + s->run_ns + s->cleanup_ns + s->remove_ns,
		s->cpu_ns,
	};
	size_t cap = 0;

	if (!of)
		return -ENOSPC;
	for (unsigned p = 0; p < PHASES; p++) {
		cap = of->cap;
		if (mem_grow(&of->values[p], &cap, of->n + 1, sizeof(uint64_t)) < 0)
			return -ENOMEM;
		of->values[p][of->n] = values[p];
	}
	of->cap = cap;
	of->n++;
	if (b->tsv) {
		printf("%s", s->mode);
		for (unsigned p = 0; p < PHASES; p++)
			printf("\t%.3f", (double)values[p] / 1e6);
		printf("\n");
	}
	return 0;
}

static void print_skipped(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "strata: left out: %s\n", line);
}

static void print_header(void)
{
	printf("mode");
	for (unsigned p = 0; p < PHASES; p++)
		printf("\t%s_ms", phase_names[p]);
	printf("\n");
}

static void print_summary(struct bench *b)
{
	_cleanup_(table_freep) struct table *t = table_new(
		(const char *[]){ "MODE", "PHASE", "MIN ms", "MEDIAN ms", "P99 ms", NULL });

	for (unsigned m = 0; t && m < MODES_MAX; m++) {
		struct samples *s = &b->modes[m];

		for (unsigned p = 0; p < PHASES && s->n; p++) {
			char min[24], median[24], p99[24];
			size_t half = s->n / 2, last = (s->n * 99 - 1) / 100;

			qsort(s->values[p], s->n, sizeof(uint64_t), compare);
			snprintf(min, sizeof(min), "%.2f", (double)s->values[p][0] / 1e6);
			snprintf(median, sizeof(median), "%.2f", (double)s->values[p][half] / 1e6);
			snprintf(p99, sizeof(p99), "%.2f", (double)s->values[p][last] / 1e6);
			table_row(t, (const char *[]){ s->mode, phase_names[p], min, median, p99 });
		}
	}
	if (t)
		table_print(t, true);
}

static void free_samples(struct bench *b)
{
	for (unsigned m = 0; m < MODES_MAX; m++)
		for (unsigned p = 0; p < PHASES; p++)
			free(b->modes[m].values[p]);
}

int verb_bench(struct cli *c, int argc, char **argv)
{
	unsigned n = 20;
	struct bench b = { 0 };
	const struct option_def options[] = {
		{ 'n', "runs", OPT_UINT, &n, "N", "runs of each mode (20)" },
		{ 0, "tsv", OPT_FLAG, &b.tsv, NULL,
		  "print every run, tab-separated, in place of the table" },
		{ 0 },
	};
	const struct usage u = {
		"bench",
		"startup [OPTIONS] IMAGE [COMMAND...]",
		"Starts a command (`true`) N times each way, in turn: container by each driver,\n"
		"microVM that boots, microVM that goes on from one that has.",
		options,
		2,
		-1,
		false
	};
	char *dflt[] = { (char[]){ "true" }, NULL };
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!streq(argv[0], "startup"))
		return cli_fail_text("bench: unknown benchmark '%s'; there is: startup", argv[0]);
	if (n < 1 || n > 100000)
		return cli_fail_text("bench: --runs %u: must be 1 to 100000", n);
	if (!cli_root_engine(c, NULL))
		return EXIT_ERROR;
	if (b.tsv)
		print_header();
	r = engine_bench_startup(c->engine, argv[1], n, argv[2] ? argv + 2 : dflt, add_sample,
				 print_skipped, &b);
	if (r == 0 && !b.tsv)
		print_summary(&b);
	free_samples(&b);
	return r < 0 ? cli_fail(r) : 0;
}
