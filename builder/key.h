/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of the cache: a chain, each link sha256 over the one before it and all that decides what
 * the next step makes. What goes in is told apart by its length. A change of what a step does to
 * its tree needs another KEY_VERSION.
 */
#ifndef BUILDER_KEY_H
#define BUILDER_KEY_H

#include "base/sha256.h"
#include <jansson.h>

#define KEY_VERSION "strata build 1"

/* From nothing: an image's config, or NULL for scratch. */
int key_base(const json_t *config, struct digest *ret);

struct key {
	struct sha256 h;
};
void key_begin(struct key *k, const struct digest *parent);
void key_add(struct key *k, const char *text);
void key_add_strv(struct key *k, char *const *v);
int key_add_json(struct key *k, const json_t *j);
void key_add_digest(struct key *k, const struct digest *d);
struct digest key_end(struct key *k);

#endif
