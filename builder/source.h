/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What COPY and ADD read: files of the context, of another stage or of an image, below one root
 * that no symbolic link leads out of.
 */
#ifndef BUILDER_SOURCE_H
#define BUILDER_SOURCE_H

#include "base/sha256.h"
#include "builder/dockerignore.h"
#include <sys/stat.h>

#define SOURCE_DEPTH_MAX 256u
#define SOURCE_ITEMS_MAX 8000000u /* of one walk */

struct source {
	int root_fd;
	const struct dockerignore *ignore; /* NULL = nothing is left out */
	bool owners;			   /* they count: part of the hash */
};

/*
 * The paths that @pattern means, sorted, relative to the root ("" is the root): itself when it
 * has no wildcard. -ENOENT when there is none. A path that would leave the root lexically is
 * refused.
 */
int source_find(const struct source *s, const char *pattern, char ***ret);

/* The names in the open folder, sorted; NULL when there is none. */
int source_list(int dirfd, char ***ret);
/* Opens @path, links followed inside the root. */
int source_open(const struct source *s, const char *path, uint64_t flags);

/* One thing met by source_walk(). */
struct source_item {
	const char *path; /* below the walk's top; "" is the top itself */
	int dirfd;	  /* with name: where it is */
	const char *name;
	struct stat st;
};
typedef int source_fn(void *ctx, const struct source_item *i);

/*
 * Walks @path (followed, if it is a link) and all below it, parents first, names sorted; links
 * below are not followed. Of what is left out, only the folders above something wanted back are
 * met.
 */
int source_walk(const struct source *s, const char *path, source_fn *fn, void *ctx);

/* Adds paths, types, modes, sizes, targets and bytes of @path and all below it to @h; no times. */
int source_hash(const struct source *s, const char *path, struct sha256 *h);

#endif
