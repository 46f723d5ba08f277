/* SPDX-License-Identifier: Apache-2.0 */
/* strata update: changes the size of what runs, or will. */
#include "cli/cli.h"

static int update_one(struct engine *e, const char *name, void *limits)
{
	return engine_update(e, name, limits);
}

int verb_update(struct cli *c, int argc, char **argv)
{
	struct run_limits limits = { 0 };
	const struct option_def options[] = {
		{ 'm', "memory", OPT_SIZE, &limits.memory, "BYTES[kmg]",
		  "at most this much memory; of a microVM that runs: with a balloon,\n"
		  "and up to what it started with" },
		{ 0, "cpus", OPT_CPUS, &limits.nano_cpus, "N",
		  "at most this many CPUs' time, e.g. 1.5" },
		{ 0, "pids-limit", OPT_SIZE, &limits.pids, "N", "at most this many processes" },
		{ 0, "io-rate", OPT_SIZE, &limits.io_rate, "BYTES[kmg]",
		  "at most so much a second from and to the store's disk" },
		{ 0 },
	};
	const struct usage u = {
		"update",
		"[OPTIONS] INSTANCE...",
		"Changes the limits of instances, at once and for their next start.",
		options,
		1,
		-1,
		false
	};
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!limits.memory && !limits.nano_cpus && !limits.pids && !limits.io_rate)
		return cli_fail_text("update: say what to change: --memory, --cpus, --pids-limit, "
				     "--io-rate");
	return cli_each_instance(c, argv, update_one, &limits);
}
