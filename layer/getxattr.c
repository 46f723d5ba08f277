/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/index.h"

#include "layer/xattr.h"

static int xattr_head(struct xattr_walk *w)
{
	struct erofs_xattr_head h, none = { 0 };

	w->pos = sizeof(struct erofs_inode);
	if (w->i->core == w->pos)
		return 0;
	/* All of them, for the names and values that are given out. */
	if (!index_read(w->x, w->i->off, w->i->core))
		return -EBADMSG;
	memcpy(&h, w->x->map + w->i->off + w->pos, sizeof(h));
	if (memcmp(&h, &none, sizeof(h)))
		return index_bad(w->i->nid, "shared xattrs");
	w->pos += sizeof(h);
	return 0;
}

int xattr_next(struct xattr_walk *w)
{
	const uint8_t *p = w->x->map + w->i->off;
	struct erofs_xattr e;
	size_t len;
	int r = w->pos ? 0 : xattr_head(w);

	if (r < 0 || w->pos == w->i->core)
		return r;
	memcpy(&e, p + w->pos, sizeof(e)); /* what is left is a multiple of 4 bytes */
	len = xattr_entry_size(e.name_len, e.value_len);
	if (len > w->i->core - w->pos)
		return index_bad(w->i->nid, "an xattr goes past the others");
	w->prefix = e.prefix;
	w->name_len = e.name_len;
	w->value_len = e.value_len;
	w->name = (const char *)p + w->pos + sizeof(e);
	w->value = w->name + e.name_len;
	w->pos += len;
	return 1;
}

int xattr_find(const struct layer_index *x, const struct inode *i, uint8_t prefix, const char *name,
	       size_t name_len, const void **ret, size_t *ret_len)
{
	struct xattr_walk w = { .x = x, .i = i };
	int r;

	while ((r = xattr_next(&w)) > 0) {
		if (xattr_cmp(w.prefix, w.name, w.name_len, prefix, name, name_len))
			continue;
		*ret = w.value;
		*ret_len = w.value_len;
		return 0;
	}
	return r < 0 ? r : -ENODATA;
}

int layer_getxattr(const struct layer_index *x, uint64_t nid, const char *name, const void **ret,
		   size_t *ret_len)
{
	const char *rest;
	uint8_t prefix = xattr_split(name, &rest);
	struct inode i;
	int r = inode_get(x, nid, &i);

	if (r < 0)
		return r;
	if (!prefix || i.core == sizeof(struct erofs_inode))
		return -ENODATA;
	return xattr_find(x, &i, prefix, rest, strlen(rest), ret, ret_len);
}

/* Puts the full name, with NUL, into @to. */
static int full_name(const struct xattr_walk *w, char to[32 + 256])
{
	const char *prefix = xattr_prefix(w->prefix);
	size_t n = prefix ? strlen(prefix) : 0;

	if (!prefix || memchr(w->name, 0, w->name_len))
		return index_bad(w->i->nid, "an xattr of an impossible name");
	memcpy(to, prefix, n);
	memcpy(to + n, w->name, w->name_len);
	to[n + w->name_len] = 0;
	return 0;
}

int layer_listxattr(const struct layer_index *x, uint64_t nid,
		    int (*fn)(void *ctx, const char *name, const void *value, size_t len),
		    void *ctx)
{
	struct inode i;
	struct xattr_walk w = { .x = x, .i = &i };
	char name[32 + 256];
	int r = inode_get(x, nid, &i);

	while (r == 0 && (r = xattr_next(&w)) > 0) {
		r = full_name(&w, name);
		if (r == 0)
			r = fn(ctx, name, w.value, w.value_len);
	}
	return r;
}

bool layer_is_opaque(const struct layer_index *x, uint64_t nid)
{
	const void *value;
	size_t len;
	struct inode i;

	return inode_get(x, nid, &i) == 0 && xattr_find(x, &i, XATTR_OPAQUE, &value, &len) == 0 &&
	       len == 1 && *(const char *)value == 'y';
}
