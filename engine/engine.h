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
 * Runs, instances and measuring stand in headers of their own, which this one includes: other rooms
 * include this one alone. Errors as in base/err.h. One thread.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/bench.h"
#include "engine/instances.h"
#include "engine/run.h"
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

/* ---- images: what needs more than the store ---- */

/* `import DIR|TAR|- NAME`: one layer; *@ret_manifest names the image. */
int engine_import(struct engine *e, const char *source, const char *name, char *const *changes,
		  struct digest *ret_manifest);

/*
 * Makes an ordinary user root, as the verbs on instances need it (engine/rootless.h): where the
 * instance @id_or_name runs, else (NULL, too) in a namespace of his own. Nothing for root, nor for
 * an instance that is a user's mount. Before engine_open(), for a process of one thread.
 */
int engine_become_root(const struct engine_options *o, const char *id_or_name);
/* And gives this process a mount namespace of its own, for engine_build(). */
int engine_own_mounts(const struct engine_options *o, const char *id_or_name);

struct engine_build {
	const char *name, *file, *context, *target, *network;
	char *const *build_args;
	bool no_cache, quiet; /* quiet: what RUN prints is dropped unless it fails */
	void (*progress)(void *ctx, const char *line);
	void *ctx;
};
int engine_build(struct engine *e, const struct engine_build *b, struct digest *ret_manifest);

/*
 * Removes layers, snapshots and instances' remains that nothing names, but for @keep bytes of the
 * layers used last (store_gc_keep()).
 */
int engine_gc(struct engine *e, uint64_t keep, struct gc_result *ret);

/* store_fsck(), or store_repair(), and the same of microVMs' machines and checkpoints. */
int engine_fsck(struct engine *e, bool repair, void (*fn)(void *ctx, const char *line), void *ctx,
		struct fsck_result *ret);

/* ---- kernels of microVMs: what needs more than the store ---- */

struct kernel_build {
	const char *name;     /* NULL: its release */
	char *const *with;    /* strv: shipped fragments by name ("blk"), behind the first */
	char *const *configs; /* strv: files of further lines of configuration */
	bool use;	      /* it becomes the default */
};
/*
 * Builds a kernel from the distribution's linux-source, or takes it from the cache, and imports it.
 * Its progress goes to our standard error. The caller frees *@ret_name.
 */
int engine_kernel_build(struct engine *e, const struct kernel_build *b, char **ret_name);
/* kernel_import(); the first one, where there is no other, becomes the default. */
int engine_kernel_import(struct engine *e, const struct kernel_import *i, char **ret_name);
/* kernel_use(); "shipped" is the one beside our programs. */
int engine_kernel_use(struct engine *e, const char *name);
/* kernel_each(), then the shipped one when it is there. */
int engine_kernel_each(struct engine *e, int (*fn)(void *ctx, const struct kernel *k), void *ctx);

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

/* ---- serving another VMM ---- */

struct serve_options {
	const char *image, *socket;
	bool read_only; /* else there is a writable top, dropped at the end */
	bool once;	/* ends when the first front end hangs up */
};

/*
 * Serves an image to vhost-user-fs front ends, one after the other, at a new socket of mode 0600,
 * until @stop_fd is readable: 0. With once, a malformed message or ring is -EPROTO.
 */
int engine_serve(struct engine *e, const struct serve_options *o, int stop_fd);

/* ---- the other programs ---- */

/* strata-monitor RUNROOT ID: stdio is the client's, descriptor 3 the report pipe. Gives the exit
 * status. */
int monitor_main(int argc, char **argv);
/* strata-server: serves one FUSE mount; descriptors as engine/rootfs.h has them. */
int server_main(int argc, char **argv);
/* strata-vmm: one microVM; descriptors as engine/vmm.h has them. */
int vmm_main(int argc, char **argv);
/* strata-reap: process 1 of a container with --init. */
int reaper_main(int argc, char **argv);

/*
 * strata-unionfs: a union of directories, by overlayfs' options. Returns when the union is
 * unmounted, or at once in the process that was started, once the mount is there. What to print is
 * the caller's affair; errors are logged.
 */
enum unionfs_asked { UNIONFS_DONE, UNIONFS_HELP, UNIONFS_VERSION };
enum unionfs_asked unionfs_main(int argc, char **argv, int *ret_status);

#endif
