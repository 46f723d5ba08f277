/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD of a tar, plain or compressed (gzip, bzip2, xz, zstd): its entries into the tree of a step,
 * with owners, modes, times, links, devices and extended attributes, but for those that only a
 * union file system may set.
 */
#ifndef BUILDER_ADD_TAR_H
#define BUILDER_ADD_TAR_H

#include "builder/place.h"
#include <stdbool.h>

#define ADD_TAR_ENTRIES_MAX 8000000u

/* Whether @fd, read from its beginning, is such a tar. */
bool add_tar_is(int fd);
/*
 * Extracts @fd into the folder @dst below @root_fd; the folders above are @owner's. ".." in a
 * name is refused.
 */
int add_tar_extract(int fd, int root_fd, const char *dst, const struct owner *owner);

#endif
