/* SPDX-License-Identifier: Apache-2.0 */
/* kill, wait, pause, stats, rename: small things asked of an instance. */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/checkpoint.h"
#include "engine/engine_.h"

/* The words for a supervisor's answer. */
static int said(int r, const char *name, const char *verb)
{
	switch (r) {
	case -ESRCH:
		return err(r, "%s is not running", name);
	case -EALREADY:
		return err(r, "%s is %s", name, *verb == 'u' ? "not paused" : "paused already");
	case -EOPNOTSUPP:
		return err(r, "%s cannot be paused: it is a mount, or there is no cgroup v2", name);
	case -ETIMEDOUT:
		return err(r, "%s: %s: it waits in the kernel; try again", name, verb);
	default:
		return r < 0 ? err(r, "%s: %s: %s", name, verb, strerror(-r)) : r;
	}
}

int engine_kill(struct engine *e, const char *id_or_name, int sig)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	int r = inst_open(e->runroot_fd, id_or_name, &i);

	return r < 0 ? r : said(inst_kill(i, sig), id_or_name, "kill");
}

int engine_wait(struct engine *e, const char *id_or_name, int *ret_code)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	struct inst_state state = { 0 };
	int r = inst_open(e->runroot_fd, id_or_name, &i);

	if (r >= 0)
		r = inst_wait(i, -1);
	if (r >= 0)
		r = inst_state(i, &state);
	if (r >= 0)
		*ret_code = state.exit_code;
	return r;
}

int engine_pause(struct engine *e, const char *id_or_name, bool paused)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	int r = inst_open(e->runroot_fd, id_or_name, &i);

	return r < 0 ? r : said(inst_pause(i, paused), id_or_name, paused ? "pause" : "unpause");
}

int engine_checkpoint(struct engine *e, const char *id_or_name)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	int r = engine_find(e, id_or_name, &i, &spec);

	if (r >= 0)
		r = checkpoint_check(spec);
	if (r < 0)
		return r;
	r = inst_checkpoint(i);
	if (r == -EBUSY)
		return err(r, "%s is paused: unpause it first", id_or_name);
	return said(r, id_or_name, "checkpoint");
}

int engine_rename(struct engine *e, const char *id_or_name, const char *name)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	int r = inst_open(e->runroot_fd, id_or_name, &i);

	if (r >= 0)
		r = inst_rename(i, name);
	return r < 0 ? r : keep_config(e, inst_id(i), inst_config(i));
}

int engine_stats(const struct inst *i, struct cgroup_usage *ret)
{
	struct inst_state state;
	struct cgroup *g = NULL;
	int r = inst_state(i, &state);

	if (r >= 0 && state.status != INST_RUNNING && state.status != INST_PAUSED)
		r = err(-ESRCH, "%s is not running", inst_called(i));
	if (r >= 0)
		r = cgroup_open(inst_id(i), &g);
	if (r < 0)
		return r;
	r = cgroup_usage(g, ret);
	cgroup_close(g);
	return r < 0 ? err(r, "stats: %s has no cgroup", inst_called(i)) : 0;
}

/* A VMM of the guest's by now may say anything. */
static bool plausible(const struct device_stats *d)
{
	return d->nfs <= DEVICE_FS_MAX && d->ndisks <= DEVICE_DISKS_MAX;
}

int engine_device_stats(const struct inst *i, struct device_stats *ret)
{
	const char *kind = json_get_str(inst_config(i), "kind");
	struct device_stats d;
	int r;

	if (!kind || !streq(kind, spec_kind_name(RUN_VM)))
		return err(-EOPNOTSUPP, "%s is no microVM", inst_called(i));
	r = inst_stats(i, &d, sizeof(d));
	if (r >= 0 && !plausible(&d))
		r = -EBADMSG;
	if (r == -EBUSY)
		return err(r, "%s is paused", inst_called(i));
	/* A supervisor of an older strata. */
	if (r == -EINVAL)
		r = -EOPNOTSUPP;
	if (r < 0)
		return err(r, "%s: its devices: %s", inst_called(i), strerror(-r));
	*ret = d;
	return 0;
}
