/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of @name in the directory @dirfd, never through a symbolic link; "" is @dirfd
 * itself (readable, not O_PATH). By getxattrat(2) and its like (Linux 6.13), else by /proc or by
 * opening. Counts or -errno.
 */
#ifndef UNIONFS_XAT_H
#define UNIONFS_XAT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

ssize_t xat_get(int dirfd, const char *name, const char *xname, void *value, size_t size);
int xat_set(int dirfd, const char *name, const char *xname, const void *value, size_t size,
	    int flags);
ssize_t xat_list(int dirfd, const char *name, char *list, size_t size);
int xat_remove(int dirfd, const char *name, const char *xname);
/* Whether the value is exactly "y", as overlayfs' flags are. */
bool xat_is_y(int dirfd, const char *name, const char *xname);
/* Sets the permission bits, never through a symbolic link: 0 or -errno. */
int xat_chmod(int dirfd, const char *name, mode_t mode);

#endif
