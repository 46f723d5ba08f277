/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control groups of a container: one folder in each hierarchy that is mounted, v1's with their
 * controllers and v2's, alone or beside them (hybrid). Who may not make one (an ordinary user
 * without delegation) has none in that hierarchy.
 */
#ifndef OCI_CGROUP_H
#define OCI_CGROUP_H

#include "base/json.h"
#include "oci/keep.h"
#include <stdbool.h>
#include <sys/types.h>

#define CGROUPS_MAX 16

struct cgroup_folder {
	const char *mount, *dir; /* the hierarchy's mount point; the group's own folder */
	const char *names;	 /* v1: "cpu,cpuacct", "name=systemd"; v2: "" */
	bool v2;
	bool made; /* by us: `delete` removes it */
};

struct oci_cgroup {
	struct cgroup_folder f[CGROUPS_MAX];
	size_t n;
};

/*
 * The path below each hierarchy that a config's cgroupsPath means: an absolute one as it is,
 * "slice:prefix:name" as systemd would lay it out, without asking systemd; NULL: /strata-oci/@id.
 */
const char *oci_cgroup_path(struct keep *a, const char *cgroups_path, const char *id);

/* The hierarchies of @mountinfo (proc(5)), which is cut up; dir is not set. */
int oci_cgroup_find(struct keep *a, char *mountinfo, struct oci_cgroup *ret);
/*
 * A folder that is there already is taken when nobody is in it: -EBUSY else, since whoever was
 * would be signalled and killed as the container.
 */
int oci_cgroup_make(struct keep *a, const char *path, struct oci_cgroup *ret);
/* Whether there is a process in the group @dir or below it. */
int oci_cgroup_held(int dir);
/* To be kept with the container's state, and back. */
json_t *oci_cgroup_json(const struct oci_cgroup *g);
int oci_cgroup_load(struct keep *a, const json_t *j, struct oci_cgroup *ret);

/* The folder that has the v1 controller @name, or v2's with NULL; or NULL. */
const struct cgroup_folder *oci_cgroup_of(const struct oci_cgroup *g, const char *name);
/* One write to a file of @f: 0 or -errno. */
int oci_cgroup_write(const struct cgroup_folder *f, const char *file, const char *text);
/* Puts @pid into all; v2's only when @v2. */
int oci_cgroup_enter(const struct oci_cgroup *g, pid_t pid, bool v2);
/* Sends @sig to all that is in it. */
int oci_cgroup_signal(const struct oci_cgroup *g, int sig);
int oci_cgroup_kill(const struct oci_cgroup *g);
void oci_cgroup_remove(const struct oci_cgroup *g);
int oci_cgroup_freeze(const struct oci_cgroup *g, bool freeze);
bool oci_cgroup_frozen(const struct oci_cgroup *g);
/* Processes in it and below it. */
int oci_cgroup_pids(const struct oci_cgroup *g, pid_t **ret, size_t *ret_n);

/* resources_apply.c: "linux.resources". @update: devices stay as they are unless said. */
int oci_cgroup_apply(const struct oci_cgroup *g, const json_t *resources, const json_t *devices,
		     bool update);

/* One write to a file of a control group. */
struct setting {
	const char *file, *value;
};
struct settings {
	struct setting *s;
	size_t n, cap;
	struct keep mem;
};
void settings_done(struct settings *s);
/* resources.c: what "linux.resources" means, as v1's or v2's files. */
int settings_parse(const json_t *resources, bool v2, struct settings *ret);

/* device_rules.c: which devices may be used. */
struct device_rule {
	bool allow;
	char type;	      /* 'a', 'b', 'c' */
	int64_t major, minor; /* -1 = any */
	unsigned access;      /* BPF_DEVCG_ACC_ bits */
};
struct device_rules {
	struct device_rule *r;
	size_t n, cap;
};
/*
 * Of "resources.devices", then "linux.devices", then what every container may: first all is denied,
 * unless the config begins with its own word.
 */
int device_rules_parse(const json_t *resources, const json_t *devices, struct device_rules *ret);
void device_rules_done(struct device_rules *r);
/* device_program.c: v2, by a program attached to the group at @dir. */
int device_rules_attach(const struct device_rules *r, const char *dir);
/* v1: the files devices.deny and devices.allow. */
int device_rules_write(const struct device_rules *r, const char *dir);

#endif
