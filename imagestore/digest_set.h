/* SPDX-License-Identifier: Apache-2.0 */
/* A set of digests. All-zero is an empty one. */
#ifndef IMAGESTORE_DIGEST_SET_H
#define IMAGESTORE_DIGEST_SET_H

#include "base/sha256.h"

struct digest_set {
	struct digest_slot *slots; /* a power of two, at most 3/4 of them used */
	size_t nslots, count;
};

void digest_set_done(struct digest_set *s);
/* 1 = new, 0 = was there, -ENOMEM. */
int digest_set_add(struct digest_set *s, const struct digest *d);
int digest_set_add_all(struct digest_set *s, const struct digest *list, size_t n);
bool digest_set_has(const struct digest_set *s, const struct digest *d);
/* All of them in byte order, to be freed by the caller. */
int digest_set_sorted(const struct digest_set *s, struct digest **ret);

#endif
