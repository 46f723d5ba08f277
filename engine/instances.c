/* SPDX-License-Identifier: Apache-2.0 */
/* ps, stop, rm, umount, gc: what is said about instances from outside. */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/bridge.h"
#include "engine/checkpoint.h"
#include "engine/engine_.h"
#include "engine/verdict.h"
#include "engine/spec.h"
#include <poll.h>
#include <signal.h>

int engine_find(struct engine *e, const char *id_or_name, struct inst **ret,
		struct run_spec **ret_spec)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	int r = inst_open(e->runroot_fd, id_or_name, &i);

	if (r >= 0)
		r = spec_from_json(inst_config(i), ret_spec);
	if (r < 0)
		return r;
	*ret = take_ptr(i);
	return 0;
}

struct ps_walk {
	struct store *store;
	int (*fn)(void *ctx, const struct ps_entry *p);
	void *ctx;
};

static int ps_one(void *ctx, struct inst *i)
{
	struct ps_walk *w = ctx;
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	struct inst_state state;
	struct ps_entry p = { .id = inst_id(i), .name = inst_name(i), .state = &state };
	int r = inst_state(i, &state);

	if (r == -EBADMSG) { /* `rm -f` takes it, so it has to be seen */
		state = (struct inst_state){ .status = INST_STOPPED, .exit_code = -1 };
		r = 0;
	}
	if (r >= 0)
		r = spec_from_json(inst_config(i), &spec);
	err_clear();
	if (r == -EBADMSG) {
		p.image = p.kind = p.driver = "damaged";
		return w->fn(w->ctx, &p);
	}
	if (r < 0) /* vanished: the others still count */
		return 0;
	p.image = spec->image;
	p.kind = spec_kind_name(spec->kind);
	p.driver = spec_driver_name(spec->driver);
	p.command = spec->argv;
	p.labels = spec->labels;
	p.layers = spec->layers;
	p.nlayers = spec->nlayers;
	p.checkpointed = spec->kind == RUN_VM && state.status == INST_STOPPED &&
			 checkpoint_exists(w->store, p.id);
	return w->fn(w->ctx, &p);
}

int engine_ps(struct engine *e, int (*fn)(void *ctx, const struct ps_entry *p), void *ctx)
{
	struct ps_walk w = { e->store, fn, ctx };

	return inst_each(e->runroot_fd, ps_one, &w);
}

/* @unsaid: the seconds of one that was made without any; 0 there is a kill. */
static int stop(struct inst *i, int seconds, int unsaid)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	int r = spec_from_json(inst_config(i), &spec);

	if (r < 0)
		return r;
	if (seconds < 0)
		seconds = spec->stop_timeout >= 0 ? spec->stop_timeout : unsaid;
	return inst_stop(i, seconds ? spec->stop_signal : SIGKILL, seconds * 1000);
}

int engine_stop(struct engine *e, const char *id_or_name, int seconds)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	struct inst_state state;
	int r = inst_open(e->runroot_fd, id_or_name, &i);

	if (r >= 0)
		r = inst_state(i, &state);
	if (r < 0)
		return r;
	return state.status == INST_STOPPED ? 0 : stop(i, seconds, STOP_SECONDS);
}

#define RM_TRIES    50 /* one that is just starting is there for SIGKILL within milliseconds */
#define RM_RETRY_MS 20

static int remove_once(struct engine *e, struct inst *i)
{
	int r = inst_recover(i);

	if (r >= 0)
		bridge_recover(e->runroot, inst_id(i));
	if (r >= 0)
		r = snapshot_remove(e->store, inst_id(i));
	return r < 0 ? r : inst_delete(i);
}

/* With @force also one whose supervisor came to life between the look at it and the removal. */
static int remove_stopped(struct engine *e, struct inst *i, bool force)
{
	int r = remove_once(e, i);

	for (unsigned n = 0; r == -EBUSY && force && n < RM_TRIES; n++) {
		err_clear();
		r = inst_stop(i, SIGKILL, 0);
		if (r < 0 && r != -ESRCH)
			return r;
		err_clear();
		r = remove_once(e, i);
		if (r == -EBUSY)
			poll(NULL, 0, RM_RETRY_MS);
	}
	if (r == -EBUSY)
		err_clear();
	return r;
}

