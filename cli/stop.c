/* SPDX-License-Identifier: Apache-2.0 */
/* strata stop: ends instances, kindly first. */
#include "cli/cli.h"

static int stop_one(struct engine *e, const char *name, void *seconds)
{
	return engine_stop(e, name, *(unsigned *)seconds * 1000);
}

int verb_stop(struct cli *c, int argc, char **argv)
{
	unsigned seconds = 10;
	const struct option_def options[] = {
		{ 't', "time", OPT_UINT, &seconds, "SECONDS",
		  "how long to wait before SIGKILL (10)" },
		{ 0 },
	};
	const struct usage u = {
		"stop",
		"[OPTIONS] INSTANCE...",
		"Sends the image's stop signal, and SIGKILL to what has not ended in time.",
		options,
		1,
		-1,
		false
	};
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (seconds > 86400)
		return cli_fail_text("stop: --time %u: at most 86400", seconds);
	return cli_each_instance(c, argv, stop_one, &seconds);
}
