/* SPDX-License-Identifier: Apache-2.0 */
/* strata stop: ends instances, kindly first. */
#include "cli/cli.h"
#include <stdio.h>

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
	int status, worst = 0;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (seconds > 86400)
		return cli_fail_text("stop: --time %u: at most 86400", seconds);
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	for (; *argv; argv++) {
		int r = engine_stop(c->engine, *argv, (int)seconds * 1000);

		if (r < 0)
			worst = cli_fail(r);
		else
			printf("%s\n", *argv);
	}
	return worst;
}
