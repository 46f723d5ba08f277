/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems and vsock over vhost-user: another VMM (QEMU) has the machine and its rings, we
 * serve them. Numbers of the protocol: QEMU's docs/interop/vhost-user.rst. Part of virtio/virtio.h.
 */
#ifndef VIRTIO_VHOST_USER_H
#define VIRTIO_VHOST_USER_H

struct virtio_fs_config;
struct virtio_vsock_config;
struct virtio_vsock_stats;
struct vhost_user;

/* @cfg as for virtio_fs_new(); the tag is the front end's to tell its guest. */
int vhost_user_fs_new(const struct virtio_fs_config *cfg, struct vhost_user **ret);
/* @cfg as for virtio_vsock_new(). */
int vhost_user_vsock_new(const struct virtio_vsock_config *cfg, struct vhost_user **ret);
/* Of a vsock; from any thread. */
void vhost_user_vsock_stats(const struct vhost_user *u, struct virtio_vsock_stats *ret);
void vhost_user_free(struct vhost_user *u);
/* Before it is served: vhost_user_serve() ends, too, when the guest lets go of the device. */
void vhost_user_until_reset(struct vhost_user *u);
/*
 * Serves the front end at @sock (SOCK_STREAM, the caller's) until it hangs up or @stop_fd is
 * readable: 0. A malformed message or ring ends it with -EPROTO and a text. May be called again
 * with the next connection; one at a time.
 */
int vhost_user_serve(struct vhost_user *u, int sock, int stop_fd);

#endif
