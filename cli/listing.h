/* SPDX-License-Identifier: Apache-2.0 */
/* What a listing verb gathers: the rows of a table, or an array of JSON objects. */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/cli.h"

struct listing {
	struct table *table; /* NULL: JSON is wanted */
	json_t *json;	     /* NULL: a table is */
};

/*
 * @format is the --format option's word: "table" or NULL, or "json". @headers ends with NULL.
 * Negative: the error was printed. End with listing_done().
 */
int listing_init(struct listing *l, const char *format, const char *const *headers);
void listing_done(struct listing *l);

/* Prints what was gathered. */
void listing_print(const struct listing *l);

#endif
