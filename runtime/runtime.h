/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime: one life for containers and microVMs. create -> start -> stop -> delete, the same words,
 * state files and exit status for both (OCI runtime-spec 1.2, "State" and "Lifecycle").
 *
 * An instance is a directory RUNROOT/instances/<id>/ (docs/formats/instance.md): config.json (what
 * was asked for, written once), state.json (replaced whole), log (what it printed, one line each
 * with time and stream), lock (held by its supervisor as long as that lives), control (a
 * SOCK_SEQPACKET socket of the supervisor). Whoever gets the lock knows that no supervisor lives,
 * whatever state.json says; another boot_id means the same.
 *
 * A supervisor (strata-monitor) runs one instance: supervise() calls the isolation it is given,
 * keeps log and terminal, waits, records the exit, cleans up. It is single-threaded over
 * base/loop.h.
 *
 * A cgroup is one group over v1, v2 or hybrid hierarchies, below the strata/ folder of each.
 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* ---- instances ---- */

#define INST_ID_LEN 12	/* hexadecimal digits of a generated id */
#define INST_NAME_MAX 64 /* [a-zA-Z0-9][a-zA-Z0-9_.-]* as docker has it */

enum inst_status { INST_CREATED, INST_RUNNING, INST_PAUSED, INST_STOPPED };
/* The OCI words: "created", "running", "paused", "stopped". */
const char *inst_status_name(enum inst_status s);

struct inst_state {
	enum inst_status status;
	pid_t pid;		  /* the container's init or the VMM, 0 when there is none */
	pid_t monitor;		  /* the supervisor */
	/* Of a stopped one: 0..255, 128 + signal; -1 = unknown (its supervisor was killed). */
	int exit_code;
	bool oom_killed;
	struct timespec created, started, finished; /* zero = not yet */
	char error[256];	  /* why it could not start, "" = it did */
};

struct inst; /* an open instance */

/* A free random id. */
int inst_new_id(int runroot_fd, char ret_id[INST_ID_LEN + 1]);
/* Makes instances/<id>/ with config.json and state "created", whole or not at all; -EEXIST. */
int inst_create(int runroot_fd, const char *id, const json_t *config, struct inst **ret);
/* By id, unambiguous id prefix, or name (config.json "name"). -ENOENT, -ENOTUNIQ. */
int inst_open(int runroot_fd, const char *id_or_name, struct inst **ret);
void inst_close(struct inst *i);
const char *inst_id(const struct inst *i);
const char *inst_name(const struct inst *i); /* "" when it has none */
int inst_dirfd(const struct inst *i);
const json_t *inst_config(const struct inst *i);
/* The truth now: state.json corrected by the lock and the boot id. */
int inst_state(const struct inst *i, struct inst_state *ret);
/* Calls @fn for each instance; ones that vanish meanwhile are skipped. */
int inst_each(int runroot_fd, int (*fn)(void *ctx, struct inst *i), void *ctx);
/*
 * After a killed supervisor: ends its process, clears its cgroup, records the end. -EBUSY while a
 * supervisor lives.
 */
int inst_recover(struct inst *i);
/*
 * Recovers and removes the directory; -EBUSY while a supervisor lives, unless that is the caller
 * (finished()).
 */
int inst_delete(struct inst *i);

/* Asks the supervisor: signal the instance (0 or -errno; -ESRCH = not running). */
int inst_kill(const struct inst *i, int sig);
/*
 * Asks for an end: @sig, then after @timeout_ms SIGKILL (< 0: never); returns when it has ended, is
 * cleaned up and its supervisor has gone; 0 also for one that did not run. inst_state() then tells
 * how it ended, even if it was removed.
 */
int inst_stop(struct inst *i, int sig, int timeout_ms);
int inst_resize(const struct inst *i, unsigned rows, unsigned cols);
/*
 * Waits until the supervisor has gone: 0, or -ETIMEDOUT. @timeout_ms < 0: for ever. inst_state() as
 * for inst_stop().
 */
int inst_wait(struct inst *i, int timeout_ms);

/*
 * Prints the log to @out_fd (stdout lines) and @err_fd; @follow until the instance ends; @tail < 0:
 * all lines.
 */
int inst_logs(const struct inst *i, bool follow, bool timestamps, int64_t tail, int out_fd,
	      int err_fd);

/* ---- supervising ---- */

/* What an isolation hands to its supervisor once created. */
struct run_process {
	pid_t pid;
	int pidfd;   /* owned by the isolation */
	int console; /* the terminal's master or -1; owned by the isolation */
};

