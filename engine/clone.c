/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone: microVMs that go on from another one's checkpoint, or from what its supervisor keeps of it
 * while it runs on. Each has a copy of the top (unionfs/clone.h) and a link of the machine's file,
 * which all map privately.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/checkpoint.h"
#include "engine/engine_.h"
#include "engine/vmm.h"
#include "unionfs/unionfs.h"

/* What they are made of. */
struct source {
	struct engine *e;
	struct inst *inst;
	struct kept kept; /* with a name: of one that runs */
	int lock;	  /* of the top of one that does not, which nobody may change meanwhile */
	const char *of;	  /* whose machine it is: in its file's key */
};

#define SOURCE_NONE ((struct source){ .kept = KEPT_NONE, .lock = -1 })

static void source_close(struct source *s)
{
	if (s->inst)
		kept_remove(s->e->store, inst_id(s->inst), &s->kept);
	fd_close(s->lock);
	inst_close(s->inst);
}

/* ---- the source ---- */

static int keep_running(struct source *s, const char *name)
{
	int r = inst_clone(s->inst, getpid());

	switch (r) {
	case 0:
		return kept_open(s->e->store, inst_id(s->inst), getpid(), &s->kept);
	case -ESRCH:
		return err(r, "%s is not running", name);
	case -EBUSY:
		return err(r, "%s is paused: unpause it first", name);
	case -EINVAL:
		return err(r, "%s was started by an older strata: it cannot be cloned", name);
	default:
		return err(r, "%s cannot be kept: %s; monitor.log of the instance says more", name,
			   strerror(-r));
	}
}

static int open_stopped(struct source *s, const char *name)
{
	const char *id = inst_id(s->inst);
	int r;

	if (!checkpoint_exists(s->e->store, id))
		return err(-ENOENT, "%s does not run and has no checkpoint", name);
	r = snapshot_open(s->e->store, id, &s->lock, &s->kept.upper, &s->kept.work);
	if (r < 0)
		return r;
	s->kept.dir = openat(s->lock, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->kept.dir < 0 ? err_sys("snapshot of %s", name) : 0;
}

static int source_open(struct source *s, const char *name)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	struct vm_snapshot machine;
	struct inst_state state;
	const char *of;
	int r = spec_from_json(inst_config(s->inst), &spec);

	if (r >= 0)
		r = clone_check(spec);
	if (r >= 0)
		r = inst_state(s->inst, &state);
	if (r < 0)
		return r;
	r = state.status == INST_STOPPED ? open_stopped(s, name) : keep_running(s, name);
	/* Known to be sound before anything is made of it. */
	if (r >= 0)
		r = checkpoint_open(s->kept.dir, spec, false, &machine, &of);
	if (r < 0)
		return r;
	fd_close(machine.fd);
	s->of = streq(of, spec->id) ? inst_id(s->inst) : NULL;
	return 0;
}

/* ---- one clone ---- */

/* The source's, but for what is its own; its host name is its id. */
static int clone_spec(const struct source *s, const char *name, struct run_spec **ret)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	char id[INST_ID_LEN + 1];
	int r = inst_new_id(s->e->runroot_fd, id);

	if (r >= 0)
		r = spec_from_json(inst_config(s->inst), &spec);
	if (r >= 0)
		r = spec_set(&spec->id, id);
	if (r >= 0)
		r = spec_set(&spec->name, name ? name : "");
	/* One that was not kept since it began is of the same machine as its source. */
	if (r >= 0 && s->of)
		r = spec_set(&spec->clone_of, s->of);
	if (r < 0)
		return r;
	free(take_ptr(spec->hostname));
	spec->logged = true;
	*ret = take_ptr(spec);
	return 0;
}

