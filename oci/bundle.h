/* SPDX-License-Identifier: Apache-2.0 */
/* A config made ready for this host: what it names is opened. */
#ifndef OCI_BUNDLE_H
#define OCI_BUNDLE_H

#include "oci/config.h"
#include "oci/folder.h"

/* Namespaces by path, the root as a mount, labels, devices; the bundle is the current folder. */
int bundle_open(struct oci_config *c);
/* Labels of security modules that are not there are left out. */
void bundle_labels(struct oci_config *c);
/* The filter; @root keeps compiled ones. */
int bundle_seccomp(struct oci_config *c, const json_t *profile, int root,
		   struct sock_fprog *filter);
/* cgroup_view.c: what a mount of type "cgroup" stands for. */
int bundle_cgroup_view(struct oci_config *c, const struct oci_cgroup *g);

#endif
