/* SPDX-License-Identifier: Apache-2.0 */
/* Instances, running or not, by name or id. Part of engine/engine.h. */
#ifndef ENGINE_INSTANCES_H
#define ENGINE_INSTANCES_H

#include "engine/device_stats.h"
#include "engine/run.h"
#include "imagestore/imagestore.h"
#include <sys/types.h>

struct engine;
struct engine_options;

struct ps_entry {
	const char *id, *name, *image, *kind, *driver;
	char *const *command;
	const json_t *labels; /* an object of strings, or NULL */
	const struct digest *layers;
	size_t nlayers;
	const struct inst_state *state;
	bool checkpointed; /* stopped, and `restore` would have it go on */
};
/*
 * After a reboot the state folder is empty, but the tops are there: makes their instances again,
 * stopped. Clears the tops that nobody will ask for. For verbs that look instances up.
 */
int engine_revive(struct engine *e);
/* Every instance. */
int engine_ps(struct engine *e, int (*fn)(void *ctx, const struct ps_entry *p), void *ctx);
#define STOP_SECONDS	 10 /* between stop signal and SIGKILL, where nothing else is said */
#define STOP_SECONDS_MAX 86400
/* Stops by its stop signal, SIGKILL after @seconds; -1: those that it was made with. */
int engine_stop(struct engine *e, const char *id_or_name, int seconds);
/*
 * Removes instance, snapshot, and whatever a killed supervisor left; -EBUSY when it runs and not
 * @force, which stops it as above, but kills it at once where no time was said.
 */
int engine_rm(struct engine *e, const char *id_or_name, bool force, int seconds);
/* A number, or a name with or without SIG; SIGTERM for NULL and "". 0 = no such signal. */
int signal_parse(const char *text);
/* Sends @sig to the command of one that runs; -ESRCH with a text when it does not. */
int engine_kill(struct engine *e, const char *id_or_name, int sig);
/*
 * Waits until it has ended and is cleaned up; *@ret_code as in struct inst_state. 0 also for one
 * that has ended before.
 */
int engine_wait(struct engine *e, const char *id_or_name, int *ret_code);
/*
 * Keeps a running microVM in a file of its top, and ends it: engine_start() with restore has it go
 * on. -EOPNOTSUPP with a text: it has what cannot be kept.
 */
int engine_checkpoint(struct engine *e, const char *id_or_name);
struct clone_options {
	const char *name; /* NULL: none has one; of several, -1, -2... is added */
	unsigned count;
};
/*
 * Makes microVMs that go on where a running one stands, or a checkpointed one stood, each on a copy
 * of its top, with the same memory until they write to it, detached. Calls @fn for each: @r is 0
 * when it runs, or what went wrong, with a text. -EOPNOTSUPP with a text: it has what cannot be
 * kept.
 */
int engine_clone(struct engine *e, const char *id_or_name, const struct clone_options *o,
		 void (*fn)(void *ctx, const char *id, int r), void *ctx);
/* Holds all that runs in it, or lets it go on. */
int engine_pause(struct engine *e, const char *id_or_name, bool paused);

/* One who attached. */
struct attach {
	struct inst *inst;
	struct inst_attachment link;
	bool tty; /* its command has a terminal */
};
/* To a running one; attach_done() then. -ESRCH, -EBUSY, -EOPNOTSUPP with a text. */
int engine_attach(struct engine *e, const char *id_or_name, struct attach *ret);
void attach_done(struct attach *a);
/*
 * Other limits, those of @l that are not 0: at once when it runs, and for its next start. The
 * memory of a running microVM, which has to have a balloon, up to what it started with, in MiB
 * rounded down; the guest gives up the rest by and by. -EOPNOTSUPP, -ERANGE with a text.
 */
int engine_update(struct engine *e, const char *id_or_name, const struct run_limits *l);

/* Another name, for the top's own record too. */
int engine_rename(struct engine *e, const char *id_or_name, const char *name);
/*
 * What one that does not run changed in its image: 'A'dded, 'C'hanged, 'D'eleted, parents before
 * children; the path has no leading slash. -EBUSY: it runs.
 */
