/* SPDX-License-Identifier: Apache-2.0 */
/* strata pause, unpause: hold instances, let them go on. */
#include "cli/cli.h"

static int pause_one(struct engine *e, const char *name, void *paused)
{
	return engine_pause(e, name, *(bool *)paused);
}

static int pause_each(struct cli *c, const struct usage *u, int argc, char **argv, bool paused)
{
	int status;

	if (options_parse(u, argc, argv, &argv, &status))
		return status;
	return cli_each_instance(c, argv, pause_one, &paused);
}

int verb_pause(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"pause", "INSTANCE...", "Holds all that runs in instances.", options, 1, -1, false
	};

	return pause_each(c, &u, argc, argv, true);
}

int verb_unpause(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"unpause", "INSTANCE...", "Lets paused instances go on.", options, 1, -1, false
	};

	return pause_each(c, &u, argc, argv, false);
}
