/* SPDX-License-Identifier: Apache-2.0 */
/* strata stats: what instances use, again each second. */
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/devices.h"
#include "cli/util.h"
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define INTERVAL_MS 1000 /* between two looks: docker's */

struct sample {
	struct cgroup_usage now;
	double cpus;	 /* since the look before */
	json_t *devices; /* of a microVM that answers, or NULL */
	/* Bytes in and out, where somebody counts them. */
	bool has_net, has_block;
	struct device_io net, block;
};

static int collect_id(void *ctx, const struct ps_entry *p)
{
	if (p->state->status != INST_RUNNING && p->state->status != INST_PAUSED)
		return 0;
	return strv_add(ctx, p->id);
}

static void samples_free(struct sample *samples, size_t n)
{
	for (size_t i = 0; samples && i < n; i++)
		json_decref(samples[i].devices);
	free(samples);
}

/* A microVM's network and disks are its devices; a container's its namespace and its cgroup. */
static void look_at_io(const struct inst *i, struct sample *s)
{
	struct device_stats d;
	struct net_usage n;

	if (engine_device_stats(i, &d) == 0) {
		s->devices = devices_json(&d, inst_config(i));
		s->has_net = d.known & DEVICE_NET;
		s->net = devices_net_io(&d);
		s->has_block = d.known & DEVICE_DISKS;
		s->block = devices_block_io(&d);
		return;
	}
	s->has_net = engine_net_usage(i, &n) == 0;
	if (s->has_net)
		s->net = (struct device_io){ n.in, n.out };
	s->has_block = s->now.has_io;
	s->block = (struct device_io){ s->now.io_read, s->now.io_written };
	err_clear();
}

/* Opens it once for all that is asked, and holds nothing: there may be more than descriptors. */
static int look_at(struct engine *e, const char *name, bool io, struct sample *s)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	int r = inst_open(engine_runroot(e), name, &i);

	if (r >= 0)
		r = engine_stats(i, &s->now);
	if (r >= 0 && io)
		look_at_io(i, s);
	return r;
}

/* Two looks, an interval apart, at each; what cannot be looked at has no cpus (-1). */
static int look(struct engine *e, char *const *names, size_t n, struct sample *samples)
{
	uint64_t begin = clock_ns(), end;
	int worst = 0;

	for (size_t i = 0; i < n; i++) {
		int r = look_at(e, names[i], false, &samples[i]);

		samples[i].cpus = r < 0 ? -1 : 0;
		if (r < 0)
			worst = cli_fail(r);
	}
	poll(NULL, 0, INTERVAL_MS);
	end = clock_ns();
	for (size_t i = 0; i < n; i++) {
		struct sample *s = &samples[i];
		uint64_t before = s->now.cpu_ns;

		/* Ended meanwhile: what it used until then stands. */
		if (s->cpus < 0 || look_at(e, names[i], true, s) < 0) {
			err_clear();
			continue;
		}
		s->cpus = (double)(s->now.cpu_ns - before) / (double)(end - begin);
	}
	return worst;
}

static json_t *sample_json(const char *name, const struct sample *s)
{
	const struct cgroup_usage *u = &s->now;
	json_t *j = json_pack("{s:s, s:f, s:I, s:I, s:I, s:I}", "instance", name, "cpuPercent",
			      s->cpus * 100, "cpuNs", (json_int_t)u->cpu_ns, "memory",
			      (json_int_t)u->memory, "memoryLimit", (json_int_t)u->memory_limit,
			      "pids", (json_int_t)u->pids);

	if (j && s->has_net)
		json_object_set_new(j, "netIO", device_io_json(s->net));
	if (j && s->has_block)
		json_object_set_new(j, "blockIO", device_io_json(s->block));
	if (j && s->devices)
		json_object_set(j, "devices", s->devices);
	return j;
}

static void show_json(char *const *names, size_t n, const struct sample *samples)
{
	_json_ json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (samples[i].cpus >= 0)
			json_array_append_new(list, sample_json(names[i], &samples[i]));
	cli_print_json(list);
}

static void show_table(char *const *names, size_t n, const struct sample *samples)
{
	_cleanup_(table_freep) struct table *t =
		table_new((const char *[]){ "INSTANCE", "CPU %", "CPU TIME", "MEMORY", "LIMIT",
					    "NET IO", "BLOCK IO", "PIDS", NULL });

	for (size_t i = 0; i < n; i++) {
		const struct cgroup_usage *u = &samples[i].now;
		struct device_io_text net, block;
		char percent[32], spent[32], pids[24];

		if (samples[i].cpus < 0)
			continue;
		snprintf(percent, sizeof(percent), "%.2f", samples[i].cpus * 100);
		snprintf(spent, sizeof(spent), "%.2f s", (double)u->cpu_ns / 1e9);
		snprintf(pids, sizeof(pids), "%llu", (unsigned long long)u->pids);
		net = device_io_text(samples[i].net);
		block = device_io_text(samples[i].block);
		table_row(t, (const char *[]){ names[i], percent, spent, str_human(u->memory).s,
					       u->memory_limit ? str_human(u->memory_limit).s : "-",
					       samples[i].has_net ? net.s : "-",
					       samples[i].has_block ? block.s : "-", pids });
	}
	table_print(t, true);
}

static int show_once(struct engine *e, char *const *given, bool as_json, bool clear)
{
	_strv_free_ char **all = NULL;
	struct sample *samples;
	char *const *names = given;
	size_t n;
	int r;

	if (!*given) {
		r = engine_ps(e, collect_id, &all);
		if (r < 0)
			return cli_fail(r);
		names = all;
	}
	n = strv_len(names);
	samples = mem_new(n + 1, sizeof(*samples));
	if (!samples)
		return cli_fail(-ENOMEM);
	r = look(e, names, n, samples);
	if (clear)
		printf("\033[H\033[J");
	if (as_json)
		show_json(names, n, samples);
	else
		show_table(names, n, samples);
	samples_free(samples, n);
	return r;
}

int verb_stats(struct cli *c, int argc, char **argv)
{
	bool once = false, as_json;
	const char *format = NULL;
	const struct option_def options[] = {
		{ 0, "no-stream", OPT_FLAG, &once, NULL, "show it once" },
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = { "stats",
				 "[OPTIONS] [INSTANCE...]",
				 "Shows what instances (all that run) use, each second.",
				 options,
				 0,
				 -1,
				 false };
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_format(format, &as_json) < 0 || !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	do {
		status = show_once(c->engine, argv, as_json, !once && isatty(1));
	} while (!once && !status && fflush(stdout) == 0);
	return status;
}
