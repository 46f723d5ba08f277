/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/index.h"

#include "layer/xattr.h"

/*
 * One walk over an index. The image is seen as slots of 32 bytes, the unit of a nid: nothing shares
 * one with another. Directories nest no deeper than LAYER_DEPTH_MAX, so the walk recurses.
 */
struct check {
	const struct layer_index *x;
	uint64_t *used;	 /* a bit for each slot of the image */
	uint32_t *links; /* names met of the node in each slot of the metadata */
	uint64_t ninodes;
};

static int take(struct check *c, const struct inode *i, uint64_t off, uint64_t len)
{
	uint64_t end = (off + len + 31) >> EROFS_SLOT_BITS;

	if (off > c->x->size || len > c->x->size - off)
		return index_bad(i->nid, "it goes past the end");
	for (uint64_t s = off >> EROFS_SLOT_BITS; s < end; s++) {
		if (c->used[s / 64] & 1ull << s % 64)
			return index_bad(i->nid, "it shares its bytes with another");
		c->used[s / 64] |= 1ull << s % 64;
	}
	return 0;
}

/* The bytes of inode, xattrs, tail or chunk, and of its plain blocks. */
static int take_inode(struct check *c, const struct inode *i)
{
	bool flat = S_ISREG(i->e.mode) || S_ISDIR(i->e.mode) || S_ISLNK(i->e.mode);
	uint64_t size = i->e.size, tail = 0, full = erofs_blocks(size);
	int r;

	if (i->layout == EROFS_CHUNK_BASED)
		return take(c, i, i->off, ROUND_UP(i->core, 8) + sizeof(struct erofs_chunk));
	if (i->layout == EROFS_FLAT_INLINE) {
		full = size / LAYER_BLOCK;
		tail = size % LAYER_BLOCK;
		if (!flat || !tail)
			return index_bad(i->nid, "inline without a tail");
	}
	r = take(c, i, i->off, i->core + tail);
	if (r < 0 || !flat || !full)
		return r;
	if (full > c->x->size / LAYER_BLOCK)
		return index_bad(i->nid, "it goes past the end");
	return take(c, i, (uint64_t)i->e.u * LAYER_BLOCK, full * LAYER_BLOCK);
}

static int check_xattrs(const struct check *c, const struct inode *i)
{
	struct xattr_walk w = { .x = c->x, .i = i }, last = { 0 };
	int r;

	while ((r = xattr_next(&w)) > 0) {
		const char *prefix = xattr_prefix(w.prefix);

		if (!prefix || memchr(w.name, 0, w.name_len) ||
		    (prefix[strlen(prefix) - 1] == '.') != !!w.name_len)
			return index_bad(i->nid, "an xattr of an impossible name");
		if (last.name && xattr_cmp(last.prefix, last.name, last.name_len, w.prefix, w.name,
					   w.name_len) >= 0)
			return index_bad(i->nid, "xattrs in no order");
		if (c->x->no_acls && xattr_is_acl(w.prefix))
			return index_bad(i->nid, "an ACL, and the superblock says there is none");
		last = w;
	}
	return r;
}

static int check_content(const struct check *c, const struct inode *i)
{
	struct layer_content content;
	const char *target;
	size_t len;

	if (S_ISREG(i->e.mode))
		return inode_content(c->x, i, &content);
	if (!S_ISLNK(i->e.mode))
		return 0;
	if (inode_target(c->x, i, &target, &len) < 0)
		return -EBADMSG;
	return memchr(target, 0, len) ? index_bad(i->nid, "a target with NUL") : 0;
}

static int check_inode(struct check *c, const struct inode *i)
{
	int r = take_inode(c, i);

	if (i->e.reserved)
		return index_bad(i->nid, "reserved bits");
	if (r == 0)
		r = check_xattrs(c, i);
	if (r == 0)
		r = check_content(c, i);
	c->ninodes++;
	return r;
}

/* A directory while its entries are walked. */
struct check_dir {
	const struct inode *i;
	uint64_t parent;
	unsigned depth, dots;
	uint32_t nsubdirs;
	struct layer_dirent last;
};

static int walk_dir(struct check *c, const struct inode *i, uint64_t parent, unsigned depth);

/* "." and "..": 1 when it is one of them. */
static int check_dots(struct check_dir *d, const struct layer_dirent *e)
{
	if (e->namelen > 2 || memcmp(e->name, "..", e->namelen))
		return 0;
	if (e->nid != (e->namelen == 1 ? d->i->nid : d->parent))
		return index_bad(d->i->nid, "\".\" or \"..\" leads elsewhere");
	d->dots++;
	return 1;
}

