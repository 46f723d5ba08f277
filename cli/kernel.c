/* SPDX-License-Identifier: Apache-2.0 */
/* strata kernel: the kernels that microVMs boot. */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/util.h"
#include <stdio.h>

/* ---- getting one ---- */

static int got(int r, const char *name)
{
	if (r < 0)
		return cli_fail(r);
	printf("%s\n", name);
	return 0;
}

static int build(struct cli *c, int argc, char **argv)
{
	struct kernel_build b = { 0 };
	_strv_free_ char **configs = NULL, **with = NULL;
	_free_ char *name = NULL;
	const struct option_def options[] = {
		{ 0, "name", OPT_STR, &b.name, "NAME", "its name in the store (its release)" },
		{ 0, "with", OPT_LIST, &with, "NAME", "what strata's own lacks: blk, for disks" },
		{ 'c', "config", OPT_LIST, &configs, "FILE",
		  "lines of configuration, after those that strata brings" },
		{ 0, "use", OPT_FLAG, &b.use, NULL, "make it the default" },
		{ 0 },
	};
	const struct usage u = {
		"kernel build",
		"[OPTIONS]",
		"Builds a kernel for microVMs from the distribution's package linux-source,\n"
		"with strata's configuration; what was built before comes from the cache.\n"
		"Prints its name.",
		options,
		0,
		0,
		false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	b.configs = configs;
	b.with = with;
	r = engine_kernel_build(c->engine, &b, &name);
	return got(r, name);
}

static int import(struct cli *c, int argc, char **argv)
{
	struct kernel_import i = { 0 };
	_strv_free_ char **more = NULL;
	_free_ char *name = NULL;
	const struct option_def options[] = {
		{ 0, "name", OPT_STR, &i.name, "NAME", "its name in the store (its release)" },
		{ 0, "modules", OPT_STR, &i.modules, "DIR",
		  "where its modules are (lib/modules/RELEASE beside it)" },
		{ 'm', "module", OPT_LIST, &more, "MODULE",
		  "load this one too, beside what every microVM needs" },
		{ 0, "no-modules", OPT_FLAG, &i.no_modules, NULL, "all that it needs is built in" },
		{ 0, "use", OPT_FLAG, &i.use, NULL, "make it the default" },
		{ 0 },
	};
	const struct usage u = {
		"kernel import",
		"[OPTIONS] FILE|PACKAGE|DIR",
		"Takes a kernel into the store: a vmlinux, a bzImage as distributions have it,\n"
		"a Debian package (linux-image-*.deb), or a folder with one; with the modules\n"
		"that a microVM needs of it. Prints its name.",
		options,
		1,
		1,
		false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (i.no_modules && (i.modules || more))
		return cli_fail_text("kernel import: --no-modules leaves nothing for --modules and "
				     "--module to say");
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	i.path = argv[0];
	i.more = more;
	r = engine_kernel_import(c->engine, &i, &name);
	return got(r, name);
}

/* ---- looking ---- */

struct kernel_list {
	struct listing rows;
	bool quiet;
};

static void kernel_list_done(struct kernel_list *l)
{
	listing_done(&l->rows);
}

static json_t *kernel_json(const struct kernel *k)
{
	bool shipped = streq(k->name, KERNEL_SHIPPED);

	return json_pack("{s:s, s:o*, s:s, s:s, s:I, s:I, s:b, s:b, s:b}", "name", k->name, "id",
			 shipped ? NULL : json_sprintf("sha256:%s", digest_hex(&k->id).s),
			 "version", k->version, "source", k->source, "size", (json_int_t)k->size,
			 "created", (json_int_t)k->created, "modules", k->modules, "acpi", k->acpi,
			 "default", k->is_default);
}

static int list_kernel(void *ctx, const struct kernel *k)
{
	struct kernel_list *l = ctx;

	if (l->quiet)
		printf("%s\n", k->name);
	else if (l->rows.json)
		json_array_append_new(l->rows.json, kernel_json(k));
	else
		table_row(l->rows.table,
			  (const char *[]){ k->name, k->version, str_human(k->size).s,
					    k->modules ? "yes" : "-", cli_ago(k->created).s,
					    k->is_default ? "yes" : "-" });
	return 0;
}

static int list(struct cli *c, int argc, char **argv)
{
	_cleanup_(kernel_list_done) struct kernel_list l = { 0 };
	const char *format = NULL;
	const struct option_def options[] = {
		{ 'q', "quiet", OPT_FLAG, &l.quiet, NULL, "print only the names" },
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = {
		"kernel list", "[OPTIONS]", "Lists the kernels that microVMs can boot.",
		options,       0,	    0,
		false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (listing_init(&l.rows, format,
			 (const char *[]){ "NAME", "VERSION", "SIZE", "MODULES", "CREATED",
					   "DEFAULT", NULL }) < 0 ||
	    !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_kernel_each(c->engine, list_kernel, &l);
	if (r < 0)
		return cli_fail(r);
	if (l.rows.json || !l.quiet)
		listing_print(&l.rows);
	return 0;
}

/* ---- choosing, removing ---- */

static int use(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"kernel use",
		"NAME",
		"Makes a kernel the one that microVMs boot without --kernel and STRATA_KERNEL;\n"
		"\"shipped\": again the one beside strata's programs.",
		options,
		1,
		1,
		false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_kernel_use(c->engine, argv[0]);
	return r < 0 ? cli_fail(r) : 0;
}

static int rm(struct cli *c, int argc, char **argv)
{
	bool force = false;
	const struct option_def options[] = {
		{ 'f', "force", OPT_FLAG, &force, NULL,
		  "also one that an instance boots, or that is not there" },
		{ 0 },
	};
	const struct usage u = {
		"kernel rm", "[OPTIONS] NAME...", "Takes kernels out of the store.", options, 1, -1,
		false
	};
	int status, worst = 0;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	for (; *argv; argv++) {
		int r = kernel_remove(engine_store(c->engine), *argv, force);

		if (r == -ENOENT && force)
			err_clear();
		else if (r < 0)
			worst = cli_fail(r);
	}
	return worst;
}

/* ---- the verb ---- */

static const struct verb verbs[] = {
	{ "build", build, "build one from linux-source" },
	{ "import", import, "take one of a distribution, with the modules it needs" },
	{ "list", list, "list them" },
	{ "use", use, "choose the default" },
	{ "rm", rm, "remove some" },
	{ 0 },
};

static void help(void)
{
	printf("usage: strata kernel VERB [OPTIONS]\n\n"
	       "The kernels that microVMs boot.\n\nverbs:\n");
	for (const struct verb *v = verbs; v->name; v++)
		printf("  %-12s %s\n", v->name, v->summary);
}

int verb_kernel(struct cli *c, int argc, char **argv)
{
	if (argc < 2)
		return cli_fail_text("kernel: too few arguments: build, import, list, use or rm; "
				     "see `strata kernel --help`");
	if (streq(argv[1], "--help") || streq(argv[1], "-h")) {
		help();
		return 0;
	}
	for (const struct verb *v = verbs; v->name; v++)
		if (streq(v->name, argv[1]) || (streq(argv[1], "ls") && streq(v->name, "list")))
			return v->main(c, argc - 1, argv + 1);
	return cli_fail_text("kernel: no verb '%s'; see `strata kernel --help`", argv[1]);
}
