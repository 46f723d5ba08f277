/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/seen.h"

#include <errno.h>

struct entry {
	struct hash_entry hash;
	uint64_t nid;
	struct layer_node *node;
};

struct layer_node *seen_find(const struct seen *s, uint64_t nid)
{
	struct hash_entry *h = s->table.count ? hash_table_first(&s->table, hash_u64(nid)) : NULL;

	for (; h; h = hash_table_next(h)) {
		struct entry *e = container_of(h, struct entry, hash);

		if (e->nid == nid)
			return e->node;
	}
	return NULL;
}

int seen_add(struct seen *s, uint64_t nid, struct layer_node *node)
{
	struct entry *e = arena_new(&s->arena, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->nid = nid;
	e->node = node;
	if (hash_table_add(&s->table, &e->hash, hash_u64(nid)) < 0)
		return -ENOMEM;
	tree_hold(node->tree, node);
	return 0;
}

void seen_done(struct seen *s, struct layer_tree *t)
{
	struct hash_entry *h = NULL;

	while (s->table.count && (h = hash_table_walk(&s->table, h)))
		tree_release(t, container_of(h, struct entry, hash)->node);
	hash_table_done(&s->table);
	arena_done(&s->arena);
}
