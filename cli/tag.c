/* SPDX-License-Identifier: Apache-2.0 */
/* strata tag: another name for an image. */
#include "base/err.h"
#include "cli/cli.h"

int verb_tag(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"tag", "IMAGE NAME[:TAG]", "Gives an image another name.", options, 2, 2, false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = image_tag(engine_store(c->engine), argv[0], argv[1]);
	return r < 0 ? cli_fail(r) : 0;
}
