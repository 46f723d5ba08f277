/* SPDX-License-Identifier: Apache-2.0 */
/* strata rmi: takes names away. */
#include "base/err.h"
#include "cli/cli.h"

int verb_rmi(struct cli *c, int argc, char **argv)
{
	bool force = false;
	const struct option_def options[] = {
		{ 'f', "force", OPT_FLAG, &force, NULL,
		  "by ID with all its names; an image that is not there is no error" },
		{ 0 },
	};
	const struct usage u = { "rmi",
				 "[OPTIONS] IMAGE...",
				 "Takes names away, and with the last one what nothing else needs.",
				 options,
				 1,
				 -1,
				 false };
	int status, worst = 0;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	for (; *argv; argv++) {
		struct store *s = engine_store(c->engine);
		int r = force ? image_remove_all(s, *argv) : image_remove(s, *argv);

		if (r == -ENOENT && force)
			err_clear();
		else if (r < 0)
			worst = cli_fail(r);
	}
	return worst;
}