int engine_rm(struct engine *e, const char *id_or_name, bool force, int seconds)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	struct inst_state state;
	int r = inst_open(e->runroot_fd, id_or_name, &i);

	if (r >= 0)
		r = inst_state(i, &state);
	if (r == -EBADMSG && i && force) { /* whatever it was, it goes */
		err_clear();
		state.status = INST_RUNNING;
		r = 0;
	}
	if (r < 0)
		return r;
	if (state.status != INST_STOPPED && force) {
		r = stop(i, seconds, 0);
		if (r == -EBADMSG) /* whatever it was */
			r = inst_stop(i, SIGKILL, 0);
		if (r < 0 && r != -ESRCH)
			return r;
		err_clear();
	} else if (state.status == INST_RUNNING || state.status == INST_PAUSED) {
		return err(-EBUSY, "%s is %s: stop it, or remove it with --force", id_or_name,
			   inst_status_name(state.status));
	}
	r = remove_stopped(e, i, force);
	if (r == -ENOENT) { /* --rm, or somebody else, was faster */
		err_clear();
		return 0;
	}
	return r == -EBUSY ? err(r, "%s is just starting: try again, or remove it with --force",
				 id_or_name) :
			     r;
}

/* ---- snapshots without an instance ---- */

static int list_snapshot(void *ctx, const char *id)
{
	return strv_add(ctx, id);
}

/* Whether the snapshot tells what it was for, and that it was to be kept. */
static int read_kept_config(struct engine *e, const char *id, json_t **ret)
{
	_free_ char *path = str_fmt("snapshots/%s/config.json", id);
	_json_ json_t *config = NULL;
	int r = path ? json_parse_file(store_dirfd(e->store), path, "config.json of a snapshot",
				       &config) :
		       -ENOMEM;

	if (r < 0)
		return r;
	if (json_get_bool(config, "rm", 0))
		return -ENOENT;
	*ret = take_ptr(config);
	return 0;
}

int snapshots_lock(struct engine *e, bool exclusive)
{
	_close_ int fd =
		openat(store_dirfd(e->store), "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd_lock(fd, exclusive, !exclusive);

	return r < 0 ? err(r, "%s/snapshots: %s", e->root, strerror(-r)) : take_fd(fd);
}

static int revive_one(struct engine *e, const char *id)
{
	_json_ json_t *config = NULL;
	_cleanup_(inst_closep) struct inst *i = NULL;
	_close_ int making = -1;
	int r = inst_open(e->runroot_fd, id, &i);

	if (r != -ENOENT)
		return 0;
	err_clear();
	r = read_kept_config(e, id, &config);
	if (r == 0)
		r = inst_create(e->runroot_fd, id, config, &i);
	if (r == 0)
		/* it had a supervisor once: stopped, by what nobody knows */
		return inst_recover(i);
	err_clear();
	if (r == -ENOMEM)
		return r;
	/* Half made, a build's, or one that --rm would have removed. In use it is locked, and
	 * stays. */
	making = snapshots_lock(e, true);
	if (making >= 0 && snapshot_remove(e->store, id) == 0)
		cgroup_purge(id);
	err_clear();
	return 0;
}

int engine_revive(struct engine *e)
{
	_strv_free_ char **ids = NULL;
	int r = snapshot_each(e->store, list_snapshot, &ids);

	for (size_t n = 0; r >= 0 && n < strv_len(ids); n++) {
		r = revive_one(e, ids[n]);
		if (r < 0 && r != -ENOMEM) { /* one that cannot be helped does not hide the others
					      */
			err_clear();
			r = 0;
		}
	}
	return r;
}

int engine_gc(struct engine *e, uint64_t keep, struct gc_result *ret)
{
	int r = engine_revive(e);

	if (r >= 0)
		r = store_gc_keep(e->store, keep, ret);
	verdicts_forget(e->runroot_fd, "images", e->store, "merged");
	verdicts_forget(e->runroot_fd, "machines", e->store, "machines");
	return r;
}
