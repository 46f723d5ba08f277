/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount of one image, shared by the instances that stand on it: one superblock, so one page
 * cache. No daemon and no path holds it: each monitor has a detached mount of its own, cloned from
 * any other's, and the kernel's own count ends it with the last. Two kinds: the kernel's EROFS, and
 * where that cannot be mounted our union without a top, whose one server ends with its mount.
 */
#ifndef ENGINE_IMAGE_MOUNT_H
#define ENGINE_IMAGE_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct store;
struct stack;

/* How an image becomes a file system. */
struct image_kind {
	uint32_t magic;		 /* what statfs(2) says of it: f_type */
	int (*mount)(void *ctx); /* a new, detached, read-only mount, or -errno with a text */
	void *ctx;
};

/*
 * A detached, read-only mount of an image, to be closed by the caller. @dir is the descriptor of
 * RUNROOT/images, where the file @name lists who has it mounted; negative: nothing is shared.
 * *@ret_shared says whether the mount was cloned.
 */
int image_mount_open(int dir, const char *name, const struct image_kind *kind, int *ret_fd,
		     bool *ret_shared);
/*
 * Takes the calling process off the list; call it before the mount is closed. True: nobody is left
 * on it.
 */
bool image_mount_leave(int dir, const char *name);

/*
 * EROFS from the file @index with the files @packs as its devices. -ENODEV and the like: the kernel
 * has no EROFS, or not from a file, or not from one of this file system.
 */
struct image_erofs {
	const char *index;
	char *const *packs;
};
struct image_kind image_erofs(struct image_erofs *e);

/* Our union over @stack, read-only, by a strata-server of its own. */
struct image_union {
	struct store *store;
	const struct stack *stack;
	const char *source; /* what /proc/mounts shows */
	int log_fd;
	int server; /* once mounted: the server's pidfd, the caller's */
};
struct image_kind image_union(struct image_union *u);

/* A second mount of a detached one, or -errno (-EINVAL before Linux 6.15). */
int mount_clone(int mount_fd);

#endif
