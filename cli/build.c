/* SPDX-License-Identifier: Apache-2.0 */
/* strata build: an image from a Containerfile. */
#include "base/str.h"
#include "cli/cli.h"
#include <stdio.h>

static void print_progress(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%s\n", line);
}

int verb_build(struct cli *c, int argc, char **argv)
{
	_strv_free_ char **build_args = NULL;
	bool quiet = false;
	struct engine_build b = { .network = "host" };
	const struct option_def options[] = {
		{ 't', "tag", OPT_STR, &b.name, "NAME[:TAG]", "the image's name" },
		{ 'f', "file", OPT_STR, &b.file, "FILE",
		  "the Containerfile (CONTEXT/Containerfile or CONTEXT/Dockerfile)" },
		{ 0, "build-arg", OPT_LIST, &build_args, "NAME=VALUE", "a value for ARG NAME" },
		{ 0, "target", OPT_STR, &b.target, "STAGE", "stop at this stage" },
		{ 0, "network", OPT_STR, &b.network, "host|none", "network of RUN (host)" },
		{ 0, "no-cache", OPT_FLAG, &b.no_cache, NULL, "run every step again" },
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print only the image's digest" },
		{ 0 },
	};
	const struct usage u = { "build",
				 "[OPTIONS] CONTEXT",
				 "Builds an image from a Containerfile and a context directory.",
				 options,
				 1,
				 1,
				 false };
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!streq(b.network, "host") && !streq(b.network, "none"))
		return cli_fail_text("build: --network '%s': must be host or none", b.network);
	b.context = argv[0];
	b.build_args = build_args;
	b.quiet = quiet;
	b.progress = quiet ? NULL : print_progress;
	r = engine_own_mounts(&c->where, NULL);
	if (r < 0)
		return cli_fail(r);
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_build(c->engine, &b, &manifest);
	if (r < 0)
		return cli_fail(r);
	printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}
