/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share of struct engine. */
#ifndef ENGINE_ENGINE_PRIVATE_H
#define ENGINE_ENGINE_PRIVATE_H

#include "base/mem.h"
#include "engine/engine.h"

struct engine {
	char *root, *runroot;
	struct store *store;
	int runroot_fd;
	char note[256]; /* engine_note() */
};

/* Where store and state are, which the caller frees. */
int engine_paths(const struct engine_options *o, char **ret_root, char **ret_runroot);

/*
 * flock of the folder of all snapshots: shared (waits) while one is made and not yet locked itself,
 * exclusive (does not wait) to remove what looks like a leftover. A descriptor that holds it.
 */
int snapshots_lock(struct engine *e, bool exclusive);

/* Writes what was asked for beside its top, snapshots/@id/config.json. */
int keep_config(struct engine *e, const char *id, const json_t *config);

struct inst;
struct run_spec;
/* An instance and what it was asked for; the caller closes the one and frees the other. */
int engine_find(struct engine *e, const char *id_or_name, struct inst **ret,
		struct run_spec **ret_spec);

/* Starts the supervisor of instance @id. *@ret has no instance yet. */
int spawn_monitor(struct engine *e, const char *id, const struct start_options *o, struct run *ret);
/* What has not begun to run goes, with its snapshot; closes @i. */
void undo_instance(struct engine *e, struct inst *i);

static inline void engine_closep(struct engine **e)
{
	engine_close(*e);
}

static inline void image_closep(struct image **i)
{
	image_close(*i);
}

static inline void inst_closep(struct inst **i)
{
	inst_close(*i);
}

/* As a person calls it. */
static inline const char *inst_called(const struct inst *i)
{
	return *inst_name(i) ? inst_name(i) : inst_id(i);
}

#endif
