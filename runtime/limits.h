/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits and use: a cgroup is one group over v1, v2 or hybrid hierarchies, below the strata/ folder
 * of each.
 */
#ifndef RUNTIME_LIMITS_H
#define RUNTIME_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct run_limits {
	uint64_t memory;     /* bytes, 0 = none */
	uint64_t nano_cpus;  /* CPUs * 10^9, 0 = none */
	uint64_t pids;	     /* 0 = none */
	uint64_t cpu_weight; /* 1..10000, 0 = the default 100 */
	/*
	 * Bytes a second that are read from a disk, and as many that are written; 0 = any. v1 holds
	 * back no writing that the page cache does later.
	 */
	uint64_t io_rate;
	dev_t io_disk; /* the disk, as limits_disk() gives it */
};

/*
 * The disk that the file system of @fd is on: *@ret. -EOPNOTSUPP with a text: on none that could
 * be told (a tmpfs, btrfs, a file system over the network).
 */
int limits_disk(int fd, dev_t *ret);

/* What a group uses now. */
struct cgroup_usage {
	uint64_t cpu_ns;       /* since it was made */
	uint64_t memory;       /* bytes: as its controller charges, else resident in its processes
				*/
	uint64_t memory_limit; /* bytes, 0 = none */
	uint64_t pids;
	/* Bytes from and to disks since it was made, where a controller counts them. */
	bool has_io;
	uint64_t io_read, io_written;
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

/* ---- any group's folder, by whoever it was made ---- */

/* The number behind "@key " in a flat keyed file of the group @dir, 0 when there is none. */
uint64_t cgroup_dir_get(int dir, const char *file, const char *key);
/* Kills what is in the group @dir until it is empty: 0, -EBUSY = it does not end. */
int cgroup_dir_kill(int dir);
/*
 * Removes @name with all groups below it. While something in it is just ending it tries again,
 * after pauses of 1, 2, 4... and at last @longest_ms. ENOENT is success.
 */
int cgroup_dir_remove(int parent, const char *name, int longest_ms);

#endif
