/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of cgroups: where the hierarchies are, and what a group has in each of them. Every
 * group is a folder strata/<id> below the root of a mounted hierarchy, as docker's cgroupfs driver
 * has it; an ordinary user's stands below the group that systemd gave him.
 */
#ifndef RUNTIME_CGROUP_H
#define RUNTIME_CGROUP_H

#include "runtime/runtime.h"

#define CGROUP_FOLDER "strata"

/* Controllers that carry our limits, as bits. */
enum { CGROUP_MEMORY = 1, CGROUP_CPU = 2, CGROUP_PIDS = 4, CGROUP_IO = 8 };
#define CGROUP_CONTROLLERS 4
/* v1 hierarchies of interest, and the one of v2 */
#define CGROUP_MOUNTS_MAX (CGROUP_CONTROLLERS + 1)

/* A mounted hierarchy: those of v1 that have one of our controllers, and v2. */
struct cgroup_mount {
	char *path; /* where strata/ stands: its mount point, or in v2 what is delegated to us */
	bool v2, rdonly;
	bool outside;	      /* we are not below @path, so the kernel lets us bring nobody there */
	unsigned controllers; /* CGROUP_ bits that it offers */
};

struct cgroup_mounts {
	struct cgroup_mount m[CGROUP_MOUNTS_MAX];
	size_t n;
};

int cgroup_mounts_find(struct cgroup_mounts *ret);
void cgroup_mounts_done(struct cgroup_mounts *m);
const char *cgroup_controller_name(unsigned bit);
/* The bit of the controller that this name of @len bytes means, or 0; v1's "blkio" is v2's "io". */
unsigned cgroup_controller_parse(const char *name, size_t len);

#define CGROUP_FREE_MS	64   /* the longest pause when all has ended: about 1/8 s together */
#define CGROUP_PURGE_MS 4096 /* when it was only just killed: about 8 s together */

/* The group's folder in one hierarchy. */
struct cgroup_dir {
	int parent, fd; /* strata/ and strata/<id> */
	bool v2;
	unsigned controllers; /* those used here for a limit */
};

struct cgroup {
	char *id;
	struct cgroup_dir dirs[CGROUP_MOUNTS_MAX];
	size_t n;
};

/* The controllers that these limits need. */
unsigned cgroup_controllers_of(const struct run_limits *l);
/* strata/ in the hierarchy @m, made when @make; *@ret_root (may be NULL) is the mount itself. */
int cgroup_folder_open(const struct cgroup_mount *m, bool make, int *ret_root);
/* Sets the limits of @d->controllers: 0 or -errno with a text. */
int cgroup_limit(const struct cgroup_dir *d, const struct run_limits *l);
/* One controller's, as each version has them; of pids both have the same. */
int cgroup_v1_memory(const struct cgroup_dir *d, const struct run_limits *l);
int cgroup_v1_cpu(const struct cgroup_dir *d, const struct run_limits *l);
int cgroup_v1_io(const struct cgroup_dir *d, const struct run_limits *l);
int cgroup_v2_memory(const struct cgroup_dir *d, const struct run_limits *l);
int cgroup_v2_cpu(const struct cgroup_dir *d, const struct run_limits *l);
int cgroup_v2_io(const struct cgroup_dir *d, const struct run_limits *l);
/* Lets the groups below @root's strata/ have these controllers. */
int cgroup_v2_enable(int root, int folder, unsigned controllers);
/*
 * Has those below strata/ count what they read from disks and write to them, if whose hierarchy it
 * is gives strata/ the controllers; no run fails for want of that.
 */
void cgroup_v2_count(int folder);
/* How many times the kernel killed for want of memory. */
uint64_t cgroup_v1_oom_kills(const struct cgroup_dir *d);
uint64_t cgroup_v2_oom_kills(const struct cgroup_dir *d);

/* One write of a text or a number to a file of @d, "what: file: why" for an error. */
int cgroup_set(const struct cgroup_dir *d, const char *file, const char *limit, const char *text);
int cgroup_set_number(const struct cgroup_dir *d, const char *file, const char *limit, uint64_t n);

#endif
