/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device of a vhost-user back end: one of ours behind a register window that no guest
 * sees. We are its driver, and set up its queues from what the front end said of its rings.
 */
#ifndef VIRTIO_VHOST_USER_DEVICE_H
#define VIRTIO_VHOST_USER_DEVICE_H

#include "virtio/ring.h"
#include "virtio/vhost_user_mem.h"

#define QUEUES_MAX (1 + VIRTIO_FS_QUEUES_MAX)
/* Of the connection, not of the device: vhost-user.rst, "Feature negotiation". */
#define VHOST_USER_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)

struct vring {
	uint64_t desc, avail, used; /* the front end's addresses */
	uint32_t num;
	uint16_t base, used_start; /* where avail goes on; what used was when the device started */
	int call_fd;
	bool addressed, started, enabled;
	bool ready; /* and so in use while the device runs */
};

struct vhost_user {
	struct virtio_mmio *window;
	struct virtio_vsock *vsock; /* the window's, if it is one */
	struct vhost_user_mem mem;
	int broken_fd; /* an eventfd: the device needs a reset */
	unsigned nqueues;
	uint32_t config_len; /* bytes that the front end asks us for; 0 = it knows them itself */
	struct vring rings[QUEUES_MAX];
	uint64_t features, protocol;
	bool running;
	bool until_reset;
	bool taken_back; /* a ring that was in use, by a driver that lets the device go */
};

/*
 * Ends the device's threads, before anything that they use changes. All that they took they have
 * given back, so each ring's base is as much further as its used index is.
 */
void vhost_user_stop(struct vhost_user *u);

/*
 * Starts it with the rings that are ready, if any: addressed, started and enabled. What was kicked
 * before is looked for anew. -EPROTO with a text: a ring or the features are the front end's fault.
 */
int vhost_user_start(struct vhost_user *u);

/* @len bytes at @off of the device's configuration; within config_len. */
void vhost_user_config(const struct vhost_user *u, uint32_t off, uint8_t *data, uint32_t len);

/* As it was before the first message. */
void vhost_user_reset(struct vhost_user *u);

#endif
