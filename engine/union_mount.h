/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts a union's /dev/fuse at a place: by mount calls, or with fusermount3(1)'s help. */
#ifndef ENGINE_UNION_MOUNT_H
#define ENGINE_UNION_MOUNT_H

#include "engine/union_options.h"

/*
 * Mounts at o->mountpoint; gives the /dev/fuse descriptor. Whoever may not mount (no CAP_SYS_ADMIN
 * in the mount namespace's user namespace) needs fusermount3, and serves only himself then, unless
 * allow_other is asked for and permitted.
 */
int union_mount(const struct union_options *o, int *ret_fuse_fd);
/* fusermount3's path, by PATH, which the caller frees; NULL: there is none. */
char *union_fusermount(void);
/* Takes the mount at absolute @path away, at once for newcomers, at last use for the others. */
void union_unmount(const char *path);
/* The same where nobody uses it: 0, or -errno with a text. */
int union_unmount_unused(const char *path);

#endif
