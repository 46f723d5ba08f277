/* SPDX-License-Identifier: Apache-2.0 */
/* strata diff: what an instance changed in its image. */
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include <stdio.h>

#define SHOWN_MAX (4 * 4096) /* a path, all of it escaped */

static int print_change(void *ctx, char kind, const char *path)
{
	json_t *json = ctx;
	char shown[SHOWN_MAX + 1];

	str_printable(shown, sizeof(shown), path);
	if (json)
		json_array_append_new(json, json_pack("{s:s#, s:o}", "kind", &kind, 1, "path",
						      json_sprintf("/%s", shown)));
	else
		printf("%c /%s\n", kind, shown);
	return 0;
}

int verb_diff(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	const struct option_def options[] = {
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = {
		"diff",
		"[OPTIONS] INSTANCE",
		"Shows what an instance that does not run changed in its image: A added, C\n"
		"changed, D deleted.",
		options,
		1,
		1,
		false
	};
	_json_ json_t *json = NULL;
	bool as_json;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_format(format, &as_json) < 0 || !cli_tops_engine(c))
		return EXIT_ERROR;
	json = as_json ? json_array() : NULL;
	engine_revive(c->engine);
	r = engine_diff(c->engine, argv[0], print_change, json);
	if (r < 0)
		return cli_fail(r);
	if (as_json)
		cli_print_json(json);
	return 0;
}
