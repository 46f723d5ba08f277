/* SPDX-License-Identifier: Apache-2.0 */
/* strata rename: gives an instance another name. */
#include "cli/cli.h"

int verb_rename(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"rename", "INSTANCE NAME", "Gives an instance another name.", options, 2, 2, false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	r = engine_rename(c->engine, argv[0], argv[1]);
	return r < 0 ? cli_fail(r) : 0;
}
