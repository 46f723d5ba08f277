/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's folder ROOT/ID: state.json, its config as it was at create, and the gate's socket
 * until it is started.
 */
#ifndef OCI_FOLDER_H
#define OCI_FOLDER_H

#include "oci/cgroup.h"
#include "oci/oci.h"

#define FOLDER_GATE   "gate"
#define FOLDER_CONFIG "config.json"

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };

struct folder {
	int root, fd; /* ROOT and ROOT/ID */
	int lock;
	struct keep mem;
	const char *id;
	json_t *state; /* state.json */
	pid_t pid;     /* 0 while there is none */
	uint64_t start_time;
	struct oci_cgroup cgroup;
};
#define FOLDER_NONE ((struct folder){ .root = -1, .fd = -1, .lock = -1 })

int folder_id_check(const char *id);
/* Makes and locks it: -EEXIST. */
int folder_make(const struct oci_options *o, const char *id, struct folder *ret);
/* -ENOENT "does not exist"; @exclusive: nobody else's verb changes it meanwhile. */
int folder_open(const struct oci_options *o, const char *id, bool exclusive, struct folder *ret);
void folder_done(struct folder *f);
/* Writes f->state, with the process and the cgroups of @f. */
int folder_save(struct folder *f);
int folder_remove(struct folder *f);

enum oci_status folder_status(const struct folder *f);
const char *oci_status_name(enum oci_status s);
/* The process, if it is still the one: -ESRCH "container not running". */
int folder_pidfd(const struct folder *f);
/* For hooks and `state`. NULL: no memory. */
json_t *folder_state_json(const struct folder *f, enum oci_status s);

/* hooks.c: each of the list @name, @state on its stdin. The first that fails ends it. */
int hooks_run(const json_t *hooks, const char *name, const json_t *state);

#endif
