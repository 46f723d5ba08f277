/* SPDX-License-Identifier: Apache-2.0 */
/* strata rm: removes instances with all that is theirs. */
#include "base/err.h"
#include "cli/cli.h"
#include <stdio.h>

int verb_rm(struct cli *c, int argc, char **argv)
{
	bool force = false;
	const struct option_def options[] = {
		{ 'f', "force", OPT_FLAG, &force, NULL,
		  "kill what runs; one that is not there is no error" },
		{ 0 },
	};
	const struct usage u = { "rm",
				 "[OPTIONS] INSTANCE...",
				 "Removes instances, their logs and their writable tops.",
				 options,
				 1,
				 -1,
				 false };
	int status, worst = 0;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	for (; *argv; argv++) {
		int r = engine_rm(c->engine, *argv, force);

		if (r == -ENOENT && force)
			err_clear();
		else if (r < 0)
			worst = cli_fail(r);
		else
			printf("%s\n", *argv);
	}
	return worst;
}
