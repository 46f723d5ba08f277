/* SPDX-License-Identifier: Apache-2.0 */
/* strata history: how an image was made. */
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/util.h"
#include <stdio.h>

int verb_history(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	const struct option_def options[] = {
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = { "history",
				 "[OPTIONS] IMAGE",
				 "Shows the steps that made an image, latest first.",
				 options,
				 1,
				 1,
				 false };
	_cleanup_(table_freep) struct table *table = NULL;
	_cleanup_(image_closep) struct image *image = NULL;
	const json_t *steps;
	size_t layer;
	bool as_json;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_format(format, &as_json) < 0 || !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = image_open(engine_store(c->engine), argv[0], &image);
	if (r < 0)
		return cli_fail(r);
	steps = json_get_array(image->config, "history");
	if (as_json) {
		_json_ json_t *none = json_array();

		cli_print_json(steps ? steps : none);
		return 0;
	}
	table = table_new((const char *[]){ "CREATED", "CREATED BY", "SIZE", NULL });
	layer = image->nlayers;
	for (size_t n = json_array_size(steps); n-- > 0;) {
		const json_t *step = json_array_get(steps, n);
		bool empty = json_get_bool(step, "empty_layer", 0);
		const char *size = "0 B";
		struct str_human human;

		if (!empty && layer > 0) {
			human = str_human(image->layers[--layer].blob_size);
			size = human.s;
		}
		table_row(table, (const char *[]){ cli_ago(cli_created(step)).s,
						   json_get_str(step, "created_by"), size });
	}
	table_print(table, true);
	return 0;
}
