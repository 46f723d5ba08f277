/* SPDX-License-Identifier: Apache-2.0 */
/* strata commit: an image of an instance and its changes. */
#include "base/str.h"
#include "cli/cli.h"
#include <stdio.h>

int verb_commit(struct cli *c, int argc, char **argv)
{
	_strv_free_ char **changes = NULL;
	struct commit_options o = { 0 };
	bool quiet = false;
	const struct option_def options[] = {
		{ 'm', "message", OPT_STR, &o.message, "TEXT", "what changed, for the history" },
		{ 'a', "author", OPT_STR, &o.author, "NAME", "who made the image" },
		{ 'c', "change", OPT_LIST, &changes, "INSTRUCTION",
		  "CMD, ENTRYPOINT, ENV, LABEL, USER or WORKDIR of the image" },
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "do not print the image's digest" },
		{ 0 },
	};
	const struct usage u = {
		"commit",
		"[OPTIONS] INSTANCE [NAME[:TAG]]",
		"Makes an image of an instance that does not run: its image, and what it changed.",
		options,
		1,
		2,
		false
	};
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_tops_engine(c))
		return EXIT_ERROR;
	engine_revive(c->engine);
	o.name = argv[1];
	o.changes = changes;
	r = engine_commit(c->engine, argv[0], &o, &manifest);
	if (r < 0)
		return cli_fail(r);
	if (!quiet)
		printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}
