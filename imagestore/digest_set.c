/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/digest_set.h"

#include "base/hash.h"
#include "base/mem.h"
#include <errno.h>

#define SLOTS_MIN 64

struct digest_slot {
	struct digest d;
	bool used;
};

void digest_set_done(struct digest_set *s)
{
	free(s->slots);
	*s = (struct digest_set){ 0 };
}

/* The slot that holds @d, or the free one where it belongs. */
static struct digest_slot *find(struct digest_slot *slots, size_t nslots, const struct digest *d)
{
	size_t i = hash_bytes(d->b, sizeof(d->b)) & (nslots - 1);

	while (slots[i].used && !digest_eq(&slots[i].d, d))
		i = (i + 1) & (nslots - 1);
	return &slots[i];
}

static int grow(struct digest_set *s)
{
	size_t n = s->nslots ? s->nslots * 2 : SLOTS_MIN;
	struct digest_slot *slots = mem_new(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->nslots; i++) {
		if (s->slots[i].used)
			*find(slots, n, &s->slots[i].d) = s->slots[i];
	}
	free(s->slots);
	s->slots = slots;
	s->nslots = n;
	return 0;
}

int digest_set_add(struct digest_set *s, const struct digest *d)
{
	struct digest_slot *slot;

	if (s->count >= s->nslots / 4 * 3 && grow(s) < 0)
		return -ENOMEM;
	slot = find(s->slots, s->nslots, d);
	if (slot->used)
		return 0;
	*slot = (struct digest_slot){ .d = *d, .used = true };
	s->count++;
	return 1;
}

int digest_set_add_all(struct digest_set *s, const struct digest *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (digest_set_add(s, &list[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

bool digest_set_has(const struct digest_set *s, const struct digest *d)
{
	return s->nslots && find(s->slots, s->nslots, d)->used;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

int digest_set_sorted(const struct digest_set *s, struct digest **ret)
{
	struct digest *list = mem_new(s->count, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < s->nslots; i++) {
		if (s->slots[i].used)
			list[n++] = s->slots[i].d;
	}
	qsort(list, n, sizeof(*list), compare);
	*ret = list;
	return 0;
}
