/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a vhost-user front end shares with us; virtio/'s own. */
#ifndef VIRTIO_VHOST_USER_MEM_H
#define VIRTIO_VHOST_USER_MEM_H

#include "virtio/virtio.h"

#define VHOST_USER_REGIONS_MAX 8u /* vhost-user.rst, "Memory regions description" */

/* As on the wire: a region as the guest, the front end and its file know it. */
struct vhost_user_region {
	uint64_t gpa, len, user, offset;
};

struct vhost_user_mem {
	struct mem mem;
	uint64_t user[VHOST_USER_REGIONS_MAX]; /* where the front end has region i */
};

/*
 * Maps @n regions, each from its file of @fds (the caller's), in place of what was there. -EPROTO
 * or -EINVAL with a text, and then nothing is mapped. No thread may use @m meanwhile.
 */
int vhost_user_mem_map(struct vhost_user_mem *m, const struct vhost_user_region *regions,
		       const int *fds, unsigned n);
void vhost_user_mem_unmap(struct vhost_user_mem *m);
/*
 * The guest's address of the front end's @user; UINT64_MAX, which is in no region, if it has none.
 */
uint64_t vhost_user_mem_gpa(const struct vhost_user_mem *m, uint64_t user);

#endif
