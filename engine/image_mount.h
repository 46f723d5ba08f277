/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's EROFS mount of one image, shared by the instances that stand on it: one superblock,
 * so one page cache. No daemon and no path holds it: each monitor has a detached mount of its own,
 * cloned from any other's, and the kernel's own count ends it with the last.
 */
#ifndef ENGINE_IMAGE_MOUNT_H
#define ENGINE_IMAGE_MOUNT_H

#include <stdbool.h>

/*
 * A detached, read-only mount of the merged index @index (a path) with the files @packs as its
 * devices, to be closed by the caller. @dir is the descriptor of RUNROOT/images, where the file
 * @name lists who has this image mounted; negative: nothing is shared. *@ret_shared says whether
 * the mount was cloned. -ENODEV and the like: this kernel cannot mount EROFS from a file.
 */
int image_mount_open(int dir, const char *name, const char *index, char *const *packs,
		     int *ret_fd, bool *ret_shared);
/* Takes the calling process off the list; call it before the mount is closed. */
void image_mount_leave(int dir, const char *name);

/* A second mount of a detached one, or -errno (-EINVAL before Linux 6.15). */
int mount_clone(int mount_fd);

#endif
