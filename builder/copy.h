/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COPY: one source, a file or all that is in a folder, into the tree of a step. Modes, times and
 * symbolic links come along; extended attributes and hard links do not (each name gets a file of
 * its own), as with a context sent to docker.
 */
#ifndef BUILDER_COPY_H
#define BUILDER_COPY_H

#include "builder/place.h"
#include "builder/source.h"

struct copy {
	int root_fd;	    /* of the step */
	struct owner owner; /* of what is made */
	bool keep_owner;    /* what is copied keeps the source's; @owner is for the folders above */
	int mode;	    /* -1 = the source's */
	bool special;	    /* FIFOs and devices are copied, not refused */
};

/*
 * Copies @path of @s to @dst below the root: a folder's content into the folder @dst; a file to
 * @dst or, when @into, into the folder @dst under its own name.
 */
int copy_source(const struct copy *c, const struct source *s, const char *path, const char *dst,
		bool into);
/* A file of that text. */
int copy_text(const struct copy *c, const char *name, const char *text, const char *dst, bool into,
	      const struct timespec *mtime);

#endif
