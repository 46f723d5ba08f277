/* SPDX-License-Identifier: Apache-2.0 */
/* strata rm: removes instances with all that is theirs. */
#include "base/err.h"
#include "cli/cli.h"

struct rm {
	bool force;
	int seconds;
};

static int rm_one(struct engine *e, const char *name, void *ctx)
{
	const struct rm *m = ctx;
	int r = engine_rm(e, name, m->force, m->seconds);

	if (r != -ENOENT || !m->force)
		return r;
	err_clear();
	return 1;
}

int verb_rm(struct cli *c, int argc, char **argv)
{
	struct rm m = { .seconds = -1 };
	const char *word = NULL;
	const struct option_def options[] = {
		{ 'f', "force", OPT_FLAG, &m.force, NULL,
		  "end what runs; one that is not there is no error" },
		{ 't', "time", OPT_STR, &word, "SECONDS",
		  "with -f: how long to wait before SIGKILL (its --stop-timeout, or 0)" },
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
	if (cli_seconds("rm", word, &m.seconds) < 0)
		return EXIT_ERROR;
	if (!cli_tops_engine(c))
		return EXIT_ERROR;
	return cli_each_instance(c, argv, rm_one, &m);
}
