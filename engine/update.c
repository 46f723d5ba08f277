/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `update`: other limits for an instance. One that runs has them by its cgroup at once, a microVM's
 * memory by its balloon; what an instance is started with the next time stands in its config.
 */
#include "base/err.h"
#include "base/json.h"
#include "engine/engine_.h"
#include "engine/spec.h"

/* Of a microVM that runs: up to what it started with. */
static int update_balloon(const struct inst *i, const char *name, uint64_t bytes)
{
	uint64_t mib = bytes >> 20;
	int r;

	if (!mib || mib > INT32_MAX)
		return err(-EINVAL, "memory of %llu bytes: must be 1m or more",
			   (unsigned long long)bytes);
	r = inst_memory(i, (unsigned)mib);
	if (r == -EOPNOTSUPP)
		return err(r, "%s: only the memory of a microVM run with --balloon can change",
			   name);
	if (r == -ERANGE)
		return err(r, "%s has not so much memory: it can have what it started with at most",
			   name);
	if (r == -ESRCH)
		return err(r, "%s is not running", name);
	return r < 0 ? err(r, "%s: update: %s", name, strerror(-r)) : 0;
}

static int update_running(struct engine *e, const struct inst *i, const struct run_spec *spec,
			  const char *name, const struct run_limits *l)
{
	struct run_limits group = *l;
	int r = 0;

	/* One that has such a limit has a root that it reads by itself (engine/iso_container.c). */
	if (spec->kind == RUN_CONTAINER && l->io_rate && !spec->limits.io_rate)
		return err(-EOPNOTSUPP, "%s: a rate of I/O: start it with such a limit", name);
	if (l->io_rate)
		r = limits_disk(store_dirfd(e->store), &group.io_disk);
	if (r < 0)
		return r;

	if (spec->kind == RUN_VM && l->pids)
		return err(-EOPNOTSUPP,
			   "%s: its processes are its own kernel's to count: change it stopped",
			   name);
	if (spec->kind == RUN_VM && l->memory)
		r = update_balloon(i, name, l->memory);
	if (spec->kind == RUN_VM)
		group.memory = 0;
	return r < 0 ? r : cgroup_update(spec->id, &group);
}

/* What a balloon gives up for now is not what the machine is made of. */
static int remember(struct engine *e, struct inst *i, struct run_spec *spec, bool running,
		    const struct run_limits *l)
{
	_json_ json_t *config = NULL;
	int r;

	if (l->memory && !(running && spec->kind == RUN_VM))
		spec->limits.memory = l->memory;
	if (l->nano_cpus)
		spec->limits.nano_cpus = l->nano_cpus;
	if (l->pids)
		spec->limits.pids = l->pids;
	if (l->io_rate)
		spec->limits.io_rate = l->io_rate;
	config = spec_to_json(spec);
	r = config ? inst_set_config(i, config) : -ENOMEM;
	return r < 0 ? r : keep_config(e, inst_id(i), inst_config(i));
}

int engine_update(struct engine *e, const char *id_or_name, const struct run_limits *l)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	struct inst_state state;
	bool running;
	int r = engine_find(e, id_or_name, &i, &spec);

	if (r >= 0)
		r = inst_state(i, &state);
	if (r < 0)
		return r;
	if (spec->kind == RUN_MOUNT)
		return err(-EOPNOTSUPP, "%s is a %s: update is for containers and microVMs",
			   id_or_name, spec_kind_name(spec->kind));
	running = state.status == INST_RUNNING || state.status == INST_PAUSED;
	if (!running || spec->kind == RUN_CONTAINER)
		r = spec_memory_check(spec->kind, l->memory);
	if (r >= 0 && running)
		r = update_running(e, i, spec, id_or_name, l);
	return r < 0 ? r : remember(e, i, spec, running, l);
}
