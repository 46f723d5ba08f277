/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a context stays out: patterns as docker has them
 * (docs.docker.com/build/concepts/context, ".dockerignore").
 */
#ifndef BUILDER_DOCKERIGNORE_H
#define BUILDER_DOCKERIGNORE_H

#include <stdbool.h>
#include <stddef.h>

struct dockerignore {
	char **patterns; /* cleaned, without '!' */
	bool *negated;
	size_t n, patterns_cap, negated_cap;
	bool any_negated; /* something below an excluded folder may be wanted back */
};

int dockerignore_parse(const char *text, struct dockerignore *ret);
void dockerignore_done(struct dockerignore *d);
/*
 * Whether @path, relative to the context and without a leading slash, is left out. The last
 * pattern that fits decides.
 */
bool dockerignore_excludes(const struct dockerignore *d, const char *path);

/* Go's filepath.Match with ** for any number of folders: the whole of @path. */
bool pattern_match(const char *pattern, const char *path);

#endif
