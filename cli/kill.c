/* SPDX-License-Identifier: Apache-2.0 */
/* strata kill: sends the command of instances a signal. */
#include "cli/cli.h"

static int kill_one(struct engine *e, const char *name, void *sig)
{
	return engine_kill(e, name, *(int *)sig);
}

int verb_kill(struct cli *c, int argc, char **argv)
{
	const char *name = "KILL";
	const struct option_def options[] = {
		{ 's', "signal", OPT_STR, &name, "SIGNAL", "name or number (KILL)" },
		{ 0 },
	};
	const struct usage u = { "kill",
				 "[OPTIONS] INSTANCE...",
				 "Sends the command of instances a signal.",
				 options,
				 1,
				 -1,
				 false };
	int status, sig;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	sig = *name ? signal_parse(name) : 0;
	if (!sig)
		return cli_fail_text("kill: --signal '%s': no such signal", name);
	return cli_each_instance(c, argv, kill_one, &sig);
}
