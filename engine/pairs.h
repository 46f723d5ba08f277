/* SPDX-License-Identifier: Apache-2.0 */
/* Files of NAME=VALUE lines, as --env-file and --label-file take them. */
#ifndef ENGINE_PAIRS_H
#define ENGINE_PAIRS_H

/*
 * Calls @fn with each line of the file at @path, without blanks before it: "NAME=VALUE", or "NAME".
 * Empty lines are none, and neither are those that begin with #. A bad line is -EINVAL, one that is
 * not UTF-8 -EILSEQ, with a text that says FILE:LINE; else what opening, reading or @fn gives.
 */
int pairs_read(const char *path, int (*fn)(void *ctx, const char *pair), void *ctx);

#endif
