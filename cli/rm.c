/* SPDX-License-Identifier: Apache-2.0 */
/* strata rm: removes instances with all that is theirs. */
#include "base/err.h"
#include "cli/cli.h"

static int rm_one(struct engine *e, const char *name, void *ctx)
{
	const bool *force = ctx;
	int r = engine_rm(e, name, *force);

	if (r != -ENOENT || !*force)
		return r;
	err_clear();
	return 1;
}

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
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_tops_engine(c))
		return EXIT_ERROR;
	return cli_each_instance(c, argv, rm_one, &force);
}