int engine_diff(struct engine *e, const char *id_or_name,
		int (*fn)(void *ctx, char kind, const char *path), void *ctx);

/*
 * Copies between the host and an instance, one of @from and @to being "INSTANCE:PATH", with
 * docker's rules for what goes where; owners are kept with @archive, else the files are the copying
 * user's. engine_cp_begin() comes before engine_open(), as engine_own_mounts() does.
 */
int engine_cp_begin(const struct engine_options *o, const char *from, const char *to);
int engine_cp(struct engine *e, const char *from, const char *to, bool archive);

struct commit_options {
	const char *name, *message, *author; /* NULL: none */
	char *const *changes;		     /* as build_change() */
};
/* Makes an image of its image and its changes; -EBUSY: it runs. */
int engine_commit(struct engine *e, const char *id_or_name, const struct commit_options *o,
		  struct digest *ret_manifest);

/* What an instance uses now; -ESRCH with a text: it does not run. */
int engine_stats(const struct inst *i, struct cgroup_usage *ret);
/*
 * Bytes that the eth0 of a running container has received and sent. -EOPNOTSUPP: it is none, or has
 * no network of its own; -ESRCH: it does not run; with a text.
 */
struct net_usage {
	uint64_t in, out;
};
int engine_net_usage(const struct inst *i, struct net_usage *ret);
/*
 * What the devices of a running microVM have moved. -EOPNOTSUPP: it is none; -EBUSY: it is paused;
 * -ETIMEDOUT: it does not answer, within two seconds; with a text.
 */
int engine_device_stats(const struct inst *i, struct device_stats *ret);

struct process_entry {
	pid_t pid, ppid;
	uid_t uid;
	uint64_t cpu_ns;
	const char *command; /* its arguments, printable */
};
/*
 * The processes of a running instance, those of `exec` too; by their pids, which of a container are
 * the host's, of a microVM the guest's.
 */
int engine_processes(struct engine *e, const char *id_or_name,
		     int (*fn)(void *ctx, const struct process_entry *p), void *ctx);

struct exec_options {
	const char *user, *workdir; /* NULL: the instance's own */
	char *const *env;	    /* NAME=VALUE, or NAME to hand on ours; beside the instance's */
	char *const *env_files;	    /* of such lines, which env wins over */
	char *const *command;
	bool tty, interactive, detach;
	unsigned rows, cols; /* of the terminal */
};

/* A further command of an instance: of a container the caller's child. */
struct exec {
	int pidfd, console; /* the terminal's master or -1; of a microVM both are */
	struct ctr *ctr;
	struct vm_exec *vm;
};

/*
 * Runs a command in a running instance, with our standard streams unless tty (and a container) or
 * detach. In a container it has the container's namespaces, cgroup, capabilities and seccomp
 * filter; in a microVM it is the guest's, by its init. It dies with the caller. -ENOENT, -EACCES:
 * of the command (127, 126); -ESRCH: the instance does not run. After exec_protect().
 */
int engine_exec(struct engine *e, const char *id_or_name, const struct exec_options *o,
		struct exec *ret);
/*
 * Executes this program once more with @argv, from a mount that no container can write
 * (CVE-2019-5736); returns when it is there already. Before anything was printed or read.
 */
int exec_protect(char *const *argv);
/*
 * Its exit status, 128 + signal; -errno. After the pidfd polls as readable it does not block. Of a
 * microVM's command it relays our standard streams meanwhile; -EAGAIN: @wake_fd is readable.
 */
int exec_wait(struct exec *x, int wake_fd);
/* Of a microVM's command alone: a signal for it, the size of its terminal. */
int exec_signal(struct exec *x, int sig);
int exec_resize(struct exec *x, unsigned rows, unsigned cols);
void exec_done(struct exec *x);

/* Unmounts what `strata mount` mounted at @dir. */
int engine_umount(struct engine *e, const char *dir);
/*
 * The file server of the mount at @dir is replaced by the program that stands in its place by now;
 * who uses the mount waits a moment (Linux 6.9). Answers when the new one does.
 */
int engine_mount_reload(struct engine *e, const char *dir);

#endif
