/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/index.h"

#include "layer/xattr.h"

static int check_format(const struct layer_index *x, struct inode *i)
{
	const struct erofs_inode *e = &i->e;

	i->layout = (enum erofs_layout)(e->format >> 1);
	i->core = sizeof(*e) + erofs_xattr_size(e->xattr_icount);
	if (!(e->format & 1) || (i->layout != EROFS_FLAT_PLAIN && i->layout != EROFS_FLAT_INLINE &&
				 i->layout != EROFS_CHUNK_BASED))
		return index_bad(i->nid, "no inode, or of another kind than strata writes");
	if (i->core > sizeof(*e) + LAYER_XATTRS_MAX)
		return index_bad(i->nid, "too many xattrs");
	if (i->core > x->size - i->off)
		return index_bad(i->nid, "its xattrs go past the end");
	return 0;
}

static int check_type(const struct inode *i)
{
	const struct erofs_inode *e = &i->e;
	bool reg = S_ISREG(e->mode), dir = S_ISDIR(e->mode), lnk = S_ISLNK(e->mode);

	if (!erofs_type_of_mode(e->mode))
		return index_bad(i->nid, "a mode of no type");
	if (e->mtime_nsec >= 1000000000)
		return index_bad(i->nid, "a time of more than a second of nanoseconds");
	if (i->layout == EROFS_CHUNK_BASED && !reg)
		return index_bad(i->nid, "chunks of what is no file");
	if ((reg && e->size > LAYER_SIZE_MAX) ||
	    (lnk && (!e->size || e->size > LAYER_TARGET_MAX)) || (dir && !e->size) ||
	    (!reg && !lnk && !dir && e->size))
		return index_bad(i->nid, "an impossible size");
	return 0;
}

int inode_get(const struct layer_index *x, uint64_t nid, struct inode *ret)
{
	struct inode i = { .nid = nid };
	const uint8_t *at;
	int r;

	if (nid == 0 || nid > (x->size - x->meta) >> EROFS_SLOT_BITS)
		return index_bad(nid, "outside of the metadata");
	i.off = x->meta + (nid << EROFS_SLOT_BITS);
	if (x->size - i.off < sizeof(i.e))
		return index_bad(nid, "cut by the end");
	at = index_read(x, i.off, sizeof(i.e));
	if (!at)
		return -EIO; /* it is there, and cannot be told */
	memcpy(&i.e, at, sizeof(i.e));
	r = check_format(x, &i);
	if (r < 0 || (r = check_type(&i)) < 0)
		return r;
	*ret = i;
	return 0;
}

const uint8_t *inode_block(const struct layer_index *x, const struct inode *i, uint64_t b,
			   size_t *ret_len)
{
	uint64_t nblocks = erofs_blocks(i->e.size), off;
	size_t len = LAYER_BLOCK;

	if (b >= nblocks || i->layout == EROFS_CHUNK_BASED) {
		index_bad(i->nid, "no such block");
		return NULL;
	}
	if (b == nblocks - 1)
		len = (size_t)(i->e.size - b * LAYER_BLOCK);
	off = ((uint64_t)i->e.u + b) * LAYER_BLOCK;
	if (i->layout == EROFS_FLAT_INLINE && b == nblocks - 1) {
		off = i->off + i->core;
		if (off % LAYER_BLOCK + len > LAYER_BLOCK) {
			index_bad(i->nid, "its tail crosses a block");
			return NULL;
		}
	}
	if (b > x->size / LAYER_BLOCK || off > x->size || len > x->size - off) {
		index_bad(i->nid, "its content goes past the end");
		return NULL;
	}
	*ret_len = len;
	return index_read(x, off, len);
}

void inode_attr(const struct inode *i, struct layer_attr *ret)
{
	const struct erofs_inode *e = &i->e;
	bool dev = S_ISCHR(e->mode) || S_ISBLK(e->mode);

	*ret = (struct layer_attr){
		.mode = e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.nlink = e->nlink,
		.rdev = dev ? erofs_decode_dev(e->u) : 0,
		.size = e->size,
		.mtime = { .tv_sec = e->mtime, .tv_nsec = e->mtime_nsec },
	};
}

