/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/gone.h"

#include "base/mem.h"

struct gone_id {
	struct hash_entry entry;
	uint64_t id;
};

static struct gone_id *find(struct gone *g, uint64_t id)
{
	struct hash_entry *h = hash_table_first(&g->ids, hash_u64(id));

	for (; h; h = hash_table_next(h)) {
		struct gone_id *x = container_of(h, struct gone_id, entry);

		if (x->id == id)
			return x;
	}
	return NULL;
}

void gone_init(struct gone *g)
{
	pthread_mutex_init(&g->lock, NULL);
}

void gone_done(struct gone *g)
{
	struct hash_entry *h;

	while ((h = hash_table_walk(&g->ids, NULL))) {
		hash_table_remove(&g->ids, h);
		free(container_of(h, struct gone_id, entry));
	}
	hash_table_done(&g->ids);
	pthread_mutex_destroy(&g->lock);
}

void gone_add(struct gone *g, uint64_t id)
{
	struct gone_id *x = g->n < GONE_MAX ? new0(struct gone_id) : NULL;

	if (!x)
		return;
	x->id = id;
	pthread_mutex_lock(&g->lock);
	if (!find(g, id) && hash_table_add(&g->ids, &x->entry, hash_u64(id)) == 0) {
		g->n++;
		x = NULL;
	}
	pthread_mutex_unlock(&g->lock);
	free(x);
}

bool gone_is(struct gone *g, uint64_t id)
{
	bool is;

	if (!g->n)
		return false;
	pthread_mutex_lock(&g->lock);
	is = find(g, id);
	pthread_mutex_unlock(&g->lock);
	return is;
}

void gone_forget(struct gone *g, uint64_t id)
{
	struct gone_id *x;

	if (!g->n)
		return;
	pthread_mutex_lock(&g->lock);
	x = find(g, id);
	if (x) {
		hash_table_remove(&g->ids, &x->entry);
		g->n--;
	}
	pthread_mutex_unlock(&g->lock);
	free(x);
}
