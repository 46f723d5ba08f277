/* SPDX-License-Identifier: Apache-2.0 */
/* strata load: images out of an OCI layout. */
#include "cli/cli.h"
#include <stdio.h>

static void print_loaded(void *ctx, const char *name, const struct digest *manifest)
{
	const bool *quiet = ctx;

	if (!*quiet)
		printf("%s sha256:%s\n", name ? name : "<none>", digest_hex(manifest).s);
}

int verb_load(struct cli *c, int argc, char **argv)
{
	const char *input = "-";
	bool quiet = false;
	const struct option_def options[] = {
		{ 'i', "input", OPT_STR, &input, "PATH",
		  "the layout: a folder or a tar (standard input)" },
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print nothing" },
		{ 0 },
	};
	const struct usage u = {
		"load",	 "[OPTIONS]", "Takes all images of an OCI layout into the store.",
		options, 0,	      0,
		false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = store_load(engine_store(c->engine), input, NULL, print_loaded, &quiet);
	return r < 0 ? cli_fail(r) : 0;
}
