/* SPDX-License-Identifier: Apache-2.0 */
/* strata images: lists the images of the store. */
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/images_filter.h"
#include "cli/listing.h"
#include "cli/util.h"
#include <stdio.h>

struct images_list {
	struct listing rows;
	struct images_filter filter;
	bool quiet, arriving, digests, no_trunc;
};

static void images_list_done(struct images_list *l)
{
	images_filter_done(&l->filter);
	listing_done(&l->rows);
}

static void add_json(struct images_list *l, const struct image *i)
{
	struct digest_hex id = digest_hex(&i->config_digest), manifest = digest_hex(&i->manifest);

	json_array_append_new(l->rows.json,
			      json_pack("{s:s*, s:o, s:o, s:s*, s:I, s:i, s:b}", "name", i->name,
					"id", json_sprintf("sha256:%s", id.s), "manifest",
					json_sprintf("sha256:%s", manifest.s), "created",
					json_get_str(i->config, "created"), "size",
					(json_int_t)i->size, "layers", (int)i->nlayers, "arriving",
					(int)l->arriving));
}

/* The column of digests is the last, where it can be missing. */
static void add_row(struct images_list *l, const struct image *i, const char *id)
{
	const char *colon = i->name ? strrchr(i->name, ':') : NULL;
	_free_ char *name = colon ? strndup(i->name, (size_t)(colon - i->name)) : strdup("<none>");
	_free_ char *digest = str_fmt("sha256:%s", digest_hex(&i->manifest).s);
	char layers[16];

	snprintf(layers, sizeof(layers), "%zu", i->nlayers);
	table_row(l->rows.table,
		  (const char *[]){ name, colon ? colon + 1 : "<none>", id, layers,
				    cli_ago(cli_created(i->config)).s,
				    l->arriving ? "arriving" : str_human(i->size).s, digest });
}

static int list_image(void *ctx, struct image *i)
{
	struct images_list *l = ctx;
	_free_ char *id =
		str_fmt(l->no_trunc ? "sha256:%s" : "%.12s", digest_hex(&i->config_digest).s);

	if (!id)
		return -ENOMEM;
	if (!images_filter_match(&l->filter, i))
		return 0;
	if (l->quiet)
		printf("%s\n", id);
	else if (l->rows.json)
		add_json(l, i);
	else
		add_row(l, i, id);
	return 0;
}

static int list_all(struct engine *e, struct images_list *l, char *const *filters)
{
	int r = images_filter_init(&l->filter, engine_store(e), filters);

	if (r >= 0)
		r = image_each(engine_store(e), list_image, l);
	l->arriving = true;
	return r < 0 ? r : arriving_each(engine_store(e), list_image, l);
}

int verb_images(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	_strv_free_ char **filters = NULL;
	_cleanup_(images_list_done) struct images_list l = { 0 };
	bool all = false;
	const struct option_def options[] = {
		{ 'f', "filter", OPT_LIST, &filters, "KEY=VALUE",
		  "reference=PATTERN, dangling=true|false, label=NAME[=VALUE]" },
		{ 'a', "all", OPT_FLAG, &all, NULL, "podman's: here none is hidden anyway" },
		{ 'q', "quiet", OPT_FLAG, &l.quiet, NULL, "print only the ids" },
		{ 0, "digests", OPT_FLAG, &l.digests, NULL, "the digests of manifests too" },
		{ 0, "no-trunc", OPT_FLAG, &l.no_trunc, NULL, "whole ids" },
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = { "images",
				 "[OPTIONS] [PATTERN]",
				 "Lists the images of the store, or those of such names.",
				 options,
				 0,
				 1,
				 false };
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (listing_init(&l.rows, format,
			 (const char *[]){ "NAME", "TAG", "ID", "LAYERS", "CREATED", "SIZE",
					   l.digests ? "DIGEST" : NULL, NULL }) < 0 ||
	    !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = argv[0] ? strv_addf(&filters, "reference=%s", argv[0]) : 0;
	if (r >= 0)
		r = list_all(c->engine, &l, filters);
	if (r < 0)
		return cli_fail(r);
	if (l.rows.json || !l.quiet)
		listing_print(&l.rows);
	return 0;
}
