/* SPDX-License-Identifier: Apache-2.0 */
/* The guest kernel that a microVM boots. */
#ifndef ENGINE_KERNEL_H
#define ENGINE_KERNEL_H

#include "engine/engine.h"

/*
 * @word names it: a kernel of the store's, "shipped" (the vmlinux beside our programs), or a file.
 * NULL: STRATA_KERNEL, else the store's default, else the shipped one. -ENOENT says what to do. The
 * caller ends *@ret with kernel_files_done(). @s may be NULL.
 */
int kernel_choose(struct store *s, const char *word, struct kernel_files *ret);

#endif
