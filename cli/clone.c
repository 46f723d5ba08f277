/* SPDX-License-Identifier: Apache-2.0 */
/* strata clone: microVMs that go on where another one stands. */
#include "base/err.h"
#include "cli/cli.h"
#include <stdio.h>

#define CLONES_MAX 1000u

static void tell(void *ctx, const char *id, int r)
{
	int *status = ctx;

	if (r < 0)
		*status = cli_fail(r);
	else
		printf("%s\n", id);
}

int verb_clone(struct cli *c, int argc, char **argv)
{
	struct clone_options o = { .count = 1 };
	const struct option_def options[] = {
		{ 'n', "count", OPT_UINT, &o.count, "N", "how many (1)" },
		{ 0, "name", OPT_STR, &o.name, "NAME",
		  "a name for it; of several, NAME-1, NAME-2 and so on" },
		{ 0 },
	};
	const struct usage u = {
		"clone",
		"[OPTIONS] INSTANCE",
		"Makes microVMs that go on where a running one stands, or a checkpointed one\n"
		"stood, each with a top and an identity of its own; prints their ids.",
		options,
		1,
		1,
		false
	};
	int status, failed = 0, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (o.count < 1 || o.count > CLONES_MAX)
		return cli_fail_text("clone: -n %u: 1 to %u", o.count, CLONES_MAX);
	if (!cli_root_engine(c, NULL))
		return EXIT_ERROR;
	engine_revive(c->engine);
	r = engine_clone(c->engine, argv[0], &o, tell, &failed);
	return r < 0 ? cli_fail(r) : failed;
}
