/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of one directory in the order of a hash under the process' key, so that a name's place,
 * its cookie, does not depend on the other names: what comes or goes moves nobody. Used where
 * directories must be put together and a position cannot serve. A few are kept; they can be built
 * again at any time, so no reader depends on one.
 */
#ifndef UNIONFS_LISTING_H
#define UNIONFS_LISTING_H

#include "base/buf.h"
#include "base/list.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LISTING_COOKIE_MAX ((1ull << 62) - 1) /* cookies are 1..this */
#define LISTING_STRIPES	   64

struct listing_name {
	uint64_t cookie;
	uint64_t ino;
	uint32_t off; /* of the text */
	uint8_t len, type;
	bool whiteout, gone;
};

struct listing {
	struct list lru;
	uint64_t dir;
	bool upper; /* of the upper directory @dir, else of the lower one */
	bool cached;
	uint32_t refs;
	pthread_mutex_t lock; /* an upper's content; a lower's never changes */
	struct listing_name *v;
	size_t n, cap;
	struct buf text;
};

struct listing_cache {
	pthread_mutex_t lock;
	struct list lru;
	size_t bytes;
	uint64_t changes[LISTING_STRIPES]; /* counted up when a directory of that stripe changes */
};

int listing_cache_init(struct listing_cache *c);
void listing_cache_done(struct listing_cache *c);

/* A name's cookie. */
uint64_t listing_cookie(const char *name, size_t len);
/* The kept one, held; NULL: build one. *@ret_stamp goes to listing_keep(). */
struct listing *listing_get(struct listing_cache *c, uint64_t dir, bool upper, uint64_t *ret_stamp);
void listing_put(struct listing_cache *c, struct listing *l);

/*
 * Building: new, add..., sort (of a name added twice the first stays); then it may be kept, if the
 * directory did not change meanwhile. Held by the caller.
 */
struct listing *listing_new(uint64_t dir, bool upper);
int listing_add(struct listing *l, const char *name, size_t len, uint8_t type, uint64_t ino,
		bool whiteout);
int listing_sort(struct listing *l);
void listing_keep(struct listing_cache *c, struct listing *l, uint64_t stamp);

/* The directory's content changed: @name is there now with that type / is gone. */
void listing_changed(struct listing_cache *c, uint64_t dir);
void listing_removed(struct listing_cache *c, uint64_t dir, const char *name);
/* The same of lower directory @dir, where others may have changed it. */
void listing_outdated(struct listing_cache *c, uint64_t dir);

const struct listing_name *listing_find(const struct listing *l, const char *name, size_t len);
/* The first name with a cookie above @cookie, or NULL. */
const struct listing_name *listing_after(const struct listing *l, uint64_t cookie);
const char *listing_text(const struct listing *l, const struct listing_name *n);

#endif
