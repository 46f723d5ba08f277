/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/dirblock.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Entries that every directory has; they have no node of their own. */
static struct tree_name dot = { .len = 1, .s = "." };
static struct tree_name dotdot = { .len = 2, .s = ".." };

struct key {
	uint64_t head; /* the first 8 bytes of the name: decides most comparisons */
	struct tree_name *name;
};

static uint64_t name_head(const struct tree_name *n)
{
	uint64_t head = 0;

	memcpy(&head, n->s, n->len < sizeof(head) ? n->len : sizeof(head));
	return be64toh(head);
}

static int key_cmp(const void *va, const void *vb)
{
	const struct key *a = va, *b = vb;
	int c;

	if (a->head != b->head)
		return a->head < b->head ? -1 : 1;
	c = memcmp(a->name->s, b->name->s, MIN(a->name->len, b->name->len));
	return c ? c : a->name->len - b->name->len;
}

static void keys_add(struct key *keys, size_t *n, struct tree_name *name, bool *sorted)
{
	keys[*n] = (struct key){ name_head(name), name };
	if (*n && key_cmp(&keys[*n - 1], &keys[*n]) > 0)
		*sorted = false;
	++*n;
}

/* All entries, sorted, and how many. A tree that was grown in order costs no sorting. */
static size_t keys_fill(struct layer_node *dir, struct key *keys)
{
	size_t n = 0;
	bool sorted = true;

	keys_add(keys, &n, &dot, &sorted);
	keys_add(keys, &n, &dotdot, &sorted);
	dir->nsubdirs = 0;
	list_for_each(l, &dir->children) {
		struct tree_name *name = list_entry(l, struct tree_name, sibling);

		dir->nsubdirs += S_ISDIR(name->node->attr.mode);
		keys_add(keys, &n, name, &sorted);
	}
	if (!sorted)
		qsort(keys, n, sizeof(*keys), key_cmp);
	return n;
}

static size_t entry_size(const struct tree_name *n)
{
	return sizeof(struct erofs_dirent) + n->len;
}

static uint64_t blocks_size(const struct layer_node *dir)
{
	uint64_t full = 0;
	size_t used = 0;

	for (size_t i = 0; i < dirblock_count(dir); i++) {
		size_t len = entry_size(dir->sorted[i]);

		if (used + len > LAYER_BLOCK) {
			full += LAYER_BLOCK;
			used = 0;
		}
		used += len;
	}
	return full + used;
}

int dirblock_sort(struct layer_node *dir, struct arena *scratch)
{
	size_t n = dirblock_count(dir);
	struct key few[64];
	_free_ struct key *many = n > ARRAY_SIZE(few) ? malloc(n * sizeof(*many)) : NULL;
	struct key *keys = many ? many : few;

	dir->sorted = arena_new(scratch, n * sizeof(struct tree_name *));
	if (!dir->sorted || (!many && n > ARRAY_SIZE(few)))
		return -ENOMEM;
	n = keys_fill(dir, keys);
	for (size_t i = 0; i < n; i++)
		dir->sorted[i] = keys[i].name;
	dir->size = blocks_size(dir);
	return 0;
}

static const struct layer_node *entry_node(const struct layer_node *dir, const struct tree_name *n)
{
	return n == &dot ? dir : n == &dotdot ? dir->parent : n->node;
}

size_t dirblock_fill(const struct layer_node *dir, size_t *at, uint8_t block[LAYER_BLOCK])
{
	struct erofs_dirent *e = (struct erofs_dirent *)block;
	size_t first = *at, end = first, used = 0, off;

	while (end < dirblock_count(dir) && used + entry_size(dir->sorted[end]) <= LAYER_BLOCK)
		used += entry_size(dir->sorted[end++]);
	off = (end - first) * sizeof(*e);
	for (size_t i = first; i < end; i++, e++) {
		const struct tree_name *n = dir->sorted[i];
		const struct layer_node *node = entry_node(dir, n);

		*e = (struct erofs_dirent){ .nid = node->pos >> EROFS_SLOT_BITS,
					    .nameoff = (uint16_t)off,
					    .type = erofs_type_of_mode(node->attr.mode) };
		memcpy(block + off, n->s, n->len);
		off += n->len;
	}
	memset(block + used, 0, LAYER_BLOCK - used);
	*at = end;
	return used;
}
