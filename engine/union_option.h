/* SPDX-License-Identifier: Apache-2.0 */
/* One option of strata-unionfs: a key, with its value or without one. */
#ifndef ENGINE_UNION_OPTION_H
#define ENGINE_UNION_OPTION_H

#include "engine/union_options.h"

/* KEY=VALUE; KEY alone: 0 or -EINVAL with a text. */
int union_option_value(struct union_options *o, const char *key, const char *value);
int union_option_flag(struct union_options *o, const char *key);
/* Whether it is for the kernel's security module: its value may stand in quotes. */
bool union_option_is_context(const char *key);

/*
 * The part of *@s before @end, without its escapes (a backslash before any byte, as overlayfs);
 * *@ret_more: @end was there, and *@s is behind it.
 */
char *union_option_part(const char **s, char end, bool *ret_more);

/* The values of squash_to_uid and uidmapping, and of those for groups: union_ids.c. */
int union_ids_squash(struct union_ids *ids, const char *key, const char *value);
int union_ids_map(struct union_ids *ids, const char *key, const char *value);

#endif
