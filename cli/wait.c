/* SPDX-License-Identifier: Apache-2.0 */
/* strata wait: until instances have ended. */
#include "cli/cli.h"
#include <stdio.h>

static int wait_one(struct engine *e, const char *name, void *ctx)
{
	int code, r = engine_wait(e, name, &code);

	(void)ctx;
	if (r < 0)
		return r;
	printf("%d\n", code);
	return 1;
}

int verb_wait(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"wait",
		"INSTANCE...",
		"Waits for the end of each instance in turn and prints its exit code, a line each.",
		options,
		1,
		-1,
		false
	};
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	return cli_each_instance(c, argv, wait_one, NULL);
}
