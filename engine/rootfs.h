/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root for an instance: the merged layers of its image under its snapshot's top, as a detached
 * mount. Two drivers: our union over FUSE, served by strata-server, and the kernel's overlayfs over
 * its EROFS.
 */
#ifndef ENGINE_ROOTFS_H
#define ENGINE_ROOTFS_H

#include "engine/spec.h"

struct rootfs {
	enum run_driver driver; /* FUSE or OVERLAY: what auto came to */
	int mount_fd;		/* the detached mount */
	int images;	  /* RUNROOT/images, the caller's; -1: nothing is shared (image_mount.h) */
	int image_fd;	  /* with overlay: the image's own mount */
	char *image;	  /* its name in there */
	int image_server; /* its strata-server's pidfd, where this process started one */
	struct stack stack; /* the pin: keeps gc away from the layers */
	int lock_fd;	    /* the snapshot's lock */
	int upper_fd, work_fd;
	pid_t server; /* strata-server, 0 with overlay */
	int server_pidfd;
};

#define ROOTFS_NONE                                    \
	((struct rootfs){ .mount_fd = -1,              \
			  .images = -1,                \
			  .image_fd = -1,              \
			  .image_server = -1,          \
			  .stack = { .index_fd = -1 }, \
			  .lock_fd = -1,               \
			  .upper_fd = -1,              \
			  .work_fd = -1,               \
			  .server_pidfd = -1 })

/*
 * Whether the file system itself is to refuse writes. Not a container's: what it mounts on is made
 * in the top first, and then container/ seals the root.
 */
static inline bool rootfs_rdonly(const struct run_spec *s)
{
	return s->read_only && s->kind != RUN_CONTAINER;
}

/*
 * Opens layers and snapshot, without a mount: what a VM's file server is handed. @arriving: it can
 * ask for what is not here yet.
 */
int rootfs_open_parts(struct store *s, const struct run_spec *spec, bool arriving,
		      struct rootfs *ret);
/*
 * Opens and mounts by @spec->driver. @log_fd is where strata-server writes what goes wrong. Any
 * driver but fuse needs a mount namespace of the caller's own (rootfs_namespace()), entered before
 * @s was opened, since overlayfs takes only paths of the caller's namespace. *@ret must be
 * ROOTFS_NONE; rootfs_close() it also after a failure.
 */
int rootfs_open(struct store *s, const struct run_spec *spec, int log_fd, struct rootfs *ret);
/* Lets go of the mount and waits for the server's orderly end; pin, snapshot and its lock stay. */
void rootfs_unmount(struct rootfs *r);
/* Lets go of the mount, waits for the server's orderly end, closes all. */
void rootfs_close(struct rootfs *r);

/*
 * Gives the calling process a mount namespace of its own: what it mounts is seen there alone.
 * -errno with a text.
 */
int rootfs_namespace(void);
/*
 * Takes the unions that `strata mount` has put into the caller's namespace out of this one, which
 * is a copy: when all paths have been opened that may lead there.
 */
void rootfs_leave_unions(void);

/* driver overlay: mounts onto r->mount_fd. -EOPNOTSUPP and the like: this kernel cannot. */
int rootfs_mount_overlay(struct store *s, const struct run_spec *spec, struct rootfs *r);
/* Lets go of the image's mount; does nothing for driver fuse. */
void rootfs_unmount_overlay(struct rootfs *r);

/*
 * strata-server's descriptors, as rootfs_open() hands them over. A newer program takes over from an
 * older one with these: what is added comes before SERVER_PACKS only with another journal.
 */
enum server_fd {
	SERVER_FUSE = 3,
	SERVER_UPPER,
	SERVER_WORK,
	SERVER_INDEX,
	SERVER_OBJECTS,
	SERVER_JOURNAL, /* unionfs' memory of what is under way, an empty file at first */
	SERVER_READY, /* a pipe: SERVER_UP when it serves, else why not; nothing: it has died */
	/*
	 * and then, when reads are verified, the stack's sums (struct stack); and then, of one that
	 * is still arriving, enum arrival_fd
	 */
	SERVER_PACKS
};
#define SERVER_UP "\1"

#endif
