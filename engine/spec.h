/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance was made to run: config.json of an instance, written once by `run`, read by its
 * supervisor. */
#ifndef ENGINE_SPEC_H
#define ENGINE_SPEC_H

#include "engine/engine.h"
#include "microvm/microvm.h"

#define SPEC_HOSTNAME_ROOM 13
#define SPEC_RLIMITS_MAX   16u /* as many as Linux has */

struct spec_rlimit {
	unsigned resource;   /* RLIMIT_ */
	uint64_t soft, hard; /* RLIM_INFINITY = none */
};

struct run_tmpfs {
	char *target;
	uint64_t size; /* bytes, 0 = half of the memory there is */
	unsigned mode;
	bool rdonly, exec, suid;
};

#define SPEC_SHM_ANY UINT64_MAX

struct run_spec {
	enum run_kind kind;
	enum run_driver driver;
	char *id, *name, *image, *store;
	struct digest *layers; /* diff_ids, lowest first */
	size_t nlayers;
	char **argv, **env, **ports;
	unsigned entrypoint; /* so many of argv are the entrypoint's, the others the command's */
	char **dns_servers, **dns_search, **dns_options; /* in place of the network's, where any */
	char **hosts;					 /* NAME:ADDRESS, or NAME:host-gateway */
	json_t *labels;					 /* name: value, the image's too; or NULL */
	char *cwd, *user, *hostname, *mountpoint;
	char *kernel, *modules; /* files of a microVM; modules may be NULL */
	char *clone_of;		/* the id of the microVM that this one went on as a clone of */
	struct run_volume *volumes;
	size_t nvolumes;
	struct run_volume *disks; /* of a microVM: a file, and where it is mounted or "" */
	size_t ndisks;
	struct run_tmpfs *tmpfs;
	size_t ntmpfs;
	uint64_t shm_size; /* of /dev/shm: bytes, SPEC_SHM_ANY, or 0: what it is unless said */
	struct run_limits limits;
	unsigned vcpus;
	uint64_t net_rate;  /* bytes a second in each direction, 0 = any */
	uint64_t disk_rate; /* bytes a second of each disk, read and written, 0 = any */
	unsigned timeout;   /* seconds, 0 = none */
	struct spec_rlimit rlimits[SPEC_RLIMITS_MAX];
	size_t nrlimits;
	uint64_t caps_add, caps_drop; /* engine/spec_process.h: spec_caps() */
	uint64_t top_size;	      /* bytes that its top may hold, 0 = any */
	enum vm_pages pages;	      /* that a microVM's memory is made of */
	uint64_t dax; /* bytes of a microVM's DAX window, whole units of 2 MiB; 0 = none */
	int stop_signal;
	int stop_timeout;			/* seconds, -1 = not said */
	uint8_t address[4], gateway[4], dns[4]; /* at the bridge, of a microVM that starts */
	unsigned prefix;
	bool host_network, user_network, bridge_network;
	bool rm, tty, interactive, read_only, logged, trace;
	bool emulated;	/* a microVM is QEMU's, not our own VMM's on KVM */
	bool init;	/* a container's process 1 is strata-reap; a microVM's is always one */
	bool cold;	/* a microVM boots, whatever there is to begin from */
	bool acpi;	/* its kernel wants ACPI tables */
	bool balloon;	/* a microVM gives back the memory that it frees */
	bool no_verify; /* stored bytes are served without comparing them with their digests */
	/* a mount by who may not mount: fusermount3's, for him alone */
	bool unprivileged;
	uint32_t ids; /* in the user namespace that it was made in, 0: the host's (base/userns.h) */
};

/* Whether it has a network of its own, with an eth0. */
static inline bool spec_has_eth0(const struct run_spec *s)
{
	return s->user_network || s->bridge_network;
}

/* Whether its top belongs to one user whatever stands in it: UFS_UPPER_MAPPED. */
static inline bool spec_mapped(const struct run_spec *s)
{
	return s->kind == RUN_VM || s->unprivileged;
}

/* Joins the options with the image's config (OCI image-spec config.md). -EINVAL with a text for
 * what is wrong. */
int spec_new(const struct run_options *o, const struct image *image, struct run_spec **ret);
void spec_free(struct run_spec *s);

static inline void spec_freep(struct run_spec **s)
{
	spec_free(*s);
}

/* Its host name; @room is for the one that it has unless it was given another: of its id. */
const char *spec_hostname(const struct run_spec *s, char room[SPEC_HOSTNAME_ROOM]);

/* For who fills one in. A copy of @src in place of *@dst, unless @src is NULL. */
int spec_set(char **dst, const char *src);
int spec_add_volume(struct run_spec *s, const char *source, size_t source_len, const char *target,
		    size_t target_len, bool rdonly);
/* The driver's word: "auto", "fuse", "overlay"; and back (-EINVAL). */
const char *spec_driver_name(enum run_driver d);
int spec_driver_parse(const char *name, enum run_driver *ret);
const char *spec_kind_name(enum run_kind k);
int spec_kind_parse(const char *name, enum run_kind *ret);
/* "small", "thp", "hugetlb"; and back (-EINVAL). */
const char *spec_pages_name(enum vm_pages p);
int spec_pages_parse(const char *name, enum vm_pages *ret);
/* @s's limits, those of I/O for the disk that @store is on: 0 or -errno with a text. */
int spec_limits(const struct run_spec *s, const struct store *store, struct run_limits *ret);
/* Whether a limit of @bytes is one, of a microVM its memory; 0 is none. -EINVAL with a text. */
int spec_memory_check(enum run_kind kind, uint64_t bytes);
/* "open" or "never"; NULL: what STRATA_VERIFY says, else open. -EINVAL. */
int spec_verify_parse(const char *word, bool *ret_no_verify);

/* A new reference, or NULL without memory. */
json_t *spec_to_json(const struct run_spec *s);
/* What the VMM is to know of it, as a file in memory: its descriptor or -errno. */
int spec_memfd(const struct run_spec *s);
/* -EBADMSG with a text: the file was damaged. */
int spec_from_json(const json_t *j, struct run_spec **ret);

#endif
