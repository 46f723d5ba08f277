/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/dirs_names.h"

#include "unionfs/listing.h"

#include <errno.h>

#define LOOKS	  16u	     /* in vain, before it is worth a listing */
#define NAMES_MAX (1u << 20) /* together: 8 MiB */

struct dirs_names {
	size_t n;
	uint64_t hashes[]; /* listings' cookies, in order */
};

static void give_back(struct lower *l, size_t n)
{
	atomic_fetch_sub(&l->dirs->names, n);
}

static struct dirs_names *build(struct lower *l, const struct listing *list)
{
	struct dirs_names *names = NULL;

	if (atomic_fetch_add(&l->dirs->names, list->n) + list->n <= NAMES_MAX)
		names = mem_new(1, sizeof(*names) + list->n * sizeof(names->hashes[0]));
	if (!names) {
		give_back(l, list->n);
		return NULL;
	}
	/* A whiteout's name too: it costs a look, no more. */
	names->n = list->n;
	for (size_t i = 0; i < list->n; i++)
		names->hashes[i] = list->v[i].cookie;
	return names;
}

void dirs_names_missed(struct lower *l, struct dirs_entry *dir)
{
	struct dirs_names *names, *none = NULL;
	struct listing *list;
	unsigned int before = atomic_fetch_add(&dir->looks, dir->nparts);
	int e;

	/* Once is enough. */
	if (before >= LOOKS || before + dir->nparts < LOOKS)
		return;
	list = lower_dirs_listing(l, dir->id, &e);
	if (!list)
		return;
	names = build(l, list);
	listing_put(&l->u->listings, list);
	if (names && !atomic_compare_exchange_strong(&dir->names, &none, names)) {
		give_back(l, names->n);
		free(names);
	}
}

bool dirs_names_lack(const struct dirs_entry *dir, const char *name)
{
	const struct dirs_names *names = atomic_load(&dir->names);
	uint64_t hash;
	size_t lo = 0, hi;

	if (!names)
		return false;
	hash = listing_cookie(name, strlen(name));
	for (hi = names->n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (names->hashes[mid] < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == names->n || names->hashes[lo] != hash;
}

void dirs_names_free(struct lower *l, struct dirs_entry *dir)
{
	struct dirs_names *names = atomic_load(&dir->names);

	if (names)
		give_back(l, names->n);
	free(names);
}
