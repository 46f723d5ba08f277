/* SPDX-License-Identifier: Apache-2.0 */
/* strata import: an image of one layer. */
#include "base/str.h"
#include "cli/cli.h"
#include <stdio.h>

int verb_import(struct cli *c, int argc, char **argv)
{
	_strv_free_ char **changes = NULL;
	bool quiet = false, drop = false;
	const struct option_def options[] = {
		{ 'c', "change", OPT_LIST, &changes, "INSTRUCTION",
		  "CMD, ENTRYPOINT, ENV, LABEL, USER or WORKDIR of the image" },
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "do not print the image's digest" },
		{ 0, "drop-blobs", OPT_FLAG, &drop, NULL,
		  "keep no compressed copy of the layer: save and push make it again" },
		{ 0 },
	};
	const struct usage u = {
		"import",
		"[OPTIONS] DIR|TAR|- NAME[:TAG]",
		"Makes an image of one layer from a directory, or from a tar (plain, gzip or\n"
		"zstd).",
		options,
		2,
		2,
		false
	};
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_import(c->engine, argv[0], argv[1], changes, &manifest);
	if (r >= 0 && drop)
		r = image_drop_blobs(engine_store(c->engine), &manifest);
	if (r < 0)
		return cli_fail(r);
	if (!quiet)
		printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}
