/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci: containers as the OCI runtime-spec has them, for engines that call a runtime (podman,
 * containerd, CRI-O). What a verb of strata-oci does, without printing.
 *
 * The life of a container: oci_create() reads BUNDLE/config.json, makes namespaces, mounts and
 * control groups by the container room, and leaves a process behind which waits at a socket (its
 * gate) in the container's folder ROOT/ID; oci_start() lets it go; oci_kill(), oci_exec() and the
 * others find it by that folder; oci_delete() removes all. Nobody stays: whoever called is the
 * process' reaper.
 *
 * state.json in the folder is written before the process is made and again when it is known: pid
 * and start time together name it, so what is left after kill -9 or a reboot is never another
 * process. The folder is locked while one verb changes it.
 *
 * Errors: -errno with a text, in words that callers match: "does not exist", "container not
 * running", "executable file not found in $PATH", "permission denied". One thread.
 */
#ifndef OCI_OCI_H
#define OCI_OCI_H

#include "base/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct oci_options {
	const char *root;     /* the folder of containers */
	char *const *argv;    /* of this program, to be executed anew from where it is safe */
	const char *bundle;   /* NULL: "." */
	const char *pid_file; /* NULL: none */
	const char *console;  /* a socket that takes the terminal, or NULL */
	bool no_pivot, no_new_keyring;
	unsigned preserve_fds;
	bool foreground; /* the caller waits: a terminal without @console is its own to relay */
	/* exec: in place of, or changes to, what config.json says */
	const char *process; /* a file, or NULL */
	char *const *args;   /* with @process NULL */
	const char *cwd, *user;
	char *const *env, *const *caps, *const *groups;
	bool tty, no_new_privs;
};

/* /run/strata-oci, or $XDG_RUNTIME_DIR/strata-oci; the caller frees. NULL: no memory. */
char *oci_default_root(void);

/* The process that was made: of @foreground, to be let go, relayed and waited for. */
struct oci_process {
	pid_t pid;
	int pidfd, console; /* owned by @ctr; -1: no terminal, or it was handed over */
	struct ctr *ctr;
};
/* Of @foreground: lets it go; errors as oci_start()'s. */
int oci_process_start(struct oci_process *p);
void oci_process_done(struct oci_process *p);

int oci_create(const struct oci_options *o, const char *id, struct oci_process *ret);
int oci_start(const struct oci_options *o, const char *id);
/* A further process, which runs when this returns. */
int oci_exec(const struct oci_options *o, const char *id, struct oci_process *ret);
int oci_kill(const struct oci_options *o, const char *id, int sig, bool all);
/* @force: kills what runs, and what is not there is no error. */
int oci_delete(const struct oci_options *o, const char *id, bool force);
int oci_pause(const struct oci_options *o, const char *id, bool pause);
int oci_update(const struct oci_options *o, const char *id, const json_t *resources);

/* The state (runtime.md, "State") with "rootfs" and "created" beside. */
int oci_state(const struct oci_options *o, const char *id, json_t **ret);
/* An array of those of all containers. */
int oci_list(const struct oci_options *o, json_t **ret);
int oci_pids(const struct oci_options *o, const char *id, pid_t **ret, size_t *ret_n);
/* runc's form of `events --stats`. */
int oci_stats(const struct oci_options *o, const char *id, json_t **ret);

/* features.md, and a config.json to begin from. NULL: no memory. */
json_t *oci_features(void);
json_t *oci_spec(bool rootless);

/* "KILL", "SIGKILL" or "9"; -EINVAL. */
int oci_signal(const char *name);

#endif
