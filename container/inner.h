/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this room share. The parent opens everything that lies outside (a plan),
 * clones, and waits; the child goes through its steps (child.c) with what a plan holds.
 */
#ifndef CONTAINER_INNER_H
#define CONTAINER_INNER_H

#include "base/err.h"
#include "container/container.h"
#include "container/passwd.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One mount beside the defaults, its source opened by the parent. */
struct bind {
	int tree; /* a detached mount, -1 = a new tmpfs */
	bool directory, rdonly;
	const char *target;
	const struct ctr_mount *tmpfs; /* of a tree of -1: what was asked for */
};

struct plan {
	const struct ctr_spec *spec;
	const struct ctr_given *given; /* spec->given */
	int root;		       /* a detached mount */
	bool root_owned;
	struct bind *binds;
	size_t nbinds;
	bool wait; /* the parent has to do something before the child may go on */
	int join;  /* the pidfd of the container to join, or -1 for a new one */
	/* with given: its binds' trees are in @binds */
	bool through; /* into a user namespace that is there, with others that are new */
	int *devices; /* trees, with bind_devices */
	int proc;     /* the host's procfs, or -1 */
};

/* given_plan.c */
int plan_given(struct plan *p);
void plan_given_done(struct plan *p);
/* The host's node of this name as a detached mount, if it is that device. */
int given_device_open(const char *path, mode_t type, dev_t rdev);
/* The namespace of this kind, or NULL. */
const struct ctr_namespace *given_namespace(const struct ctr_given *g, int flag);

/* plan.c */
int plan_init(struct plan *p, const struct ctr_spec *spec, int join);
void plan_done(struct plan *p);

/*
 * clone.c: the child's pid, or 0 in the child, or -errno. *@ret_joined: it is in spec->cgroup_fd
 * already.
 */
pid_t clone_child(const struct plan *p, int *ret_pidfd, bool *ret_joined);

uint64_t clone_flags(const struct plan *p);

/* given_clone.c: what is done around the clone, and one into a user namespace that is there. */
int given_clone_begin(const struct ctr_given *g, int *ret_time);
int given_clone_end(int time);
pid_t given_clone_through(const struct plan *p, int sock, int peer, int *ret_pidfd);

/* report.c: one message over the socket; error 0 is "ready" or "go on". */
int report_send(int sock, int error, int fd);
/* 0, or the other end's -errno with its text, or -ECHILD when it is gone; *@ret_fd may be NULL. */
int report_recv(int sock, int *ret_fd);

/* userns.c: the child's part. */
int userns_become_root(void);

/* join.c: the parent's part, around the clone, and the child's. */
struct join {
	int own;      /* our pid namespace */
	int dumpable; /* what we were */
};
int join_begin(struct join *j, int pidfd);
int join_end(struct join *j);

/* The child's own state. */
struct child {
	const struct plan *plan;
	const struct ctr_spec *spec;
	int sock;
	int root, proc, sys, dev; /* mounts */
	int master, slave;	  /* of the terminal, or -1 */
	struct user user;
	char **env;
};

/* child.c */
_Noreturn void child_main(const struct plan *p, int sock);

/* Steps of the child, each 0 or -errno with a text. */
int mounts_setup(struct child *c);   /* mounts.c: everything, up to pivot_root */
int join_container(struct child *c); /* join.c: enters its namespaces */
int join_tty(struct child *c);	     /* join.c: a pair from its devpts */
int dev_setup(struct child *c);	     /* dev.c */
int masks_proc(struct child *c);     /* masks.c: read-only and masked paths of /proc */
int masks_sys(struct child *c);
int files_setup(struct child *c);	       /* bind.c */
int binds_setup(struct child *c);	       /* bind.c */
int tty_open_pair(struct child *c, int dir);   /* tty.c: from the devpts @dir */
int tty_setup(struct child *c);		       /* tty.c: opens the pair */
int stdio_setup(struct child *c);	       /* stdio.c: what becomes 0, 1, 2 */
int net_loopback_up(void);		       /* net.c */
int rlimit_apply(const struct ctr_spec *spec); /* rlimit.c */
int env_setup(struct child *c);		       /* env.c */
int cwd_make(struct child *c);		       /* cwd.c: as root, before the privileges go */
int cwd_enter(struct child *c);		       /* cwd.c: as the user */
int caps_drop_bounding(uint64_t keep);	       /* caps.c */
int user_become(struct child *c);	       /* caps.c: groups, ids, capabilities */
int exec_command(struct child *c);	       /* exec.c: returns only when it failed */
int exec_find(struct child *c);		       /* exec.c: whether there is one */

/* Steps of a given container. */
int given_enter(struct child *c);	 /* given_enter.c: its namespaces */
int given_mounts_setup(struct child *c); /* given_mounts.c: everything, up to pivot_root */
int given_devices(struct child *c);	 /* given_devices.c */
int given_masks(struct child *c);	 /* given_masks.c */
int given_sysctls(struct child *c);	 /* given_proc.c */
int given_labels(struct child *c);	 /* given_proc.c: for the command that comes next */
int given_restrict(struct child *c);	 /* given_user.c: limits, bounding set */
int given_become(struct child *c);	 /* given_user.c: ids; keeps what given_finish() needs */
int given_finish(struct child *c);	 /* given_user.c: filter, capabilities, umask */

/*
 * mounts.c: a new file system as a detached mount with MOUNT_ATTR_ @attr; @opts are key, value,
 * ..., NULL.
 */
int mounts_new(const char *type, const char *const *opts, unsigned int attr);
/*
 * Moves the detached @mnt onto the single name @name in @dir, which is made when missing and never
 * followed.
 */
int mounts_place(int mnt, int dir, const char *name);

/* mounts.c: moves the detached @mnt onto what @fd holds. */
int mounts_place_on(int mnt, int fd);

/* mounts.c: the host's sysfs, where a new one is refused. */
int mounts_clone_sys(void);

/*
 * root.c: an O_PATH descriptor of @path below @root, with links followed as the container would.
 * What is missing is made: directories, and a file at the end unless @directory.
 */
int root_target(int root, const char *path, bool directory);
/*
 * Whether @fd, which is @path, may be mounted on: it is not the root, which would be covered for
 * who enters later and for nobody else; and in a procfs no directory is, which would replace what
 * is masked or what others write to (CVE-2025-52881).
 */
int root_check_target(int root, int fd, const char *path, bool directory);

#endif
