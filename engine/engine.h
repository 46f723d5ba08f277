/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: the library behind the command line, and the only room that joins rooms. What a verb
 * does, without printing.
 *
 * The life of an engine: engine_open() finds the store and the state folder; verbs are functions on
 * it; engine_close(). Images and layers are the store's (imagestore/imagestore.h), instances the
 * runtime's (runtime/runtime.h): where a verb is nothing but one call of theirs, cli/ gets it by
 * engine_store() and the functions here hand their types on.
 *
 * A run: engine_run() resolves the image, makes the snapshot and the instance, and starts
 * strata-monitor, which does the rest (engine/monitor.c) and reports. The programs' own main loops
 * stand here too: monitor_main(), server_main(), vmm_main().
 *
 * Errors as in base/err.h. One thread.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "imagestore/imagestore.h"
#include "runtime/runtime.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct engine;

struct engine_options {
	const char *root;    /* NULL: STRATA_ROOT, else /var/lib/strata or ~/.local/share/strata */
	const char *runroot; /* NULL: STRATA_RUNROOT, else /run/strata or $XDG_RUNTIME_DIR/strata */
};

/* @store_flags: STORE_CREATE, STORE_RDONLY. */
int engine_open(const struct engine_options *o, unsigned store_flags, struct engine **ret);
void engine_close(struct engine *e);
struct store *engine_store(struct engine *e);
int engine_runroot(struct engine *e); /* a directory descriptor, the engine's */
const char *engine_runroot_path(struct engine *e);

/* ---- running ---- */

enum run_kind { RUN_CONTAINER, RUN_VM, RUN_MOUNT };
enum run_driver { RUN_DRIVER_AUTO, RUN_DRIVER_FUSE, RUN_DRIVER_OVERLAY };

struct run_volume {
	char *source, *target; /* absolute paths: on the host, in the instance */
	bool rdonly;
};

/* What the user asks for, beside what the image's config says. NULL, 0 and false are "not said". */
struct run_options {
	enum run_kind kind;
	const char *image;
	char *const *command;	/* after the image's name */
	const char *entrypoint; /* replaces the image's, and drops its CMD */
	char *const *env;	/* NAME=VALUE, or NAME to hand on ours */
	char *const *volumes;	/* SRC:DST[:ro] */
	const char *workdir, *user, *name, *hostname, *network, *driver, *kernel, *mountpoint;
	struct run_limits limits;
	unsigned vcpus;
	bool rm, tty, interactive, detach, read_only, trace;
};

/* A run under way, as its client sees it. */
struct run {
	struct inst *inst;
	int report_fd; /* struct run_report messages; end of file when the supervisor has gone */
};

/*
 * Creates the instance and starts its supervisor with the caller's stdio (nothing of it when
 * detached). Returns before the command runs: run_next() tells how it goes on.
 */
int engine_run(struct engine *e, const struct run_options *o, struct run *ret);
/* The next report: 1 and *@ret, 0 = the supervisor has gone, -errno. Blocks unless report_fd is
 * O_NONBLOCK. */
int run_next(struct run *r, struct run_report *ret);
void run_done(struct run *r);

/* ---- instances ---- */

struct ps_entry {
	const char *id, *name, *image, *kind, *driver;
	char *const *command;
	const struct inst_state *state;
};
/*
 * After a reboot the state folder is empty, but the tops are there: makes their instances again,
 * stopped. Clears the tops that nobody will ask for. For verbs that look instances up.
 */
int engine_revive(struct engine *e);
/* Every instance. */
int engine_ps(struct engine *e, int (*fn)(void *ctx, const struct ps_entry *p), void *ctx);
/* Stops by the image's stop signal, SIGKILL after @timeout_ms. */
int engine_stop(struct engine *e, const char *id_or_name, int timeout_ms);
/* Removes instance, snapshot, and whatever a killed supervisor left; -EBUSY when it runs and not
 * @force. */
int engine_rm(struct engine *e, const char *id_or_name, bool force);
/* Unmounts what `strata mount` mounted at @dir. */
int engine_umount(struct engine *e, const char *dir);

/* ---- images: what needs more than the store ---- */

/* `import DIR|TAR|- NAME`: one layer; *@ret_manifest names the image. */
int engine_import(struct engine *e, const char *source, const char *name, char *const *changes,
		  struct digest *ret_manifest);

/* Gives this process a mount namespace of its own, for engine_build(): before engine_open(). */
int engine_own_mounts(void);

struct engine_build {
	const char *name, *file, *context, *target, *network;
	char *const *build_args;
	bool no_cache, quiet; /* quiet: what RUN prints is dropped unless it fails */
	void (*progress)(void *ctx, const char *line);
	void *ctx;
};
int engine_build(struct engine *e, const struct engine_build *b, struct digest *ret_manifest);

/* Removes layers, snapshots and instances' remains that nothing names. */
int engine_gc(struct engine *e, struct gc_result *ret);

/* ---- the host ---- */

enum doctor_verdict { DOCTOR_YES, DOCTOR_NO, DOCTOR_PARTLY };
struct doctor_item {
	const char *name; /* "fuse", "resend", ... */
	enum doctor_verdict verdict;
	const char *detail; /* one line: what was found, and what to do about it */
};
int engine_doctor(const struct engine_options *o, int (*fn)(void *ctx, const struct doctor_item *i),
		  void *ctx);

/* Whether a microVM can run here; 0, or -EOPNOTSUPP with the reason. The verdict is kept per boot.
 */
int engine_vm_usable(struct engine *e);

/* ---- measuring ---- */

struct bench_sample {
	const char *mode;    /* "container/fuse", "container/overlay", "vm" */
	uint64_t start_ns;   /* from the request to the command running */
	uint64_t run_ns;     /* to its exit */
	uint64_t cleanup_ns; /* to the supervisor gone */
	uint64_t remove_ns;  /* instance and snapshot removed */
	uint64_t cpu_ns;     /* user and system time of all our processes */
};
/*
 * @n rounds, each running every usable mode once, in turn, after one that does not count; modes
 * that cannot run here go to @skipped with the reason.
 */
int engine_bench_startup(struct engine *e, const char *image, unsigned n, char *const *command,
			 int (*fn)(void *ctx, const struct bench_sample *s),
			 void (*skipped)(void *ctx, const char *line), void *ctx);

/* ---- the other programs ---- */

/* strata-monitor RUNROOT ID: stdio is the client's, descriptor 3 the report pipe. Gives the exit
 * status. */
int monitor_main(int argc, char **argv);
/* strata-server: serves one FUSE mount; descriptors as engine/rootfs.h has them. */
int server_main(int argc, char **argv);
/* strata-vmm: one microVM; descriptors as engine/vmm.h has them. */
int vmm_main(int argc, char **argv);

#endif
