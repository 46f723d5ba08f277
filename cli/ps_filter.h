/* SPDX-License-Identifier: Apache-2.0 */
/* --filter of `strata ps`. */
#ifndef CLI_PS_FILTER_H
#define CLI_PS_FILTER_H

#include "cli/cli.h"

struct ps_filter {
	char *const *words;
	struct image **ancestors; /* by the place of their word; NULL: it is none, or is not here */
	bool stopped;		  /* one of them speaks of stopped ones */
};

/* -EINVAL with a text for what is wrong with @words (a strv, the caller's). */
int ps_filter_init(struct ps_filter *f, struct store *s, char *const *words);
void ps_filter_done(struct ps_filter *f);
bool ps_filter_match(const struct ps_filter *f, const struct ps_entry *p);

#endif