int layer_stat(const struct layer_index *x, uint64_t nid, struct layer_attr *ret)
{
	struct inode i;
	int r = inode_get(x, nid, &i);

	if (r == 0)
		inode_attr(&i, ret);
	return r;
}

/* A chunk-based file without a pack: an object when its xattrs name one, else all hole. */
static int null_chunk(const struct layer_index *x, const struct inode *i, struct layer_content *ret)
{
	struct layer_content c = { .kind = LAYER_OBJECT };
	const void *value;
	size_t len;
	int r = xattr_find(x, i, XATTR_METACOPY, &value, &len);

	if (r == -ENODATA) {
		*ret = (struct layer_content){ .kind = LAYER_EMPTY };
		return 0;
	}
	if (r == 0)
		r = xattr_find(x, i, XATTR_REDIRECT, &value, &len);
	if (r == -ENODATA || (r == 0 && xattr_redirect_parse(value, len, &c.digest) < 0))
		return index_bad(i->nid, "an object without digest");
	if (r == 0)
		*ret = c;
	return r;
}

static int chunk_content(const struct layer_index *x, const struct inode *i,
			 struct layer_content *ret)
{
	uint64_t off = ROUND_UP(i->off + i->core, sizeof(struct erofs_chunk));
	const uint8_t *at;
	struct erofs_chunk c;
	uint32_t blocks;

	if (i->e.size == 0 || i->e.u != erofs_chunk_format(i->e.size))
		return index_bad(i->nid, "more or less than one chunk");
	if (off > x->size || x->size - off < sizeof(c))
		return index_bad(i->nid, "its chunk goes past the end");
	at = index_read(x, off, sizeof(c));
	if (!at)
		return -EBADMSG;
	memcpy(&c, at, sizeof(c));
	if (c.block == EROFS_NULL_ADDR)
		return null_chunk(x, i, ret);
	if (c.device == 0 || c.device > x->ndevices)
		return index_bad(i->nid, "content in a pack that there is not");
	blocks = x->devices[c.device - 1].blocks;
	if (c.block > blocks || erofs_blocks(i->e.size) > blocks - c.block)
		return index_bad(i->nid, "content past the end of its pack");
	*ret = (struct layer_content){ .kind = LAYER_PACK, .device = c.device, .block = c.block };
	return 0;
}

int inode_content(const struct layer_index *x, const struct inode *i, struct layer_content *ret)
{
	struct layer_content c = { .kind = LAYER_INLINE };
	size_t len;

	if (i->layout == EROFS_CHUNK_BASED)
		return chunk_content(x, i, ret);
	if (i->e.size > LAYER_BLOCK)
		return index_bad(i->nid, "inline content of more than a block");
	if (i->e.size == 0)
		c.kind = LAYER_EMPTY;
	else if (!(c.data = inode_block(x, i, 0, &len)))
		return -EBADMSG;
	*ret = c;
	return 0;
}

int layer_content(const struct layer_index *x, uint64_t nid, struct layer_content *ret)
{
	struct inode i;
	int r = inode_get(x, nid, &i);

	if (r < 0)
		return r;
	return S_ISREG(i.e.mode) ? inode_content(x, &i, ret) : -EINVAL;
}

int inode_target(const struct layer_index *x, const struct inode *i, const char **ret,
		 size_t *ret_len)
{
	size_t len;
	const uint8_t *data = inode_block(x, i, 0, &len);

	if (!data)
		return -EBADMSG;
	*ret = (const char *)data;
	*ret_len = len;
	return 0;
}

int layer_readlink(const struct layer_index *x, uint64_t nid, const char **ret, size_t *ret_len)
{
	struct inode i;
	int r = inode_get(x, nid, &i);

	if (r < 0)
		return r;
	return S_ISLNK(i.e.mode) ? inode_target(x, &i, ret, ret_len) : -EINVAL;
}

bool layer_is_whiteout(const struct layer_attr *a)
{
	return S_ISCHR(a->mode) && a->rdev == 0;
}
