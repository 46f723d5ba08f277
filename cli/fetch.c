/* SPDX-License-Identifier: Apache-2.0 */
/* strata-image fetch: brings what of an image is still arriving; started by strata, not by hand. */
#include "base/log.h"
#include "cli/cli.h"
#include <unistd.h>

#define DESK_FD 3 /* as strata-server's keeper hands them over */
#define DOOR_FD 4

int verb_fetch(struct cli *c, int argc, char **argv)
{
	bool desk = false;
	const struct option_def options[] = {
		{ 0, "desk", OPT_FLAG, &desk, NULL,
		  "answer who reads, by the descriptors 3 and 4, until he is gone" },
		{ 0 },
	};
	const struct usage u = { "fetch",
				 "[--desk] MANIFEST",
				 "Brings what of an image is still arriving; started by strata.",
				 options,
				 1,
				 1,
				 false };
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (digest_parse_hex(argv[0], strlen(argv[0]), &manifest) < 0)
		return cli_fail_text("fetch: %s is no digest", argv[0]);
	/* A session of its own: whoever began it may end, or be interrupted at his terminal. */
	setsid();
	log_setup("strata-image", 2, LOG_INFO);
	if (!cli_engine(c, 0))
		return EXIT_ERROR;
	r = arriving_fetch(engine_store(c->engine), &manifest, desk ? DESK_FD : -1,
			   desk ? DOOR_FD : -1);
	return r < 0 ? cli_fail(r) : 0;
}
