/* SPDX-License-Identifier: Apache-2.0 */
/* strata stop: ends instances, kindly first. */
#include "cli/cli.h"

static int stop_one(struct engine *e, const char *name, void *seconds)
{
	return engine_stop(e, name, *(int *)seconds);
}

int verb_stop(struct cli *c, int argc, char **argv)
{
	const char *word = NULL;
	int seconds = -1;
	const struct option_def options[] = {
		{ 't', "time", OPT_STR, &word, "SECONDS",
		  "how long to wait before SIGKILL (its --stop-timeout, or 10)" },
		{ 0 },
	};
	const struct usage u = { "stop",
				 "[OPTIONS] INSTANCE...",
				 "Sends the stop signal, and SIGKILL where that does not end it.",
				 options,
				 1,
				 -1,
				 false };
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_seconds("stop", word, &seconds) < 0)
		return EXIT_ERROR;
	return cli_each_instance(c, argv, stop_one, &seconds);
}
