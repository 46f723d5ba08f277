/* SPDX-License-Identifier: Apache-2.0 */
/* strata gc: removes what nothing needs. */
#include "base/str.h"
#include "cli/cli.h"
#include <inttypes.h>
#include <stdio.h>

int verb_gc(struct cli *c, int argc, char **argv)
{
	bool quiet = false;
	uint64_t keep = 0;
	const struct option_def options[] = {
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print nothing" },
		{ 0, "keep-storage", OPT_SIZE, &keep, "BYTES[kmg]",
		  "leave this much of cached build steps, the last used ones" },
		{ 0 },
	};
	const struct usage u = {
		"gc",
		"[OPTIONS]",
		"Removes what no image and no instance needs, and what killed commands left.",
		options,
		0,
		0,
		false
	};
	struct gc_result result = { 0 };
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_tops_engine(c))
		return EXIT_ERROR;
	r = engine_gc(c->engine, keep, &result);
	if (r < 0)
		return cli_fail(r);
	if (!quiet)
		printf("%" PRIu64 " files removed, %s\n", result.files, str_human(result.bytes).s);
	return 0;
}