static int check_name(struct check_dir *d, const struct layer_dirent *e)
{
	const struct layer_dirent *last = &d->last;
	int order = 1;

	if (memchr(e->name, '/', e->namelen) || memchr(e->name, 0, e->namelen))
		return index_bad(d->i->nid, "a name with '/' or NUL");
	if (last->name) {
		order = memcmp(e->name, last->name, MIN(e->namelen, last->namelen));
		order = order ? order : e->namelen - last->namelen;
	}
	d->last = *e;
	return order > 0 ? 0 : index_bad(d->i->nid, "names in no order");
}

static int check_entry(struct check *c, struct check_dir *d, const struct layer_dirent *e)
{
	uint64_t slot = e->nid;
	struct inode i;
	int r = check_name(d, e);

	if (r < 0 || (r = inode_get(c->x, e->nid, &i)) < 0)
		return r;
	if (e->type != erofs_type_to_dt(erofs_type_of_mode(i.e.mode)))
		return index_bad(d->i->nid, "an entry of another type than its node");
	r = check_dots(d, e);
	if (r)
		return r < 0 ? r : 0;
	if (c->links[slot]++ == 0 && (r = check_inode(c, &i)) < 0)
		return r;
	if (!S_ISDIR(i.e.mode))
		return 0;
	d->nsubdirs++;
	if (c->links[slot] > 1)
		return index_bad(e->nid, "a directory with two names");
	return walk_dir(c, &i, d->i->nid, d->depth + 1);
}

static int walk_dir(struct check *c, const struct inode *i, uint64_t parent, unsigned depth)
{
	struct check_dir d = { .i = i, .parent = parent, .depth = depth };
	uint64_t nblocks = erofs_blocks(i->e.size);
	struct dirblock block;
	struct layer_dirent e;
	int r = 0;

	if (depth > LAYER_DEPTH_MAX)
		return index_bad(i->nid, "too many directories above it");
	for (uint64_t b = 0; b < nblocks && r == 0; b++) {
		r = dirblock_get(c->x, i, b, &block);
		for (unsigned k = 0; r == 0 && k < block.count; k++) {
			r = dirblock_entry(i, &block, k, &e);
			if (r == 0)
				r = check_entry(c, &d, &e);
		}
	}
	if (r == 0 && d.dots != 2)
		return index_bad(i->nid, "a directory without \".\" or \"..\"");
	if (r == 0 && i->e.nlink != d.nsubdirs + 2)
		return index_bad(i->nid, "a wrong link count");
	return r;
}

/* The names of each file are known when all are met. */
static int check_links(const struct check *c)
{
	uint64_t slots = (c->x->size - c->x->meta) >> EROFS_SLOT_BITS;
	struct inode i;
	int r;

	for (uint64_t s = 1; s < slots; s++) {
		if (!c->links[s])
			continue;
		r = inode_get(c->x, s, &i);
		if (r < 0)
			return r;
		if (!S_ISDIR(i.e.mode) && i.e.nlink != c->links[s])
			return index_bad(s, "a wrong link count");
	}
	return 0;
}

static int check_all(struct check *c)
{
	struct inode root, head = { .nid = 0 };
	int r = inode_get(c->x, LAYER_ROOT_NID, &root);

	if (r == 0)
		r = take(c, &head, 0, c->x->meta + (1u << EROFS_SLOT_BITS));
	if (r == 0)
		r = check_inode(c, &root);
	c->links[LAYER_ROOT_NID] = 1;
	if (r == 0)
		r = walk_dir(c, &root, LAYER_ROOT_NID, 0);
	if (r == 0)
		r = check_links(c);
	if (r == 0 && c->ninodes != c->x->ninodes)
		return err(-EBADMSG, "index: %llu nodes, not %llu", (unsigned long long)c->ninodes,
			   (unsigned long long)c->x->ninodes);
	return r;
}

int layer_index_check(const struct layer_index *x)
{
	uint64_t slots = x->size >> EROFS_SLOT_BITS;
	_free_ uint64_t *used = mem_new(slots / 64 + 1, sizeof(*used));
	_free_ uint32_t *links = mem_new(slots + 1, sizeof(*links));
	struct check c = { .x = x, .used = used, .links = links };

	return used && links ? check_all(&c) : -ENOMEM;
}
