/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tree.h"

#include "base/err.h"
#include "layer/xattr.h"
#include <sys/stat.h>

const struct layer_attr *layer_node_attr(const struct layer_node *n)
{
	return &n->attr;
}

const char *layer_node_target(const struct layer_node *n)
{
	return S_ISLNK(n->attr.mode) && n->content.kind == LAYER_INLINE ? n->content.data : NULL;
}

static int check_size(const struct layer_attr *a)
{
	if (S_ISREG(a->mode) && a->size > LAYER_SIZE_MAX)
		return err(-EFBIG, "a file of %llu bytes: at most 8 TiB",
			   (unsigned long long)a->size);
	if (S_ISLNK(a->mode) && (a->size == 0 || a->size > LAYER_TARGET_MAX))
		return err(-EINVAL, "a symbolic link to %llu bytes: 1 to 4095",
			   (unsigned long long)a->size);
	return 0;
}

int node_check_attr(const struct layer_attr *attr, struct layer_attr *ret)
{
	struct layer_attr a = *attr;

	if (!erofs_type_of_mode(a.mode) || (a.mode & ~(S_IFMT | 07777u)))
		return err(-EINVAL, "mode 0%o is no file's", a.mode);
	if (a.mtime.tv_nsec < 0 || a.mtime.tv_nsec >= 1000000000)
		return err(-EINVAL, "%ld nanoseconds", a.mtime.tv_nsec);
	a.nlink = 0;
	if (!S_ISCHR(a.mode) && !S_ISBLK(a.mode))
		a.rdev = 0;
	if (erofs_decode_dev(erofs_encode_dev(a.rdev)) != a.rdev)
		return err(-EINVAL, "device number 0x%llx is too large",
			   (unsigned long long)a.rdev);
	if (!S_ISREG(a.mode) && !S_ISLNK(a.mode))
		a.size = 0;
	if (check_size(&a) < 0)
		return S_ISREG(a.mode) ? -EFBIG : -EINVAL;
	*ret = a;
	return 0;
}

int layer_node_set_attr(struct layer_node *n, const struct layer_attr *attr)
{
	struct layer_attr a;
	int r = node_check_attr(attr, &a);

	if (r < 0)
		return r;
	if ((a.mode ^ n->attr.mode) & S_IFMT)
		return err(-EINVAL, "a file cannot change its type");
	if (n->content.kind == LAYER_INLINE && a.size != n->attr.size)
		return err(-EINVAL, "an inline content cannot change its size");
	n->attr = a;
	node_remove_xattr(n, XATTR_IMPLIED);
	return 0;
}

static int check_content(const struct layer_node *n, const struct layer_content *c)
{
	if (S_ISLNK(n->attr.mode) ? c->kind != LAYER_INLINE : !S_ISREG(n->attr.mode))
		return err(-EINVAL, "content of a file that has none");
	if (node_is_lower(n))
		return err(-EINVAL, "content of a link to a lower layer's file");
	if (c->kind == LAYER_INLINE && n->attr.size > LAYER_BLOCK)
		return err(-EFBIG, "an inline content of %llu bytes",
			   (unsigned long long)n->attr.size);
	if (c->kind == LAYER_PACK && c->device == 0)
		return err(-EINVAL, "content in device 0");
	return 0;
}

static int set_redirect(struct layer_node *n, const struct digest *d)
{
	struct xattr_redirect to = xattr_redirect(d);
	char *s = tree_alloc(n->tree, XATTR_REDIRECT_LEN);
	int r;

	if (!s)
		return -ENOMEM;
	memcpy(s, to.s, XATTR_REDIRECT_LEN);
	r = node_set_xattr(n, XATTR_METACOPY, "", 0);
	if (r < 0)
		return r;
	return node_set_xattr(n, XATTR_REDIRECT, s, XATTR_REDIRECT_LEN);
}

int node_set_content(struct layer_node *n, const struct layer_content *c)
{
	int r = check_content(n, c);

	if (r < 0)
		return r;
	if (n->attr.size == 0) {
		n->content = (struct layer_content){ .kind = LAYER_EMPTY };
		return 0;
	}
	node_remove_xattr(n, XATTR_METACOPY);
	node_remove_xattr(n, XATTR_REDIRECT);
	n->content = *c;
	return c->kind == LAYER_OBJECT ? set_redirect(n, &c->digest) : 0;
}

