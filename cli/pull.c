/* SPDX-License-Identifier: Apache-2.0 */
/* strata pull, push: images from and to registries. */
#include "cli/cli.h"
#include "cli/progress.h"
#include <stdio.h>

/* Fills in the callback unless @quiet; the caller frees. */
static struct progress *show(struct pull_options *o, bool quiet, const char *done)
{
	struct progress *p = quiet ? NULL : progress_new(done);

	o->progress = p ? progress_tell : NULL;
	o->ctx = p;
	return p;
}

int verb_pull(struct cli *c, int argc, char **argv)
{
	bool quiet = false, drop = false;
	const char *platform = NULL;
	const struct option_def options[] = {
		{ 0, "platform", OPT_STR, &platform, "OS/ARCH[/VARIANT]",
		  "which image of an index (linux/amd64)" },
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print the digest alone" },
		{ 0, "drop-blobs", OPT_FLAG, &drop, NULL,
		  "keep no compressed copy of the layers: save and push make it again" },
		{ 0 },
	};
	const struct usage u = { "pull",
				 "[OPTIONS] NAME[:TAG|@DIGEST]",
				 "Takes an image from a registry.",
				 options,
				 1,
				 1,
				 false };
	struct pull_options o = { 0 };
	struct platform wanted;
	struct progress *progress;
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_platform(platform, &wanted, &o.platform) < 0 || !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	progress = show(&o, quiet, "downloaded");
	r = image_pull(engine_store(c->engine), argv[0], &o, &manifest);
	progress_free(progress);
	if (r >= 0 && drop)
		r = image_drop_blobs(engine_store(c->engine), &manifest);
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
	struct pull_options o = { 0 };
	struct progress *progress;
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	progress = show(&o, quiet, "uploaded");
	r = image_push(engine_store(c->engine), argv[0], argv[1], &o, &manifest);
	progress_free(progress);
	if (r < 0)
		return cli_fail(r);
	printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}
