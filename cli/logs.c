/* SPDX-License-Identifier: Apache-2.0 */
/* strata logs: what an instance printed. */
#include "base/str.h"
#include "cli/cli.h"
#include "cli/util.h"

int verb_logs(struct cli *c, int argc, char **argv)
{
	bool follow = false, timestamps = false;
	const char *tail_text = "all";
	const struct option_def options[] = {
		{ 'f', "follow", OPT_FLAG, &follow, NULL, "go on until the instance ends" },
		{ 't', "timestamps", OPT_FLAG, &timestamps, NULL, "put the time before each line" },
		{ 'n', "tail", OPT_STR, &tail_text, "N", "only the last N lines (all)" },
		{ 0 },
	};
	const struct usage u = {
		"logs", "[OPTIONS] INSTANCE", "Shows what an instance printed.", options, 1, 1,
		false
	};
	_cleanup_(inst_closep) struct inst *i = NULL;
	uint64_t tail = 0;
	bool all;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	all = streq(tail_text, "all");
	if (!all && str_u64(tail_text, 0, INT64_MAX, &tail) < 0)
		return cli_fail_text("logs: --tail '%s': must be a number or all", tail_text);
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	r = inst_open(engine_runroot(c->engine), argv[0], &i);
	if (r >= 0)
		r = inst_logs(i, follow, timestamps, all ? -1 : (int64_t)tail, 1, 2);
	return r < 0 ? cli_fail(r) : 0;
}
