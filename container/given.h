/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container of which nothing goes without saying: its namespaces, mounts, devices, ids and
 * capabilities are what another program describes (OCI runtime-spec). With it, struct ctr_spec says
 * the root, the command, its environment (taken as it is), working directory, streams or terminal,
 * limits, host name and cgroup; its other fields count for nothing.
 *
 * Such a container outlives its caller.
 */
#ifndef CONTAINER_GIVEN_H
#define CONTAINER_GIVEN_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ctr_namespace {
	int flag; /* CLONE_NEW... */
	int fd;	  /* one to enter, or -1: a new one */
};

struct ctr_idmap {
	uint32_t inside, outside, count;
};

/* Mounts are made in order. Targets are found and made inside the root, wherever its links lead. */
struct ctr_given_mount {
	const char *target;
	const char *source;
	/* A new file system, as mount(2) takes it; NULL: @source is bound. */
	const char *type, *data;
	unsigned long flags;
	bool copyup; /* what the root has there is copied into it */
	/* A bind: with what is mounted below @source? MOUNT_ATTR_ of its top. */
	bool recursive;
	uint64_t attr_set, attr_clr;
	uint64_t rec_set, rec_clr; /* MOUNT_ATTR_ of it and all below */
	/* MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE with or without MS_REC; 0: MS_PRIVATE |
	 * MS_REC */
	unsigned long propagation;
};

struct ctr_device {
	const char *path;
	mode_t mode; /* S_IFMT too */
	dev_t rdev;
	uid_t uid;
	gid_t gid;
};

/* A symbolic link, made where there is nothing yet. */
struct ctr_link {
	const char *path, *target;
};

struct ctr_caps {
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct ctr_given {
	/* A mount namespace among them. Of ctr_exec(): those that are to be joined. */
	const struct ctr_namespace *namespaces;
	size_t nnamespaces;
	const struct ctr_idmap *uids, *gids; /* of a new user namespace */
	size_t nuids, ngids;
	const char *time_offsets; /* of a new time namespace: time_namespaces(7), or NULL */
	const char *domainname;

	const struct ctr_given_mount *mounts;
	size_t nmounts;
	const struct ctr_link *links;
	size_t nlinks;
	const struct ctr_device *devices;
	size_t ndevices;
	bool bind_devices;		     /* the host's, where mknod(2) is refused */
	char *const *masked, *const *rdonly; /* paths; NULL = none */
	char *const *sysctls;		     /* "net/ipv4/ip_forward", "1", ... */
	unsigned long root_propagation;	     /* as above; 0: as it is */
	bool no_pivot;			     /* of a root on the initramfs */

	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
	mode_t umask;
	struct ctr_caps caps;
	const struct sock_fprog *filter; /* a seccomp filter, or NULL */
	unsigned int filter_flags;
	const char *apparmor, *selinux; /* labels for the command, or NULL */
	unsigned long personality;	/* PER_..., 0 = ours */
	bool new_keyring;
	unsigned preserve_fds; /* 3, 4... that the command keeps */

	/*
	 * A listening SOCK_SEQPACKET socket at which the process of ctr_create() waits for
	 * ctr_start_at(), so that its caller may go; or -1: for ctr_start().
	 */
	int gate;
	/*
	 * In the caller: the process is in its namespaces and has not mounted yet. In the process:
	 * all is mounted, the host's root is still its own; and just before the command. NULL =
	 * nothing.
	 */
	int (*entered)(void *ctx, pid_t pid);
	int (*mounted)(void *ctx);
	int (*starting)(void *ctx);
	void *ctx;
};

/*
 * Lets go the process behind the gate that the socket @conn is connected to; as ctr_start(). -EPIPE
 * without a text: nobody waits there any more.
 */
int ctr_start_at(int conn);

#endif
