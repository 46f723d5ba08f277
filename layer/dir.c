/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/index.h"

#define ENTRY_BITS 9 /* a block holds at most 4096 / 13 entries */

int dir_get(const struct layer_index *x, uint64_t nid, struct inode *ret)
{
	int r = inode_get(x, nid, ret);

	return r == 0 && !S_ISDIR(ret->e.mode) ? -ENOTDIR : r;
}

static struct erofs_dirent entry_at(const struct dirblock *d, unsigned k)
{
	struct erofs_dirent e;

	memcpy(&e, d->data + k * sizeof(e), sizeof(e));
	return e;
}

int dirblock_get(const struct layer_index *x, const struct inode *dir, uint64_t b,
		 struct dirblock *ret)
{
	struct dirblock d = { 0 };
	size_t names;

	d.data = inode_block(x, dir, b, &d.len);
	if (!d.data)
		return -EBADMSG;
	if (d.len < sizeof(struct erofs_dirent))
		return index_bad(dir->nid, "a directory block without entries");
	names = entry_at(&d, 0).nameoff;
	if (names == 0 || names % sizeof(struct erofs_dirent) || names >= d.len)
		return index_bad(dir->nid, "a directory block without names");
	d.count = (unsigned)(names / sizeof(struct erofs_dirent));
	*ret = d;
	return 0;
}

int dirblock_entry(const struct inode *dir, const struct dirblock *d, unsigned k,
		   struct layer_dirent *ret)
{
	struct erofs_dirent e = entry_at(d, k);
	size_t off = e.nameoff, len;

	if (off >= d->len)
		return index_bad(dir->nid, "a name outside of its block");
	if (k + 1 < d->count)
		len = (size_t)entry_at(d, k + 1).nameoff - off;
	else
		len = strnlen((const char *)d->data + off, d->len - off);
	if (len == 0 || len > LAYER_NAME_MAX || len > d->len - off)
		return index_bad(dir->nid, "a name of an impossible length");
	ret->nid = e.nid;
	ret->name = (const char *)d->data + off;
	ret->namelen = (uint8_t)len;
	ret->type = erofs_type_to_dt(e.type);
	return 0;
}

static int name_cmp(const char *a, size_t alen, const struct layer_dirent *e)
{
	int c = memcmp(a, e->name, MIN(alen, (size_t)e->namelen));

	return c ? c : (alen > e->namelen) - (alen < e->namelen);
}

/* The block that holds the name, if any does: the last one whose first name is not behind it. */
static int find_block(const struct layer_index *x, const struct inode *dir, const char *name,
		      size_t len, struct dirblock *ret)
{
	uint64_t lo = 0, hi = erofs_blocks(dir->e.size);
	struct layer_dirent e;
	int r = dirblock_get(x, dir, 0, ret);

	while (r == 0 && hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;
		struct dirblock d;

		r = dirblock_get(x, dir, mid, &d);
		if (r == 0)
			r = dirblock_entry(dir, &d, 0, &e);
		if (r < 0)
			break;
		if (name_cmp(name, len, &e) < 0) {
			hi = mid;
		} else {
			lo = mid;
			*ret = d;
		}
	}
	return r;
}

static int find_entry(const struct inode *dir, const struct dirblock *d, const char *name,
		      size_t len, uint64_t *ret_nid)
{
	unsigned lo = 0, hi = d->count;
	struct layer_dirent e;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		int c, r = dirblock_entry(dir, d, mid, &e);

		if (r < 0)
			return r;
		c = name_cmp(name, len, &e);
		if (c == 0) {
			*ret_nid = e.nid;
			return 0;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -ENOENT;
}

int layer_lookup(const struct layer_index *x, uint64_t dir, const char *name, size_t len,
		 uint64_t *ret_nid)
{
	struct dirblock d;
	struct inode i;
	int r;

	if (len > LAYER_NAME_MAX)
		return -ENAMETOOLONG;
	r = dir_get(x, dir, &i);
	if (r == 0)
		r = find_block(x, &i, name, len, &d);
	return r ? r : find_entry(&i, &d, name, len, ret_nid);
}

int layer_parent(const struct layer_index *x, uint64_t nid, uint64_t *ret_parent)
{
	int r = layer_lookup(x, nid, "..", 2, ret_parent);

	return r == -ENOENT ? index_bad(nid, "a directory without \"..\"") : r;
}

int layer_readdir(const struct layer_index *x, uint64_t dir, uint64_t cookie,
		  struct layer_dirent *ret)
{
	uint64_t b = cookie >> ENTRY_BITS;
	unsigned k = cookie & ((1u << ENTRY_BITS) - 1);
	struct dirblock d;
	struct inode i;
	int r = dir_get(x, dir, &i);

	if (r < 0)
		return r;
	if (b >= erofs_blocks(i.e.size))
		return 0;
	r = dirblock_get(x, &i, b, &d);
	if (r < 0)
		return r;
	if (k >= d.count)
		return -EINVAL;
	r = dirblock_entry(&i, &d, k, ret);
	if (r < 0)
		return r;
	ret->next = k + 1 < d.count ? cookie + 1 : (b + 1) << ENTRY_BITS;
	return 1;
}