static int copy_top(const struct source *s, const struct run_spec *spec)
{
	const struct ufs_top from = { s->kept.upper, s->kept.work };
	_close_ int lock = -1, upper = -1, work = -1;
	struct ufs_top to;
	int r = snapshot_open(s->e->store, spec->id, &lock, &upper, &work);

	if (r < 0)
		return r;
	to = (struct ufs_top){ upper, work };
	r = ufs_clone_top(&from, &to, vmm_uid(spec));
	if (r >= 0 && linkat(s->kept.dir, "machine", lock, "machine", 0) < 0)
		r = err_sys("machine of %s", spec->id);
	return r;
}

static int make_clone(const struct source *s, const char *name, struct inst **ret)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	_json_ json_t *config = NULL;
	struct inst *i;
	int r = clone_spec(s, name, &spec);

	if (r < 0)
		return r;
	config = spec_to_json(spec);
	if (!config)
		return -ENOMEM;
	r = inst_create(s->e->runroot_fd, spec->id, config, &i);
	if (r < 0)
		return r;
	r = snapshot_create(s->e->store, spec->id, spec->layers, spec->nlayers);
	if (r >= 0)
		r = copy_top(s, spec);
	if (r >= 0)
		r = keep_config(s->e, spec->id, config);
	if (r < 0) {
		undo_instance(s->e, i);
		return r;
	}
	*ret = i;
	return 0;
}

static int start_clone(const struct source *s, const char *name, struct run *ret)
{
	struct inst *i = NULL;
	int r = make_clone(s, name, &i);

	if (r < 0)
		return r;
	r = spawn_monitor(s->e, inst_id(i),
			  &(struct start_options){ .restore = true, .hashed = true }, ret);
	if (r < 0)
		undo_instance(s->e, i);
	else
		ret->inst = i;
	return r;
}

/* ---- all of them ---- */

struct clones {
	struct run *runs;
	unsigned n;
};

/* All are under way before the first one is waited for. */
static int start_all(const struct source *s, const struct clone_options *o, struct clones *c)
{
	int r = 0;

	while (r >= 0 && c->n < o->count) {
		_free_ char *name = o->name && o->count > 1 ? str_fmt("%s-%u", o->name, c->n + 1) :
							      NULL;

		if (o->name && o->count > 1 && !name)
			return -ENOMEM;
		r = start_clone(s, name ? name : o->name, &c->runs[c->n]);
		if (r >= 0)
			c->n++;
	}
	return r;
}

/* One that never ran leaves nothing behind. */
static void await_one(struct engine *e, struct run *run,
		      void (*fn)(void *ctx, const char *id, int r), void *ctx)
{
	struct run_report report = { 0 };
	char id[INST_ID_LEN + 1];
	int r = run_next(run, &report);

	snprintf(id, sizeof(id), "%s", inst_id(run->inst));
	if (r > 0 && report.kind == RUN_STARTED) {
		r = 0;
	} else {
		r = r > 0 ? err(-EIO, "clone %s: %s", id, report.text) :
			    err(-EIO, "clone %s: its supervisor was killed", id);
		inst_wait(run->inst, -1);
		undo_instance(e, take_ptr(run->inst));
	}
	fn(ctx, id, r);
	run_done(run);
}

int engine_clone(struct engine *e, const char *id_or_name, const struct clone_options *o,
		 void (*fn)(void *ctx, const char *id, int r), void *ctx)
{
	_cleanup_(source_close) struct source s = SOURCE_NONE;
	_free_ struct run *runs = mem_new(o->count, sizeof(*runs));
	struct clones c = { .runs = runs };
	_free_ char *why = NULL;
	int r;

	if (!runs)
		return -ENOMEM;
	if (geteuid() != 0)
		return err(-EPERM, "clone %s needs root", id_or_name);
	s.e = e;
	r = inst_open(e->runroot_fd, id_or_name, &s.inst);
	if (r >= 0)
		r = source_open(&s, id_or_name);
	if (r >= 0)
		r = start_all(&s, o, &c);
	/* Said after those that run. */
	why = r < 0 ? strdup(err_take(r)) : NULL;
	for (unsigned n = 0; n < c.n; n++)
		await_one(e, &runs[n], fn, ctx);
	return r < 0 ? err(r, "%s", why ? why : strerror(-r)) : 0;
}
