/* SPDX-License-Identifier: Apache-2.0 */
/* --filter of `strata images`. */
#ifndef CLI_IMAGES_FILTER_H
#define CLI_IMAGES_FILTER_H

#include "cli/cli.h"

struct images_filter {
	char *const *words;
	struct image **looked_up; /* by the place of a reference; NULL: no image is called so */
};

/* -EINVAL with a text for what is wrong with @words (a strv, the caller's). */
int images_filter_init(struct images_filter *f, struct store *s, char *const *words);
void images_filter_done(struct images_filter *f);
bool images_filter_match(const struct images_filter *f, const struct image *i);

#endif