struct loop; /* base/loop.h */

/*
 * The process is a child of the supervisor. The supervisor blocks SIGTERM, SIGINT, SIGQUIT, SIGHUP
 * and SIGPIPE: create() gives the command an empty signal mask and default dispositions. The
 * process must not outlive a killed supervisor: PR_SET_PDEATHSIG in its init, set after the last
 * change of ids; execve of a set-user-ID file as init loses it, then inst_recover() ends it.
 */
struct isolation {
	/*
	 * Makes everything up to the moment before the command; @stdio are what the command gets as
	 * 0, 1, 2 (-1: /dev/null).
	 */
	int (*create)(void *ctx, const int stdio[3], struct run_process *ret);
	int (*start)(void *ctx);
	int (*kill)(void *ctx, int sig);
	/* NULL: TIOCSWINSZ on the console. */
	int (*resize)(void *ctx, unsigned rows, unsigned cols);
	/*
	 * After the process has gone with @wait_status (0..255, 128 + signal): the instance's exit
	 * code. NULL: the same.
	 */
	int (*exit_code)(void *ctx, int wait_status);
	bool (*oom_killed)(void *ctx); /* NULL: never */
	/*
	 * Adds descriptors of its own (a file server's pidfd, a VMM's socket) to the supervisor's
	 * loop, after create(). A callback that ends the loop ends the instance by SIGKILL. NULL:
	 * nothing.
	 */
	int (*attach)(void *ctx, struct loop *loop);
	/* All that create made; also after a failed create. The process is no more. */
	void (*cleanup)(void *ctx);
};

/* With @tty the client sets its own terminal raw, and hands on its size by inst_resize(). */
struct supervise {
	struct inst *inst;
	const struct isolation *iso;
	void *ctx;
	bool tty;
	bool logged;	/* keep what is printed in the log */
	int stdio[3];	/* the client's: -1 where it has none (detached) */
	int report_fd;	/* where struct run_report messages go for the waiting client, or -1 */
	/*
	 * After cleanup, before the supervisor ends; the lock is still held, so that it may
	 * inst_delete() (--rm). NULL: nothing.
	 */
	void (*finished)(void *finished_ctx);
	void *finished_ctx; /* @ctx may be gone by then */
};

/* Messages on report_fd, each one write. */
struct run_report {
	enum { RUN_STARTED, RUN_FAILED, RUN_EXITED } kind;
	int code;	 /* FAILED: -errno; EXITED: the exit code */
	char text[512];	 /* FAILED: why */
};

/*
 * Runs the instance to its end; gives its exit code, or -errno when it never started (reported
 * already). SIGTERM to the supervisor: SIGTERM to the instance, after 10 s SIGKILL. For a process
 * of its own: signals stay blocked.
 */
int supervise(struct supervise *s);

/* ---- limits ---- */

struct run_limits {
	uint64_t memory;     /* bytes, 0 = none */
	uint64_t nano_cpus;  /* CPUs * 10^9, 0 = none */
	uint64_t pids;	     /* 0 = none */
	uint64_t cpu_weight; /* 1..10000, 0 = the default 100 */
};

struct cgroup;
/*
 * Makes the group strata/<id> with these limits (NULL: none) in each hierarchy that has to keep
 * one, and in v2's if it is there and ours to write; so it may be no group at all. -EOPNOTSUPP
 * names a controller that is missing for a limit.
 */
int cgroup_new(const char *id, const struct run_limits *limits, struct cgroup **ret);
/* A descriptor for CLONE_INTO_CGROUP (v2 or hybrid's unified tree), owned by the cgroup, or -1. */
int cgroup_fd(const struct cgroup *g);
/*
 * Puts @pid where a limit is to be kept: into the v1 hierarchies, and v2 when @v2 (it was not
 * cloned into it). Costs 3-15 ms for an RCU grace period; nothing when no limit was asked for.
 */
int cgroup_enter(const struct cgroup *g, pid_t pid, bool v2);
bool cgroup_oom_killed(const struct cgroup *g);
/* SIGKILL to all that is in it; 0 also for no group. */
int cgroup_kill(const struct cgroup *g);
/* Removes the group (it must be empty or becomes so within moments) and frees. */
void cgroup_free(struct cgroup *g);
/* Removes what a killed supervisor left of group strata/<id>, killing what is still in it. */
int cgroup_purge(const char *id);

#endif
