/* SPDX-License-Identifier: Apache-2.0 */
/* strata load: images out of an OCI layout or an archive of docker's. */
#include "base/mem.h"
#include "cli/cli.h"
#include <stdio.h>

struct loading {
	bool quiet, drop;
	struct digest *manifests;
	size_t n, cap;
};

static void print_loaded(void *ctx, const char *name, const struct digest *manifest)
{
	struct loading *l = ctx;

	if (l->drop && mem_grow(&l->manifests, &l->cap, l->n + 1, sizeof(*manifest)) == 0)
		l->manifests[l->n++] = *manifest;
	if (!l->quiet)
		printf("%s sha256:%s\n", name ? name : "<none>", digest_hex(manifest).s);
}

int verb_load(struct cli *c, int argc, char **argv)
{
	const char *input = "-", *platform = NULL;
	struct loading l = { 0 };
	const struct option_def options[] = {
		{ 'i', "input", OPT_STR, &input, "PATH",
		  "what to take: a folder or a tar (standard input)" },
		{ 'q', "quiet", OPT_FLAG, &l.quiet, NULL, "print nothing" },
		{ 0, "platform", OPT_STR, &platform, "OS/ARCH[/VARIANT]",
		  "which images, where there is a choice (linux/amd64)" },
		{ 0, "drop-blobs", OPT_FLAG, &l.drop, NULL,
		  "keep no compressed copy of the layers: save and push make it again" },
		{ 0 },
	};
	const struct usage u = {
		"load",
		"[OPTIONS]",
		"Takes all images of an OCI layout, or of an archive as `docker save` writes it,\n"
		"into the store. A tar may be compressed.",
		options,
		0,
		0,
		false
	};
	struct load_options o = { .loaded = print_loaded, .ctx = &l };
	struct platform wanted;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_platform(platform, &wanted, &o.platform) < 0 || !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = store_load(engine_store(c->engine), input, &o);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		r = image_drop_blobs(engine_store(c->engine), &l.manifests[i]);
	free(l.manifests);
	return r < 0 ? cli_fail(r) : 0;
}
