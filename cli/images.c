/* SPDX-License-Identifier: Apache-2.0 */
/* strata images: lists the images of the store. */
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/util.h"
#include <stdio.h>

struct images_list {
	struct listing rows;
	bool quiet, arriving;
};

static void images_list_done(struct images_list *l)
{
	listing_done(&l->rows);
}

static int list_image(void *ctx, struct image *i)
{
	struct images_list *l = ctx;
	struct digest_hex id = digest_hex(&i->config_digest), manifest = digest_hex(&i->manifest);
	const char *colon = i->name ? strrchr(i->name, ':') : NULL;
	_free_ char *name = colon ? strndup(i->name, colon - i->name) : strdup("<none>");
	char layers[16], short_id[13];

	snprintf(short_id, sizeof(short_id), "%.12s", id.s);
	snprintf(layers, sizeof(layers), "%zu", i->nlayers);
	if (l->quiet)
		printf("%.12s\n", id.s);
	else if (l->rows.json)
		json_array_append_new(l->rows.json,
				      json_pack("{s:s*, s:o, s:o, s:s*, s:I, s:i, s:b}", "name",
						i->name, "id", json_sprintf("sha256:%s", id.s),
						"manifest", json_sprintf("sha256:%s", manifest.s),
						"created", json_get_str(i->config, "created"),
						"size", (json_int_t)i->size, "layers",
						(int)i->nlayers, "arriving", (int)l->arriving));
	else
		table_row(l->rows.table,
			  (const char *[]){ name, colon ? colon + 1 : "<none>", short_id, layers,
					    cli_ago(cli_created(i->config)).s,
					    l->arriving ? "arriving" : str_human(i->size).s });
	return 0;
}

int verb_images(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	_cleanup_(images_list_done) struct images_list l = { 0 };
	const struct option_def options[] = {
		{ 'q', "quiet", OPT_FLAG, &l.quiet, NULL, "print only the ids" },
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = { "images", "[OPTIONS]", "Lists the images of the store.",
				 options,  0,		0,
				 false };
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (listing_init(&l.rows, format,
			 (const char *[]){ "NAME", "TAG", "ID", "LAYERS", "CREATED", "SIZE",
					   NULL }) < 0 ||
	    !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = image_each(engine_store(c->engine), list_image, &l);
	l.arriving = true;
	if (r >= 0)
		r = arriving_each(engine_store(c->engine), list_image, &l);
	if (r < 0)
		return cli_fail(r);
	if (l.rows.json || !l.quiet)
		listing_print(&l.rows);
	return 0;
}
