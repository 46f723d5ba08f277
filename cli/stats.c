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
	double cpus; /* since the look before */
	/* Of a microVM that answers. */
	bool has_devices;
	struct device_stats devices;
};

static int collect_id(void *ctx, const struct ps_entry *p)
{
	if (p->state->status != INST_RUNNING && p->state->status != INST_PAUSED)
		return 0;
	return strv_add(ctx, p->id);
}

static void look_at_devices(struct engine *e, const char *name, struct sample *s)
{
	s->has_devices = engine_device_stats(e, name, &s->devices) == 0;
	err_clear();
}

/* Two looks, an interval apart, at each; what cannot be looked at has no cpus (-1). */
static int look(struct engine *e, char *const *names, size_t n, struct sample *samples)
{
	uint64_t begin = clock_ns(), end;
	int worst = 0;

	for (size_t i = 0; i < n; i++) {
		int r = engine_stats(e, names[i], &samples[i].now);

		samples[i].cpus = r < 0 ? -1 : 0;
		if (r < 0)
			worst = cli_fail(r);
	}
	poll(NULL, 0, INTERVAL_MS);
	end = clock_ns();
	for (size_t i = 0; i < n; i++) {
		uint64_t before = samples[i].now.cpu_ns;

		/* Ended meanwhile: what it used until then stands. */
		if (samples[i].cpus < 0 || engine_stats(e, names[i], &samples[i].now) < 0) {
			err_clear();
			continue;
		}
		samples[i].cpus = (double)(samples[i].now.cpu_ns - before) / (double)(end - begin);
		look_at_devices(e, names[i], &samples[i]);
	}
	return worst;
}

static void add_devices(struct engine *e, const char *name, const struct device_stats *d,
			json_t *sample)
{
	_cleanup_(inst_closep) struct inst *i = NULL;

	if (d->known & DEVICE_NET)
		json_object_set_new(sample, "netIO", device_io_json(devices_net_io(d)));
	if (d->known & DEVICE_DISKS)
		json_object_set_new(sample, "blockIO", device_io_json(devices_block_io(d)));
	if (inst_open(engine_runroot(e), name, &i) == 0)
		json_object_set_new(sample, "devices", devices_json(d, inst_config(i)));
	err_clear();
}

static json_t *sample_json(struct engine *e, const char *name, const struct sample *s)
{
	const struct cgroup_usage *u = &s->now;
	json_t *j = json_pack("{s:s, s:f, s:I, s:I, s:I, s:I}", "instance", name, "cpuPercent",
			      s->cpus * 100, "cpuNs", (json_int_t)u->cpu_ns, "memory",
			      (json_int_t)u->memory, "memoryLimit", (json_int_t)u->memory_limit,
			      "pids", (json_int_t)u->pids);

	if (j && s->has_devices)
		add_devices(e, name, &s->devices, j);
	return j;
}

static void show_json(struct engine *e, char *const *names, size_t n, const struct sample *samples)
{
	_json_ json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (samples[i].cpus >= 0)
			json_array_append_new(list, sample_json(e, names[i], &samples[i]));
	cli_print_json(list);
}

static bool has(const struct sample *s, uint32_t device)
{
	return s->has_devices && (s->devices.known & device);
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
		net = device_io_text(devices_net_io(&samples[i].devices));
		block = device_io_text(devices_block_io(&samples[i].devices));
		table_row(t,
			  (const char *[]){ names[i], percent, spent, str_human(u->memory).s,
					    u->memory_limit ? str_human(u->memory_limit).s : "-",
					    has(&samples[i], DEVICE_NET) ? net.s : "-",
					    has(&samples[i], DEVICE_DISKS) ? block.s : "-", pids });
	}
	table_print(t, true);
}

static int show_once(struct engine *e, char *const *given, bool as_json, bool clear)
{
	_strv_free_ char **all = NULL;
	_free_ struct sample *samples = NULL;
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
		show_json(e, names, n, samples);
	else
		show_table(names, n, samples);
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
