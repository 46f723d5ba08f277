/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --filter KEY=VALUE of the listing verbs, as podman has it: of one key any value will do, of
 * "label" all have to; different keys all have to.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include "cli/cli.h"

/* What a verb can filter by; a table ends with a NULL name. */
struct filter_key {
	const char *name;
	bool every; /* all values have to match */
	/* NULL: any value is one; else -EINVAL with a text */
	int (*check)(const char *value);
	/* The place of the value among the filters of all keys is @i. */
	bool (*match)(const void *entry, const char *value, size_t i, const void *ctx);
};

/* 0, or -EINVAL with a text: one of @filters (a strv) is none that the table has. */
int filter_check(const struct filter_key *keys, char *const *filters);
/* Whether @entry is one that all @filters let through. @ctx is for match(). */
bool filter_match(const struct filter_key *keys, char *const *filters, const void *entry,
		  const void *ctx);
/* The value if @filter is one of that key, else NULL. */
const char *filter_value(const char *filter, const char *key);

/* NAME or NAME=VALUE, by an object of strings, or NULL. */
bool filter_label(const json_t *labels, const char *value);

#endif
