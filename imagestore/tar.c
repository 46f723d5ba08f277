/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader as a machine of states: what comes is cut into headers, contents and what stands
 * between.
 */
#include "imagestore/tar.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "imagestore/tar_header.h"

#define META_MAX  (1u << 20)  /* bytes of one pax header */
#define LONG_MAX_ (64u << 10) /* of a GNU long name: over TAR_PATH_MAX is refused with its name */

enum tar_state {
	TAR_HEADER,  /* a block is being gathered */
	TAR_META,    /* the content of an 'x', 'g', 'L' or 'K' */
	TAR_SPARSE,  /* a block of a sparse file's map */
	TAR_DATA,    /* the content of a file */
	TAR_PADDING, /* up to the next block */
	TAR_END,     /* behind the two zero blocks: zeros */
};

struct tar_reader {
	const struct tar_ops *ops;
	void *ctx;
	enum tar_state state;
	struct tar_header block;
	char map[TAR_BLOCK]; /* of a sparse file, while `block` waits */
	size_t have;	     /* of the block, or of the map */
	uint64_t left, size;
	char meta_type;
	struct buf meta;
	struct tar_pax pax;
	bool has_pax, zero_before;
	uint64_t offset; /* of the next byte, for errors */
	char names[2 * (TAR_PATH_MAX + 1)];
};

int tar_reader_new(const struct tar_ops *ops, void *ctx, struct tar_reader **ret)
{
	struct tar_reader *t = new0(struct tar_reader);

	if (!t)
		return -ENOMEM;
	t->ops = ops;
	t->ctx = ctx;
	*ret = t;
	return 0;
}

void tar_reader_free(struct tar_reader *t)
{
	if (!t)
		return;
	tar_pax_done(&t->pax);
	buf_done(&t->meta);
	free(t);
}

/* An error that is the archive's: where, and why. */
static int refuse(struct tar_reader *t, const char *path, int r)
{
	char why[ERR_TEXT_MAX], shown[256];

	if (r != -EBADMSG)
		return r;
	snprintf(why, sizeof(why), "%s", err_take(r));
	if (!path)
		return err(r, "tar, at byte %llu: %s", (unsigned long long)t->offset, why);
	str_printable(shown, sizeof(shown), path);
	return err(r, "tar entry \"%s\": %s", shown, why);
}

static void pad_after(struct tar_reader *t)
{
	t->left = ROUND_UP(t->size, TAR_BLOCK) - t->size;
	t->state = t->left ? TAR_PADDING : TAR_HEADER;
}

/* ---- headers in front of a header ---- */

static int set_long(struct tar_reader *t, char **at)
{
	size_t len = t->meta.len;

	/* A NUL ends it; GNU tar writes exactly one. */
	while (len && t->meta.data[len - 1] == '\0')
		len--;
	if (*at)
		return err(-EBADMSG, "two GNU long names for one file");
	if (len == 0 || memchr(t->meta.data, '\0', len))
		return err(-EBADMSG, "a GNU long name that is empty or has a NUL in it");
	*at = buf_take(&t->meta);
	return *at ? 0 : -ENOMEM;
}

static int set_pax(struct tar_reader *t, bool global)
{
	struct tar_pax comments = { 0 };
	size_t len = t->meta.len;
	char *records;
	int r;

	if (!global && t->has_pax)
		return err(-EBADMSG, "two pax headers for one file");
	records = buf_take(&t->meta);
	if (!records)
		return -ENOMEM;
	r = tar_pax_parse(global ? &comments : &t->pax, records, len, global);
	if (!global)
		t->has_pax = true;
	tar_pax_done(&comments);
	return r;
}

static int end_meta(struct tar_reader *t)
{
	int r;

	switch (t->meta_type) {
	case 'L':
		r = set_long(t, &t->pax.long_path);
		break;
	case 'K':
		r = set_long(t, &t->pax.long_link);
		break;
	default:
		r = set_pax(t, t->meta_type == 'g');
	}
	pad_after(t);
	return refuse(t, NULL, r);
}

static int begin_meta(struct tar_reader *t)
{
	char type = t->block.typeflag;
	int64_t size;

	if (tar_header_number(t->block.size, sizeof(t->block.size), &size) < 0 || size < 0 ||
	    size > (type == 'L' || type == 'K' ? LONG_MAX_ : META_MAX))
		return refuse(t, NULL, err(-EBADMSG, "a header of a size that cannot be"));
	buf_reset(&t->meta);
	t->meta_type = type;
	t->size = t->left = (uint64_t)size;
	t->state = TAR_META;
	return size ? 0 : end_meta(t);
}

static int take_meta(struct tar_reader *t, const void *data, size_t len)
{
	int r = t->ops->raw(t->ctx, data, len);

	if (r)
		return r;
	if (buf_add(&t->meta, data, len) < 0)
		return -ENOMEM;
	t->left -= len;
	return t->left ? 0 : end_meta(t);
}

/* ---- files ---- */

static int end_data(struct tar_reader *t)
{
	pad_after(t);
	return t->ops->entry_end(t->ctx);
}