int layer_node_set_content(struct layer_node *n, const struct layer_content *c)
{
	struct layer_content own = *c;
	int r = check_content(n, c);
	void *data;

	if (r < 0)
		return r;
	if (c->kind == LAYER_INLINE && n->attr.size) {
		data = tree_alloc(n->tree, n->attr.size);
		if (!data)
			return -ENOMEM;
		own.data = memcpy(data, c->data, n->attr.size);
	}
	return node_set_content(n, &own);
}

/* Where the attribute stands, or where it belongs. */
static struct tree_xattr **xattr_slot(struct layer_node *n, uint8_t prefix, const char *name,
				      size_t len, bool *found)
{
	struct tree_xattr **p = &n->xattrs;
	int c = 1;

	while (*p &&
	       (c = xattr_cmp((*p)->prefix, (*p)->name, (*p)->name_len, prefix, name, len)) < 0)
		p = &(*p)->next;
	*found = *p && c == 0;
	return p;
}

const struct tree_xattr *node_xattr(const struct layer_node *n, uint8_t prefix, const char *name,
				    size_t name_len)
{
	const struct tree_xattr *x = n->xattrs;

	while (x && xattr_cmp(x->prefix, x->name, x->name_len, prefix, name, name_len))
		x = x->next;
	return x;
}

void node_remove_xattr(struct layer_node *n, uint8_t prefix, const char *name, size_t name_len)
{
	bool found;
	struct tree_xattr **p = xattr_slot(n, prefix, name, name_len, &found);

	if (!found)
		return;
	n->xattr_bytes -= (uint32_t)xattr_entry_size((*p)->name_len, (*p)->value_len);
	*p = (*p)->next;
}

static int check_xattr(const struct layer_node *n, size_t name_len, size_t len)
{
	size_t bytes =
		sizeof(struct erofs_xattr_head) + n->xattr_bytes + xattr_entry_size(name_len, len);

	if (name_len > UINT8_MAX)
		return err(-ERANGE, "an xattr's name of %zu bytes", name_len);
	if (len > UINT16_MAX || bytes > LAYER_XATTRS_MAX)
		return err(-E2BIG, "xattrs of more than %u bytes", LAYER_XATTRS_MAX);
	return 0;
}

int node_set_xattr(struct layer_node *n, uint8_t prefix, const char *name, size_t name_len,
		   const void *value, size_t len)
{
	struct tree_xattr **p, *x = tree_alloc(n->tree, sizeof(*x));
	bool found;
	int r;

	if (!x)
		return -ENOMEM;
	node_remove_xattr(n, prefix, name, name_len);
	r = check_xattr(n, name_len, len);
	if (r < 0)
		return r;
	p = xattr_slot(n, prefix, name, name_len, &found);
	*x = (struct tree_xattr){ .next = *p,
				  .prefix = prefix,
				  .name_len = (uint8_t)name_len,
				  .value_len = (uint16_t)len,
				  .name = name,
				  .value = value };
	*p = x;
	n->xattr_bytes += (uint32_t)xattr_entry_size(name_len, len);
	return 0;
}

int layer_node_set_xattr(struct layer_node *n, const char *name, const void *value, size_t len)
{
	const char *rest;
	uint8_t prefix = xattr_split(name, &rest);
	size_t name_len;
	char *own;
	int r;

	if (!prefix)
		return err(-EOPNOTSUPP, "xattr %s: no such prefix", name);
	name_len = strlen(rest);
	if (xattr_is_ours(prefix, rest, name_len))
		return err(-EINVAL, "xattr %s is not for setting", name);
	r = check_xattr(n, name_len, MIN(len, (size_t)UINT16_MAX + 1));
	own = r < 0 ? NULL : tree_alloc(n->tree, name_len + len);
	if (!own)
		return r < 0 ? r : -ENOMEM;
	memcpy(own, rest, name_len);
	if (len)
		memcpy(own + name_len, value, len);
	return node_set_xattr(n, prefix, own, name_len, own + name_len, len);
}

int layer_node_set_implied(struct layer_node *n)
{
	if (!S_ISDIR(n->attr.mode))
		return err(-ENOTDIR, "only a directory can be implied");
	return node_set_xattr(n, XATTR_IMPLIED, "", 0);
}

bool layer_node_is_implied(const struct layer_node *n)
{
	return node_xattr(n, XATTR_IMPLIED) != NULL;
}

bool node_is_lower(const struct layer_node *n)
{
	return node_xattr(n, XATTR_LINK) != NULL;
}
