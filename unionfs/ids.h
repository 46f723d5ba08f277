/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners that the client sees against those on disk: struct ufs_ids of unionfs.h. One id of many
 * may be without a partner; it is IDS_NOBODY for the other side then, as fuse-overlayfs has it
 * (idmapped mounts refuse instead: podman makes a container's mount points as the host's root).
 */
#ifndef UNIONFS_IDS_H
#define UNIONFS_IDS_H

#include "unionfs/unionfs.h"

struct perm;
struct ufs;

#define IDS_NOBODY 65534u /* Linux' overflowuid and overflowgid */

struct ids {
	struct ufs_id_range *ranges;
	size_t n;
	bool squash;
	uint32_t squashed; /* what all show as */
	uint32_t own;	   /* squash: what the things made here have on disk, the server's */
};

/* Copies @from. -EINVAL, with a text: too many ranges, an empty one or one beyond 2^32 - 2. */
int ids_init(struct ids *ids, const struct ufs_ids *from, uint32_t own);
void ids_done(struct ids *ids);
/* What the client sees of the id @stored; what is stored for the client's @shown. */
uint32_t ids_show(const struct ids *ids, uint32_t stored);
uint32_t ids_store(const struct ids *ids, uint32_t shown);
/* The same for the ids in an ACL's value, in place. Squashed ids leave an ACL as it is. */
void ids_show_acl(const struct ufs *u, void *value, size_t len);
void ids_store_acl(const struct ufs *u, void *value, size_t len);
/*
 * Whether a chown(2) that failed with @e is to be taken as done: whose files they are is said by
 * the squashing, and the server may have no right to give them away.
 */
bool ids_forgive(const struct ufs *u, int e);

#endif
