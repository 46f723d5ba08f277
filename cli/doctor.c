/* SPDX-License-Identifier: Apache-2.0 */
/* strata doctor: what this host can do. */
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/util.h"

static int list_item(void *ctx, const struct doctor_item *i)
{
	static const char *const words[] = {
		[DOCTOR_YES] = "yes", [DOCTOR_NO] = "no", [DOCTOR_PARTLY] = "partly"
	};
	struct listing *l = ctx;

	if (l->json)
		json_array_append_new(l->json,
				      json_pack("{s:s, s:s, s:s}", "name", i->name, "verdict",
						words[i->verdict], "detail", i->detail));
	else
		table_row(l->table, (const char *[]){ i->name, words[i->verdict], i->detail });
	return 0;
}

int verb_doctor(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	const struct option_def options[] = {
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = { "doctor",
				 "[OPTIONS]",
				 "Says what this host can do, and what to do about what it cannot.",
				 options,
				 0,
				 0,
				 false };
	_cleanup_(listing_done) struct listing l = { 0 };
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (listing_init(&l, format, (const char *[]){ "WHAT", "HERE", "DETAIL", NULL }) < 0)
		return EXIT_ERROR;
	r = engine_doctor(&c->where, list_item, &l);
	if (r < 0)
		return cli_fail(r);
	listing_print(&l);
	return 0;
}
