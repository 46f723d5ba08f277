/* SPDX-License-Identifier: Apache-2.0 */
/* strata pull, push: images from and to registries. */
#include "cli/cli.h"
#include <stdio.h>

static void print_progress(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%s\n", line);
}

int verb_pull(struct cli *c, int argc, char **argv)
{
	bool quiet = false;
	const struct option_def options[] = {
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print the digest alone" },
		{ 0 },
	};
	const struct usage u = { "pull",
				 "[OPTIONS] NAME[:TAG|@DIGEST]",
				 "Takes an image from a registry.",
				 options,
				 1,
				 1,
				 false };
	struct pull_options o = { .progress = print_progress };
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = image_pull(engine_store(c->engine), argv[0], NULL, quiet ? NULL : &o, &manifest);
	if (r < 0)
		return cli_fail(r);
	printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}

int verb_push(struct cli *c, int argc, char **argv)
{
	bool quiet = false;
	const struct option_def options[] = {
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print the digest alone" },
		{ 0 },
	};
	const struct usage u = { "push",
				 "[OPTIONS] IMAGE [NAME[:TAG]]",
				 "Sends an image to a registry.",
				 options,
				 1,
				 2,
				 false };
	struct pull_options o = { .progress = print_progress };
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = image_push(engine_store(c->engine), argv[0], argv[1], quiet ? NULL : &o, &manifest);
	if (r < 0)
		return cli_fail(r);
	printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}
