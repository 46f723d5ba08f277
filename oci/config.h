/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a bundle (OCI runtime-spec 1.2, config.md and config-linux.md) as what the
 * container room takes. Its author is the engine that calls us; values that end in files and paths
 * may be of its user's choice, so each is checked all the same: what has the wrong type, or what
 * the spec wants refused, is -EINVAL with a text that says which.
 *
 * Where the spec leaves it open, an unknown property is passed over. Strings are the document's.
 */
#ifndef OCI_CONFIG_H
#define OCI_CONFIG_H

#include "base/json.h"
#include "container/container.h"
#include "oci/keep.h"

#define OCI_VERSION	   "1.2.0"
#define OCI_NAMESPACES_MAX 8
#define OCI_RLIMITS_MAX	   16
#define OCI_LIST_MAX	   4096 /* entries of any list */

struct oci_config {
	struct keep mem;
	json_t *doc;
	struct ctr_spec spec;	/* its root_mount and cgroup_fd are set, and then owned */
	struct ctr_given given; /* its namespaces' descriptors, filter, gate too */

	const char *version;
	const char *root; /* absolute, or relative to the bundle */
	struct ctr_namespace namespaces[OCI_NAMESPACES_MAX];
	const char *paths[OCI_NAMESPACES_MAX]; /* of namespaces to enter; NULL: new */
	int written; /* CLONE_NEW of those that get names or sysctls, and so are not the host's */
	struct ctr_rlimit rlimits[OCI_RLIMITS_MAX];
	const char *cgroups_path;
	const json_t *resources, *seccomp, *hooks, *annotations, *devices;
	bool has_oom;
	int oom_score_adj;
	/* The mount of type "cgroup", -1 = none (cgroup_view.c). */
	int cgroup_mount;
};

/* Of the bytes of a document. */
int oci_config_parse(const char *text, size_t len, struct oci_config **ret);
int oci_config_read(int bundle, const char *name, struct oci_config **ret);
/* A process alone, as `exec --process` has it. */
int oci_process_parse(const char *text, size_t len, struct oci_config **ret);
void oci_config_free(struct oci_config *c);
static inline void oci_config_freep(struct oci_config **c)
{
	oci_config_free(*c);
}

/* Parts, of whose document @c is. config_process.c, config_mounts.c, config_linux.c */
int config_process(struct oci_config *c, const json_t *process);
int config_mounts(struct oci_config *c, const json_t *mounts);
int config_linux(struct oci_config *c, const json_t *linux_);
bool config_has_namespace(const struct oci_config *c, int flag, bool new);

/* "CAP_KILL" as a bit; 0 = unknown. config_process.c */
uint64_t oci_cap(const char *name);
/* All names, for `features`; NULL behind the last. */
const char *oci_mount_option_name(unsigned n);

/*
 * A member of @obj: 0, or -EINVAL with a text when it is there and of another type. Absent and
 * null leave *@ret as it is.
 */
int member_str(const json_t *obj, const char *key, const char **ret);
int member_bool(const json_t *obj, const char *key, bool *ret);
int member_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *ret);
int member_array(const json_t *obj, const char *key, const json_t **ret);
int member_object(const json_t *obj, const char *key, const json_t **ret);
/* -EINVAL when @obj has one of @keys (NULL behind the last), which this program does not do. */
int member_refuse(const json_t *obj, const char *const *keys);
/* An array of strings, borrowed, NULL behind the last; NULL when absent. */
int member_strv(struct keep *a, const json_t *obj, const char *key, char ***ret);

#endif
