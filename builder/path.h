/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text. */
#ifndef BUILDER_PATH_H
#define BUILDER_PATH_H

#include <stdbool.h>

/*
 * Lexically: "a/b" of "/./a//x/../b/", "" of the root; ".." stops at the root, and *@ret_above
 * (may be NULL) says that it tried to go on. -ENAMETOOLONG past PATH_MAX.
 */
int path_clean(const char *s, char **ret, bool *ret_above);
/* @path as seen from the folder @base, cleaned. */
int path_join(const char *base, const char *path, char **ret);
/* What follows the last slash. */
const char *path_name(const char *path);
/* What stands before the last slash; "" when there is none. */
char *path_parent(const char *path);

#endif
