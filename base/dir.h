/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that are read. */
#ifndef BASE_DIR_H
#define BASE_DIR_H

#include "base/mem.h"
#include <dirent.h>

/* The directory @name below @dirfd, no link: NULL with errno. */
DIR *dir_open(int dirfd, const char *name);
/* That of @fd, which it takes, when it fails too; a negative one fails. NULL with errno. */
DIR *dir_take(int fd);
/* The next entry but "." and "..": NULL at the end, with an errno of 0, or when it fails. */
struct dirent *dir_next(DIR *d);

static inline void dir_closep_(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* An owning one: closed at the end of the scope. */
#define _closedir_ _cleanup_(dir_closep_)

#endif
