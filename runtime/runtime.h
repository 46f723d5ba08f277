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

/*
 * Another name for it, in config.json too. -EEXIST: taken. -EINVAL: no name. Killed in between, it
 * has one of the two.
 */
int inst_rename(struct inst *i, const char *name);

/* Another config.json, of the same name. */
int inst_set_config(struct inst *i, const json_t *config);

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
 * Holds everything in the instance, or lets it go on: 0; -ESRCH = it does not run, -EALREADY = it
 * is so already, -EOPNOTSUPP = not here (no cgroup v2, a mount).
 */
int inst_pause(const struct inst *i, bool paused);
/*
 * Asks a running one to do with so much memory, 1..INT32_MAX MiB; it gives up the rest by and by.
 * -EOPNOTSUPP when it cannot change, -ERANGE for more than it started with.
 */
int inst_memory(const struct inst *i, unsigned mib);
/*
 * Keeps what runs in a file, and ends it; returns as inst_stop() does. -EOPNOTSUPP when it cannot
 * be kept, -EBUSY while it is paused; after an error it runs on.
 */
int inst_checkpoint(struct inst *i);
/*
 * Keeps what runs in a file for clones that process @pid makes, and has it run on: 0 when it is
 * there. Errors as of inst_checkpoint().
 */
int inst_clone(const struct inst *i, pid_t pid);
/*
 * A pidfd of the container's first process or the VMM, the caller's: the very one that the state
 * names, not another that has got its number since. -ESRCH = there is none.
 */
int inst_process(const struct inst *i, int *ret_pidfd);
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

#define ATTACH_CHUNK	   4096	 /* bytes of data in one message, at most */
#define ATTACH_PATIENCE_MS 10000 /* for one who takes nothing; meanwhile the instance waits */

/* The first byte of each message. */
enum attach_message {
	ATTACH_BEGIN, /* to who attached, first; one byte: 1 = what is typed reaches the command */
	ATTACH_OUT,   /* what it printed */
	ATTACH_ERR,
	ATTACH_END, /* it has ended, and this was all */
	ATTACH_IN,  /* from who attached, what is typed; without data: its end */
};

/*
 * A connection to what a running one prints and reads, from now on: messages on @stream
 * (SOCK_SEQPACKET). @control is for inst_attachment_end().
 */
struct inst_attachment {
	int stream, control;
};

/*
 * -ESRCH = it does not run, -EBUSY = it is paused, -EUSERS = too many attached already,
 * -EOPNOTSUPP = it has its client's own descriptors.
 */
int inst_attach(const struct inst *i, struct inst_attachment *ret);
/* When @stream has ended: waits as inst_wait() does. */
int inst_attachment_end(struct inst *i, struct inst_attachment *a);
void inst_attachment_close(struct inst_attachment *a);

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
	/*
	 * Lets the command run. Where that takes its time it runs the loop of attach() until it
	 * does: kill() is called out of that.
	 */
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
	 * Holds all its processes, or lets them go on; SIGKILL ends it all the same. NULL: cannot.
	 */
	int (*pause)(void *ctx, bool paused);
	/* As inst_memory() says. NULL: it cannot change. */
	int (*memory)(void *ctx, unsigned mib);
	/*
	 * Keeps what runs in a file, and ends it: 0 when it is kept and has ended. Nothing else is
	 * done meanwhile. NULL: cannot.
	 */
	int (*checkpoint)(void *ctx);
	/* The same for clones that process @pid makes, and it runs on. NULL: cannot. */
	int (*clone)(void *ctx, pid_t pid);
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
	unsigned timeout; /* seconds from the start of the command to SIGKILL, 0 = never */
	bool logged;	/* keep what is printed in the log */
	bool stdin_open; /* without a client's stdin it is open all the same, for who attaches */
	int stdio[3];	/* the client's: -1 where it has none (detached) */
	const char *detach_keys; /* typed there, it goes (base/detach_keys.h); NULL: none */
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
	/* DETACHED: of the terminal, by the keys; the command runs on, and this was the last */
	enum { RUN_STARTED, RUN_FAILED, RUN_EXITED, RUN_DETACHED } kind;
	int code;	 /* FAILED: -errno; EXITED: the exit code */
	char text[512];	 /* FAILED: why; EXITED: what ended it, when we did, else "" */
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

/* What a group uses now. */
struct cgroup_usage {
	uint64_t cpu_ns;       /* since it was made */
	uint64_t memory;       /* bytes: as its controller charges, else resident in its processes
				*/
	uint64_t memory_limit; /* bytes, 0 = none */
	uint64_t pids;
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
/*
 * Other limits, those of @limits that are not 0, for the group of an instance that runs. In v2 any;
 * in v1 one of a controller that it was made with a limit of, else -EOPNOTSUPP.
 */
int cgroup_update(const char *id, const struct run_limits *limits);
bool cgroup_oom_killed(const struct cgroup *g);
/* SIGKILL to all that is in it; 0 also for no group. */
int cgroup_kill(const struct cgroup *g);
/*
 * What is there of strata/<id>, made by somebody else: to be looked at, entered, changed, and
 * closed by cgroup_close(). No group at all is no error.
 */
int cgroup_open(const char *id, struct cgroup **ret);
void cgroup_close(struct cgroup *g);
/*
 * Holds or releases all that is in the group (v2's freezer, which a hybrid's unified tree has,
 * too); returns when it is so. -EOPNOTSUPP: no v2 group, or a kernel before 5.2. -ETIMEDOUT:
 * something in it cannot be held now (it waits in the kernel); it runs on then.
 */
int cgroup_freeze(const struct cgroup *g, bool frozen);
/* Of a group of cgroup_open(). -ENOENT: there is no group. */
int cgroup_usage(const struct cgroup *g, struct cgroup_usage *ret);
/* Removes the group (it must be empty or becomes so within moments) and frees. */
void cgroup_free(struct cgroup *g);
/* Removes what a killed supervisor left of group strata/<id>, killing what is still in it. */
int cgroup_purge(const char *id);

#endif
