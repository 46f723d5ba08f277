/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container: one process in namespaces of its own on a root that the caller hands over as a mount.
 *
 * The life of a container: ctr_create() clones the process; it enters its namespaces, arranges
 * mounts, pivots onto the root, drops what it may not keep and waits just before execve.
 * ctr_start() lets it go on. ctr_free() forgets it: it does not kill. The exit is read by the
 * caller through ctr_pidfd() (it is the caller's child); all its processes end with it (pid
 * namespace). Nothing is left behind: mounts live in its mount namespace.
 *
 * The image is hostile: no path inside the root is opened but with openat2(RESOLVE_IN_ROOT,
 * NO_MAGICLINKS) or after the pivot; descriptors of the caller never reach the process
 * (close_range). A failure in the child comes back as errno and text to the caller of
 * ctr_create()/ctr_start().
 *
 * Errors: -ENOENT from ctr_start() = the command is not there (exit code 127), -EACCES = it cannot
 * be executed (126). The caller holds CAP_SYS_ADMIN over its mount namespace, has descriptors 0, 1
 * and 2 open, and is one thread.
 */
#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

#include "container/given.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct ctr;

/*
 * Something mounted into the container beside the OCI defaults (/proc, /dev, /dev/pts, /dev/shm,
 * /dev/mqueue, /sys).
 */
struct ctr_mount {
	const char *source; /* a host path to bind (file or directory), or NULL for tmpfs */
	const char *target; /* in the container; made when missing */
	bool rdonly;
	/* of a tmpfs, which has no devices: bytes, 0 = half of the memory; 0 = 1777 */
	uint64_t size;
	unsigned mode;
	bool exec, suid;
};

/*
 * A file of the container's own, in the memory of its /dev, bound over the image's. An image that
 * has no place for it and lets us make none goes without.
 */
struct ctr_file {
	const char *target, *text;
};

struct ctr_rlimit {
	int resource;
	struct rlimit limit;
};

enum ctr_network {
	CTR_NETWORK_NONE, /* a network namespace with only a loopback, up */
	CTR_NETWORK_HOST,
	CTR_NETWORK_JOIN, /* one that the caller has made, whose loopback is brought up */
};

struct ctr_spec {
	/* A mount's descriptor (open_tree, fsmount): cloned, or moved if it cannot be. */
	int root_mount;
	bool root_rdonly;
	char *const *argv, *const *env;
	const char *cwd; /* made when missing, as docker does; NULL = "/" */
	/* "", "uid[:gid]", "name[:group]", looked up in the image's own passwd and group. */
	const char *user;
	const char *hostname;
	enum ctr_network network;
	int netns;	     /* with CTR_NETWORK_JOIN, and then without userns: the namespace */
	bool tty;	     /* a pseudo terminal of the container's own devpts as its stdio */
	unsigned rows, cols; /* of that terminal, 0 = unset */
	int stdio[3];	     /* without tty: what becomes 0, 1, 2; -1 = /dev/null */
	bool userns;	     /* a user namespace: container root is the host's uid_base */
	uint32_t uid_base, gid_base, id_count; /* with userns */
	const struct ctr_mount *mounts;
	size_t nmounts;
	const char *shm_size;	      /* of /dev/shm, as tmpfs(5) takes it; NULL: 64m */
	const struct ctr_file *files; /* before the mounts */
	size_t nfiles;
	const struct ctr_rlimit *rlimits;
	size_t nrlimits;
	/*
	 * Bounding, permitted, effective: bit n is capability n. A user other than root has none.
	 */
	uint64_t caps;
	bool no_new_privs;
	bool seccomp; /* docker's default profile for those caps */
	/*
	 * A descriptor on strata-reap (ctr_program_open()), to be process 1 with the command as its
	 * child; 0: the command is.
	 */
	int reaper;
	int cgroup_fd; /* a cgroup v2 directory for CLONE_INTO_CGROUP, or -1 */
	/*
	 * Called in the parent with the child's pid before the child goes on: v1 cgroups. NULL =
	 * nothing. Its error ends the child and is ctr_create()'s.
	 */
	int (*enter)(void *ctx, pid_t pid);
	void *enter_ctx;
	/* Host files bound over these of /etc, read-only; NULL = none. */
	const char *resolv_conf, *hosts;
	const struct ctr_given *given; /* all the rest as it is said there, or NULL */
};

/* docker's default set (moby daemon/pkg/oci/caps/defaults.go). */
extern const uint64_t CTR_CAPS_DEFAULT;
/* That of bit @n, "CAP_CHOWN"; NULL behind the last that is known. */
const char *ctr_cap_name(unsigned n);

/*
 * Writes the maps of @pid's new user namespace, for who is outside of it: himself, or by
 * newuidmap(1) and newgidmap(1) where he has no right to. 0 or -errno with a text.
 */
#define CTR_NEWUIDMAP "/usr/bin/newuidmap"
int ctr_map_ids(pid_t pid, const struct ctr_idmap *uids, size_t nuids, const struct ctr_idmap *gids,
		size_t ngids);
int ctr_create(const struct ctr_spec *spec, struct ctr **ret);
/*
 * A further process in the container whose first one is behind @pidfd, which then lives as one from
 * ctr_create(). Of @spec, the root, the mounts, the network and the host name are not looked at;
 * the working directory must exist. The image may have seized all that it sees by now: the calling
 * program must lie where the container's root cannot write it (ctr_protect()).
 */
int ctr_exec(int pidfd, const struct ctr_spec *spec, struct ctr **ret);
/*
 * A descriptor on a read-only mount of its own to execute the program @path by (fexecve(3)): the
 * file cannot be overwritten through the /proc/PID/exe of a process that runs it (CVE-2019-5736).
 */
int ctr_program_open(const char *path);
/*
 * Executes this program anew with @argv by such a descriptor; 0 when it runs from a mount that is
 * read-only already. Before anything was printed or read.
 */
int ctr_protect(char *const *argv);
bool ctr_protected(void);
/* When it fails, the process exits with 127, 126 or 125; the caller waits for it as ever. */
int ctr_start(struct ctr *c);
pid_t ctr_pid(const struct ctr *c);
int ctr_pidfd(const struct ctr *c);
/* The master of the terminal, owned by the ctr (dup it), or -1. */
int ctr_console(const struct ctr *c);
void ctr_free(struct ctr *c);
/* Kills it, awaits its end and forgets it. */
void ctr_abort(struct ctr *c);

#endif
