/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making things in the tree of a step. Folders are found from its root: symbolic links of the
 * image are followed, and lead nowhere but into the image. What is made under a name replaces
 * what had it, links too, unless that is a folder.
 */
#ifndef BUILDER_PLACE_H
#define BUILDER_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct owner {
	uid_t uid;
	gid_t gid;
};

/*
 * The folder @path below @root_fd, open; what is missing of it is made, 0755 and @owner's.
 * *@ret_made (may be NULL): the last one was missing.
 */
int place_folder(int root_fd, const char *path, const struct owner *owner, bool *ret_made);
/* Whether @path is a folder, links followed. */
bool place_is_folder(int root_fd, const char *path);

/* A new regular file, 0600, for writing: a descriptor. */
int place_file(int dirfd, const char *name);
int place_symlink(int dirfd, const char *name, const char *target);
/* A FIFO, device or socket; the device 0/0 is refused: layers use it as a whiteout. */
int place_node(int dirfd, const char *name, mode_t mode, dev_t rdev);
int place_link(int from_dirfd, const char *from, int dirfd, const char *name);

/*
 * Owner, mode and modification time, in the order in which none undoes another. @what names it
 * in the error.
 */
int place_dress(int fd, const char *what, const struct owner *owner, mode_t mode,
		const struct timespec *mtime);
/* The same for what cannot be opened; a link has no mode. */
int place_dress_at(int dirfd, const char *name, const struct owner *owner, mode_t mode,
		   const struct timespec *mtime);

#endif