static int begin_file(struct tar_reader *t)
{
	struct tar_entry e = { 0 };
	int r = tar_header_entry(&t->block, &t->pax, t->names, &e);

	if (r >= 0)
		r = t->ops->entry(t->ctx, &e);
	if (r < 0)
		return refuse(t, e.path, r);
	tar_pax_done(&t->pax);
	t->has_pax = false;
	if (r || e.type != '0')
		return r;
	t->size = t->left = e.stored;
	t->state = TAR_DATA;
	return t->left ? 0 : end_data(t);
}

static int take_data(struct tar_reader *t, const void *data, size_t len)
{
	int r = t->ops->data(t->ctx, data, len);

	if (r)
		return r;
	t->left -= len;
	return t->left ? 0 : end_data(t);
}

/* ---- sparse files: the map between the header and the data ---- */

/* @r as the functions of tar_sparse.h give it. */
static int after_map(struct tar_reader *t, int r)
{
	if (r < 0)
		return refuse(t, NULL, r);
	t->state = TAR_SPARSE;
	return r ? 0 : begin_file(t);
}

static int take_map(struct tar_reader *t, const void *data, size_t len)
{
	int r;

	memcpy(t->map + t->have, data, len);
	t->have += len;
	if (t->have < TAR_BLOCK)
		return 0;
	t->have = 0;
	r = t->ops->raw(t->ctx, t->map, TAR_BLOCK);
	if (r)
		return r;
	return after_map(t, t->pax.sparse.in_data ? tar_sparse_map(&t->pax.sparse, t->map) :
						    tar_sparse_block(&t->pax.sparse, t->map));
}

/* ---- blocks ---- */

/*
 * The end is two zero blocks; what comes behind a single one is data that half of the field does
 * not see.
 */
static int zero_block(struct tar_reader *t)
{
	if (t->has_pax || t->pax.long_path || t->pax.long_link)
		return refuse(t, NULL,
			      err(-EBADMSG, "the archive ends between a header and its file"));
	if (t->zero_before)
		t->state = TAR_END;
	t->zero_before = true;
	return 0;
}

/* What says something about the file whose header comes next. */
static bool is_meta(char type)
{
	return type == 'x' || type == 'g' || type == 'L' || type == 'K';
}

static int take_block(struct tar_reader *t)
{
	int r = t->ops->raw(t->ctx, &t->block, TAR_BLOCK);

	t->have = 0;
	if (r)
		return r;
	if (tar_header_is_zero(&t->block))
		return zero_block(t);
	if (t->zero_before)
		return refuse(t, NULL, err(-EBADMSG, "data behind the end of the archive"));
	if (tar_header_checksum(&t->block) < 0)
		return refuse(t, NULL, err(-EBADMSG, "not a tar header: its checksum is wrong"));
	if (is_meta(t->block.typeflag))
		return begin_meta(t);
	if (t->block.typeflag == 'S')
		return after_map(t, tar_sparse_header(&t->pax.sparse, &t->block));
	if (t->pax.sparse.in_data)
		return after_map(t, 1);
	return begin_file(t);
}

static int take_header(struct tar_reader *t, const void *data, size_t len)
{
	memcpy((char *)&t->block + t->have, data, len);
	t->have += len;
	return t->have == TAR_BLOCK ? take_block(t) : 0;
}

static int take_padding(struct tar_reader *t, const void *data, size_t len)
{
	t->left -= len;
	if (t->left == 0)
		t->state = TAR_HEADER;
	return t->ops->raw(t->ctx, data, len);
}

static int take_end(struct tar_reader *t, const void *data, size_t len)
{
	const uint8_t *b = data;

	if (b[0] != 0 || memcmp(b, b + 1, len - 1) != 0)
		return refuse(t, NULL, err(-EBADMSG, "data behind the end of the archive"));
	return t->ops->raw(t->ctx, data, len);
}

static int take(struct tar_reader *t, const void *data, size_t len)
{
	switch (t->state) {
	case TAR_HEADER:
		return take_header(t, data, len);
	case TAR_META:
		return take_meta(t, data, len);
	case TAR_SPARSE:
		return take_map(t, data, len);
	case TAR_DATA:
		return take_data(t, data, len);
	case TAR_PADDING:
		return take_padding(t, data, len);
	default:
		return take_end(t, data, len);
	}
}

/* How much of @len belongs to the present state. */
static size_t share(const struct tar_reader *t, size_t len)
{
	switch (t->state) {
	case TAR_HEADER:
	case TAR_SPARSE:
		return MIN(len, TAR_BLOCK - t->have);
	case TAR_END:
		return len;
	default:
		return (size_t)MIN((uint64_t)len, t->left);
	}
}

int tar_reader_feed(struct tar_reader *t, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		size_t n = share(t, len);
		int r = take(t, p, n);

		if (r)
			return r;
		p += n;
		len -= n;
		t->offset += n;
	}
	return 0;
}

/*
 * Without any zero block at a header's place it ends too: some writers leave them out, and umoci's
 * insert (0.4.7) also all that pads the last content. Some of the padding is an archive cut off.
 */
int tar_reader_finish(struct tar_reader *t)
{
	bool whole = t->state == TAR_END || (t->state == TAR_HEADER && t->have == 0) ||
		     (t->state == TAR_PADDING && t->left == ROUND_UP(t->size, TAR_BLOCK) - t->size);

	if (!whole || t->has_pax || t->pax.long_path || t->pax.long_link)
		return refuse(t, NULL, err(-EBADMSG, "the archive is cut off"));
	return 0;
}
