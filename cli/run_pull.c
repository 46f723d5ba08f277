/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_pull.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/util.h"

static bool is_here(struct cli *c, const char *ref)
{
	_cleanup_(image_closep) struct image *i = NULL;
	int r = image_open(engine_store(c->engine), ref, &i);

	/* One that is still arriving is -EBUSY: here. */
	err_clear(); /* run says what else is wrong with it */
	return r != -ENOENT;
}

/* Its progress and its errors are on our standard error; the digest is nobody's here. */
static int pull(struct cli *c, const struct run_options *o, bool lazy)
{
	_free_ char *path = NULL;
	_close_ int pidfd = -1;
	_strv_free_ char **argv = NULL;
	const int fds[] = { -1, -1, 2 };
	const char *root = store_path(engine_store(c->engine));
	int status = 0, r = proc_sibling("strata-image", &path);
	pid_t pid;

	if (r >= 0 && (strv_add(&argv, "strata-image") < 0 || strv_add(&argv, "--root") < 0 ||
		       strv_add(&argv, root) < 0 || strv_add(&argv, "pull") < 0 ||
		       (lazy && strv_add(&argv, "--lazy") < 0) ||
		       (o->platform &&
			(strv_add(&argv, "--platform") < 0 || strv_add(&argv, o->platform) < 0)) ||
		       strv_add(&argv, "--") < 0 || strv_add(&argv, o->image) < 0))
		r = -ENOMEM;
	if (r >= 0)
		r = proc_spawn(path, argv, NULL, fds, ARRAY_SIZE(fds), &pid, &pidfd);
	if (r >= 0)
		r = proc_wait(pidfd, &status);
	if (r < 0)
		return cli_fail(r);
	return status ? EXIT_ERROR : 0;
}

int run_pull(struct cli *c, const struct run_options *o, const char *when)
{
	bool lazy = when && streq(when, "lazy"), missing = lazy || (when && streq(when, "missing"));

	if (!when || streq(when, "never"))
		return 0;
	if (!missing && !streq(when, "always"))
		return cli_fail_text("run: --pull '%s': must be never, missing, always or lazy",
				     when);
	if (missing && is_here(c, o->image))
		return 0;
	return pull(c, o, lazy);
}
