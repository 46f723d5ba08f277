/* SPDX-License-Identifier: Apache-2.0 */
/* strata fsck: re-hashes the store. */
#include "cli/cli.h"
#include <inttypes.h>
#include <stdio.h>

static void print_damage(void *ctx, const char *line)
{
	(void)ctx;
	printf("%s\n", line);
}

int verb_fsck(struct cli *c, int argc, char **argv)
{
	bool quiet = false, repair = false;
	const struct option_def options[] = {
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print only damage" },
		{ 0, "repair", OPT_FLAG, &repair, NULL, "mend what can be mended, drop the rest" },
		{ 0 },
	};
	const struct usage u = {
		"fsck",
		"[OPTIONS]",
		"Checks every blob, object, pack, index, kernel and machine against its digest;\n"
		"exit status 1 = damage.",
		options,
		0,
		0,
		false
	};
	struct fsck_result result = { 0 };
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_tops_engine(c))
		return EXIT_ERROR;
	r = engine_fsck(c->engine, repair, print_damage, NULL, &result);
	if (r < 0)
		return cli_fail(r);
	if (!quiet)
		printf("%" PRIu64 " things checked, %" PRIu64 " damaged\n", result.checked,
		       result.damaged);
	return result.damaged != 0;
}
