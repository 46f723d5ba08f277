/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs of several instances share: each in turn, and what fails does not stop the others. */
#include "cli/cli.h"
#include <stdio.h>

int cli_each_instance(struct cli *c, char *const *names, cli_instance_fn *fn, void *ctx)
{
	int worst = 0;

	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	for (; *names; names++) {
		int r = fn(c->engine, *names, ctx);

		if (r < 0)
			worst = cli_fail(r);
		else if (r == 0)
			printf("%s\n", *names);
		fflush(stdout);
	}
	return worst;
}
