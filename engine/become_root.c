/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary user becomes root for a verb: where, and what he knew before he was. */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/rootfs.h"
#include "engine/rootless.h"
#include "engine/spec.h"

/* Root's store is another one: what we are about to be is to find the user's. */
static int keep_paths(const struct engine_options *o, char **ret_runroot)
{
	_free_ char *root = NULL, *runroot = NULL;
	int r = engine_paths(o, &root, &runroot);

	if (r < 0)
		return r;
	if (setenv("STRATA_ROOT", root, 1) < 0 || setenv("STRATA_RUNROOT", runroot, 1) < 0)
		return -ENOMEM;
	*ret_runroot = take_ptr(runroot);
	return 0;
}

/* A container's processes are seen, and joined, from the namespace that it was made in. */
static int become_root_of(const struct inst *i)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	_close_ int pidfd = -1;
	struct inst_state state;
	int r = spec_from_json(inst_config(i), &spec);

	if (r >= 0)
		r = inst_state(i, &state);
	if (r < 0)
		return r;
	if (spec->unprivileged)
		return 0;
	if (spec->kind == RUN_CONTAINER &&
	    (state.status == INST_RUNNING || state.status == INST_PAUSED) &&
	    inst_process(i, &pidfd) == 0)
		return rootless_join(pidfd);
	return rootless_enter();
}

int engine_become_root(const struct engine_options *o, const char *id_or_name)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	_free_ char *runroot = NULL;
	_close_ int dir = -1;
	int r;

	if (geteuid() == 0)
		return 0;
	r = keep_paths(o, &runroot);
	if (r < 0 || !id_or_name)
		return r < 0 ? r : rootless_enter();
	dir = open(runroot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dir < 0 ? -errno : inst_open(dir, id_or_name, &i);
	if (r >= 0)
		return become_root_of(i);
	/* The verb says of it what it says to root. */
	err_clear();
	return rootless_enter();
}

int engine_own_mounts(const struct engine_options *o, const char *id_or_name)
{
	/* Who becomes it has them. */
	return geteuid() == 0 ? rootfs_namespace() : engine_become_root(o, id_or_name);
}
