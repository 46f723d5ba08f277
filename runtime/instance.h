/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances: their state, and what is asked of one.
 *
 * An instance is a directory RUNROOT/instances/<id>/ (docs/formats/instance.md): config.json (what
 * was asked for, written once), state.json (replaced whole), log (what it printed, one line each
 * with time and stream), lock (held by its supervisor as long as that lives), control (a
 * SOCK_SEQPACKET socket of the supervisor). Whoever gets the lock knows that no supervisor lives,
 * whatever state.json says; another boot_id means the same.
 */
#ifndef RUNTIME_INSTANCE_H
#define RUNTIME_INSTANCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

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
 * What the devices of a running one have moved, as it says itself: @len bytes in one message,
 * whatever its isolation and who reads it have agreed on. -ESRCH, -EBUSY while it is held,
 * -EOPNOTSUPP = nothing counts there, -ETIMEDOUT = no answer within a second, -EBADMSG = another
 * one than it should be.
 */
int inst_stats(const struct inst *i, void *ret, size_t len);
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

#endif
