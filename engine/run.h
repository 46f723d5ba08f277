/* SPDX-License-Identifier: Apache-2.0 */
/* Running an image: what is asked for, and how it goes. Part of engine/engine.h. */
#ifndef ENGINE_RUN_H
#define ENGINE_RUN_H

#include "runtime/runtime.h"
#include <stdbool.h>
#include <stdint.h>

struct engine;

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
	char *const *env_files; /* of such lines, which env wins over */
	char *const *labels;	/* NAME=VALUE, or NAME for an empty one */
	char *const *label_files;
	char *const *volumes; /* SRC:DST[:ro] */
	char *const *disks;   /* RUN_VM: FILE[:/PATH][:ro] */
	char *const *tmpfs;   /* /TARGET[:size=...,mode=...,ro,exec,suid] */
	char *const *ports;   /* [ADDRESS:]HOST:GUEST[/tcp|/udp], with network "user" */
	char *const *dns, *const *dns_search, *const *dns_options;
	char *const *hosts;   /* NAME:ADDRESS; an address "host-gateway" is the host's */
	char *const *ulimits; /* NAME=SOFT[:HARD] */
	char *const *cap_add, *const *cap_drop; /* names of capabilities(7), or ALL */
	char *const *storage;			/* size=BYTES[kmg] */
	const char *workdir, *user, *name, *hostname, *network, *driver, *kernel, *mountpoint;
	const char *platform;	 /* that the image must be for; NULL: one that runs here */
	const char *detach_keys; /* as struct start_options has them */
	const char *verify;	 /* "open" or "never"; NULL: STRATA_VERIFY, else open */
	struct run_limits limits;
	unsigned vcpus;
	unsigned timeout;	  /* seconds until it is killed, 0 = never */
	const char *stop_signal;  /* by number or name; NULL: the image's */
	const char *stop_timeout; /* seconds; NULL: not said */
	const char *shm_size;	  /* BYTES[kmg] of /dev/shm, "0" = any */
	bool init;		  /* process 1 is one that waits for what others leave behind */
	bool rm, tty, interactive, detach, read_only, trace;
	uint64_t net_rate;	/* bytes a second in each direction, with network "user"; 0 = any */
	uint64_t disk_rate;	/* bytes a second of each disk, read and written; 0 = any */
	const char *vmm;	/* RUN_VM: "kvm", "qemu", "auto"; NULL: STRATA_VMM, else auto */
	bool cold;		/* RUN_VM: boots, in place of going on from a machine that has */
	bool balloon;		/* RUN_VM: memory that the guest frees goes back to the host */
	const char *huge_pages; /* RUN_VM: "thp" or "hugetlb"; NULL: none */
	uint64_t dax; /* RUN_VM: bytes of the window that its root's stored files are mapped in */
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
/* The same without a start: state "created", its id. */
int engine_create(struct engine *e, const struct run_options *o, char ret_id[INST_ID_LEN + 1]);
struct start_options {
	bool attach;		 /* on our standard streams... */
	bool interactive;	 /* ... stdin too */
	bool restore;		 /* goes on from its checkpoint; -ENOENT: it has none */
	bool hashed;		 /* which the caller has just read as a whole and found sound */
	const char *detach_keys; /* typed on a terminal, they leave it to itself; NULL: none do */
};
/*
 * Starts one that was created or has ended, on the top that it has. *@ret_tty: its command has a
 * terminal. -EALREADY: it runs.
 */
int engine_start(struct engine *e, const char *id_or_name, const struct start_options *o,
		 bool *ret_tty, struct run *ret);
/*
 * One line about the last engine_run() or engine_create() that its user should see (it took
 * another way than was to be expected), or NULL. The engine's.
 */
const char *engine_note(const struct engine *e);
/* The next report: 1 and *@ret, 0 = the supervisor has gone, -errno. Blocks unless report_fd is
 * O_NONBLOCK. */
int run_next(struct run *r, struct run_report *ret);
void run_done(struct run *r);

#endif
