/* SPDX-License-Identifier: Apache-2.0 */
/* Owning locals of the engine's types, and what several verbs read from them. */
#ifndef CLI_UTIL_H
#define CLI_UTIL_H

#include "base/mem.h"
#include "cli/cli.h"

static inline void image_closep(struct image **i)
{
	image_close(*i);
}

static inline void inst_closep(struct inst **i)
{
	inst_close(*i);
}

static inline void table_freep(struct table **t)
{
	table_free(*t);
}

/* "created" of an image's config or a history step in seconds since 1970, 0 when it says nothing.
 */
int64_t cli_created(const json_t *j);

#endif
