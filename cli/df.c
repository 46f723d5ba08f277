/* SPDX-License-Identifier: Apache-2.0 */
/* strata df: what takes how much of the disk. */
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/util.h"
#include <stdio.h>

static json_t *image_json(const struct df_image *i)
{
	return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "names", json_from_strv(i->names),
			 "id", json_sprintf("sha256:%s", digest_hex(&i->id).s), "manifest",
			 json_sprintf("sha256:%s", digest_hex(&i->manifest).s), "size",
			 (json_int_t)i->size, "shared", (json_int_t)i->shared, "unique",
			 (json_int_t)i->unique, "reclaimable", (json_int_t)i->reclaimable);
}

static int list_image(void *ctx, const struct df_image *i)
{
	struct listing *l = ctx;
	char id[13];

	if (l->json) {
		json_array_append_new(l->json, image_json(i));
		return 0;
	}
	snprintf(id, sizeof(id), "%.12s", digest_hex(&i->id).s);
	for (size_t n = 0; n < MAX(strv_len(i->names), (size_t)1); n++)
		table_row(l->table, (const char *[]){ i->names ? i->names[n] : "<none>", id,
						      n ? "" : str_human(i->size).s,
						      n ? "" : str_human(i->shared).s,
						      n ? "" : str_human(i->unique).s,
						      n ? "" : str_human(i->reclaimable).s });
	return 0;
}

struct total {
	const char *word;
	uint64_t count, bytes, reclaimable;
};

static void print_totals(const struct total *t, size_t n)
{
	_cleanup_(table_freep) struct table *table =
		table_new((const char *[]){ "TYPE", "COUNT", "SIZE", "RECLAIMABLE", NULL });

	for (size_t i = 0; table && i < n; i++) {
		char count[24];

		snprintf(count, sizeof(count), "%llu", (unsigned long long)t[i].count);
		table_row(table, (const char *[]){ t[i].word, count, str_human(t[i].bytes).s,
						   str_human(t[i].reclaimable).s });
	}
	printf("\n");
	if (table)
		table_print(table, true);
}

static void print_json(json_t *images, const struct total *t, size_t n)
{
	_json_ json_t *all = json_pack("{s:O}", "images", images);

	for (size_t i = 0; all && i < n; i++)
		json_object_set_new(all, i ? t[i].word : "total",
				    json_pack("{s:I, s:I, s:I}", "count", (json_int_t)t[i].count,
					      "size", (json_int_t)t[i].bytes, "reclaimable",
					      (json_int_t)t[i].reclaimable));
	cli_print_json(all);
}

int verb_df(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	const struct option_def options[] = {
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = {
		"df",
		"[OPTIONS]",
		"Says what takes how much of the disk: of each image what it shares with\n"
		"others, what is its own, and of that what its removal would free now (no\n"
		"instance stands on it).",
		options,
		0,
		0,
		false
	};
	_cleanup_(listing_done) struct listing l = { 0 };
	struct df_total t;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (listing_init(&l, format,
			 (const char *[]){ "IMAGE", "ID", "SIZE", "SHARED", "UNIQUE", "RECLAIMABLE",
					   NULL }) < 0 ||
	    !cli_tops_engine(c))
		return EXIT_ERROR;
	r = store_df(engine_store(c->engine), list_image, &l, &t);
	if (r < 0)
		return cli_fail(r);
	{
		const struct total totals[] = {
			{ "images", t.images, t.image_bytes, t.image_reclaimable },
			{ "tops", t.tops, t.top_bytes, 0 },
			{ "unnamed", t.garbage, t.garbage_bytes, t.garbage_bytes },
			{ "downloads", t.downloads, t.download_bytes, 0 },
			{ "machines", t.machines, t.machine_bytes, t.machine_reclaimable },
			{ "kernels", t.kernels, t.kernel_bytes, t.kernel_reclaimable },
		};

		if (l.json) {
			print_json(l.json, totals, ARRAY_SIZE(totals));
			return 0;
		}
		listing_print(&l);
		print_totals(totals, ARRAY_SIZE(totals));
	}
	return 0;
}
