/* SPDX-License-Identifier: Apache-2.0 */
/* strata cp: files between the host and an instance. */
#include "cli/cli.h"
#include "base/str.h"

int verb_cp(struct cli *c, int argc, char **argv)
{
	bool archive = false;
	const struct option_def options[] = {
		{ 'a', "archive", OPT_FLAG, &archive, NULL, "keep owners and groups" },
		{ 0 },
	};
	const struct usage u = {
		"cp",
		"[OPTIONS] INSTANCE:PATH PATH | PATH INSTANCE:PATH",
		"Copies files and folders between the host and an instance, running or not. A\n"
		"folder goes into one that is there, its content alone with /. at its end.",
		options,
		2,
		2,
		false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (streq(argv[0], "-") || streq(argv[1], "-"))
		return cli_fail_text("cp: no tar streams: copy to or from a folder");
	/* Before the store is opened: it may have to be mounted. */
	r = engine_cp_begin(&c->where, argv[0], argv[1]);
	if (r < 0)
		return cli_fail(r);
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	r = engine_cp(c->engine, argv[0], argv[1], archive);
	return r < 0 ? cli_fail(r) : 0;
}
