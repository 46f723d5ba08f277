/* SPDX-License-Identifier: Apache-2.0 */
/* strata pull, push: images from and to registries. */
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include <stdio.h>

/* Fills in the callback unless @quiet; the caller frees. */
static struct progress *show(struct pull_options *o, bool quiet, const char *done)
{
	struct progress *p = quiet ? NULL : progress_new(done);

	o->progress = p ? progress_tell : NULL;
	o->ctx = p;
	return p;
}

/* The rest comes behind, by a process of its own that ends when all is here. */
static int start_rest(struct cli *c, const struct digest *manifest)
{
	_free_ char *path = NULL;
	_close_ int pidfd = -1;
	struct digest_hex hex = digest_hex(manifest);
	char *root = (char *)(uintptr_t)store_path(engine_store(c->engine));
	char *argv[] = { (char[]){ "strata-image" },
			 (char[]){ "--root" },
			 root,
			 (char[]){ "fetch" },
			 hex.s,
			 NULL };
	const int fds[] = { -1, -1, -1 };
	pid_t pid;
	int r = proc_sibling("strata-image", &path);

	return r < 0 ? r : proc_spawn(path, argv, NULL, fds, ARRAY_SIZE(fds), &pid, &pidfd);
}

static int pull(struct cli *c, const char *name, const struct pull_options *o, bool drop,
		struct digest *ret)
{
	int r = image_pull(engine_store(c->engine), name, o, ret);

	if (r > 0) {
		arriving_prefetch(engine_store(c->engine), ret);
		return start_rest(c, ret);
	}
	return r >= 0 && drop ? image_drop_blobs(engine_store(c->engine), ret) : r;
}

int verb_pull(struct cli *c, int argc, char **argv)
{
	bool quiet = false, drop = false, lazy = false;
	const char *platform = NULL;
	const struct option_def options[] = {
		{ 0, "platform", OPT_STR, &platform, "OS/ARCH[/VARIANT]",
		  "which image of an index (linux/amd64)" },
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print the digest alone" },
		{ 0, "drop-blobs", OPT_FLAG, &drop, NULL,
		  "keep no compressed copy of the layers: save and push make it again" },
		{ 0, "lazy", OPT_FLAG, &lazy, NULL,
		  "be done when it can be run: the rest comes when it is read, and behind" },
		{ 0 },
	};
	const struct usage u = { "pull",
				 "[OPTIONS] NAME[:TAG|@DIGEST]",
				 "Takes an image from a registry.",
				 options,
				 1,
				 1,
				 false };
	struct pull_options o = { 0 };
	struct platform wanted;
	struct progress *progress;
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_platform(platform, &wanted, &o.platform) < 0 || !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	if (lazy && drop)
		return cli_fail_text("pull: --lazy and --drop-blobs exclude one another");
	o.lazy = lazy;
	progress = show(&o, quiet, "downloaded");
	r = pull(c, argv[0], &o, drop, &manifest);
	progress_free(progress);
	if (r < 0)
		return cli_fail(r);
	printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}

int verb_push(struct cli *c, int argc, char **argv)
{
	bool quiet = false;
	const char *compression = NULL;
	const struct option_def options[] = {
		{ 'q', "quiet", OPT_FLAG, &quiet, NULL, "print the digest alone" },
		{ 0, "compression", OPT_STR, &compression, "keep|zstd:chunked",
		  "the layers as they are (keep), or so that `pull --lazy` can take them" },
		{ 0 },
	};
	const struct usage u = { "push",
				 "[OPTIONS] IMAGE [NAME[:TAG]]",
				 "Sends an image to a registry.",
				 options,
				 1,
				 2,
				 false };
	struct pull_options o = { 0 };
	struct progress *progress;
	struct digest manifest;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	o.chunked = compression && streq(compression, "zstd:chunked");
	if (compression && !o.chunked && !streq(compression, "keep"))
		return cli_fail_text("push: --compression '%s': must be keep or zstd:chunked",
				     compression);
	progress = show(&o, quiet, "uploaded");
	r = image_push(engine_store(c->engine), argv[0], argv[1], &o, &manifest);
	progress_free(progress);
	if (r < 0)
		return cli_fail(r);
	printf("sha256:%s\n", digest_hex(&manifest).s);
	return 0;
}
