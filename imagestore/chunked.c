/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/chunked.h"

#include "base/clock.h"
#include "imagestore/tar.h"
#include <endian.h>
#include <openssl/evp.h>
#include <zstd.h>

#define LEVEL	  3
#define CHUNK	  (128u << 10) /* what a FUSE client reads at once */
#define SKIPPABLE 0x184D2A50u  /* RFC 8878, 3.1.2 */
#define FOOTER	  "GNUlInUx"   /* the last bytes of such a blob */
#define NOTE	  "io.github.containers.zstd-chunked."

struct chunked {
	struct out_file file;
	struct tar_reader *tar;
	ZSTD_CCtx *zstd;
	bool in_frame;	   /* of what is no content */
	json_t *entries;   /* NULL: there is no table */
	json_t *entry;	   /* of the content under way, borrowed */
	const char *name;  /* its, borrowed */
	uint64_t left, at; /* of its bytes: still to come, before the chunk under way */
	uint64_t size;
	struct sha256 hash; /* of all of it */
	size_t have;
	uint8_t chunk[CHUNK];
	uint8_t out[CHUNK + (16u << 10)]; /* ZSTD_compressBound() of a chunk is less */
};

/* ---- frames ---- */

static int squeeze(struct chunked *c, const void *data, size_t len, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { .src = data, .size = len };
	size_t left;

	do {
		ZSTD_outBuffer out = { .dst = c->out, .size = sizeof(c->out) };
		int r;

		left = ZSTD_compressStream2(c->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return err(-EIO, "zstd: %s", ZSTD_getErrorName(left));
		r = out_file_write(&c->file, c->out, out.pos);
		if (r < 0)
			return r;
	} while (how == ZSTD_e_end ? left != 0 : in.pos < in.size);
	return 0;
}

static int end_frame(struct chunked *c)
{
	int r = c->in_frame ? squeeze(c, "", 0, ZSTD_e_end) : 0;

	c->in_frame = false;
	return r;
}

static int on_raw(void *ctx, const void *data, size_t len)
{
	struct chunked *c = ctx;

	c->in_frame = true;
	return squeeze(c, data, len, ZSTD_e_continue);
}

/* ---- the table ---- */

static json_t *digest_text(const struct digest *d)
{
	return json_sprintf("sha256:%s", digest_hex(d).s);
}

static void no_table(struct chunked *c)
{
	json_decref(take_ptr(c->entries));
	c->entry = NULL;
}

static json_t *base64(const void *data, size_t len)
{
	_free_ char *text = malloc(len / 3 * 4 + 5);

	if (!text)
		return NULL;
	EVP_EncodeBlock((uint8_t *)text, data, (int)len);
	return json_string(text);
}

static int add_xattrs(json_t *entry, const struct tar_entry *e)
{
	_json_ json_t *list = json_object();

	for (size_t i = 0; i < e->nxattrs; i++) {
		if (json_object_set_new(list, e->xattrs[i].name,
					base64(e->xattrs[i].value, e->xattrs[i].len)) < 0)
			return -EINVAL;
	}
	return e->nxattrs ? json_object_set(entry, "xattrs", list) : 0;
}

/* NULL: it cannot be said in a table. */
static json_t *entry_json(const struct tar_entry *e)
{
	static const char *const words[] = { "reg",   "hardlink", "symlink", "char",
					     "block", "dir",	  "fifo" };
	_json_ json_t *j = json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:s}", "type",
				     words[e->type - '0'], "name", e->path, "mode", (int)e->mode,
				     "size", (json_int_t)e->size, "uid", (json_int_t)e->uid, "gid",
				     (json_int_t)e->gid, "modtime", clock_text(e->mtime).s);
	int r = j && !e->segments ? add_xattrs(j, e) : -EINVAL;

	if (r >= 0 && (e->type == '1' || e->type == '2'))
		r = json_object_set_new(j, "linkName", json_string(e->link));
	if (r >= 0 && (e->type == '3' || e->type == '4'))
		r = json_object_set_new(j, "devMajor", json_integer(e->major)) |
		    json_object_set_new(j, "devMinor", json_integer(e->minor));
	return r < 0 ? NULL : json_incref(j);
}

static int on_entry(void *ctx, const struct tar_entry *e)
{
	struct chunked *c = ctx;
	json_t *j = c->entries ? entry_json(e) : NULL;

	c->left = c->size = e->stored;
	c->at = 0;
	c->have = 0;
	sha256_init(&c->hash);
	if (!j || json_array_append_new(c->entries, j) < 0) {
		no_table(c);
		return 0;
	}
	c->entry = j;
	return 0;
}

/* ---- contents ---- */

static bool all_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* The first chunk stands in the file's own entry, each further one in one of its own. */
static int add_chunk(struct chunked *c, uint64_t offset)
{
	bool first = c->at == 0;
	json_t *j = first ? json_incref(c->entry) : json_object();
	int r = 0;

	if (!first)
		r |= json_object_set_new(j, "type", json_string("chunk")) |
		     json_object_set(j, "name", json_object_get(c->entry, "name")) |
		     json_object_set_new(j, "chunkOffset", json_integer((json_int_t)c->at));
	r |= json_object_set_new(j, "offset", json_integer((json_int_t)offset));
	if (c->have != c->size) {
		struct digest d = sha256_of(c->chunk, c->have);

		r |= json_object_set_new(j, "chunkSize", json_integer((json_int_t)c->have)) |
		     json_object_set_new(j, "chunkDigest", digest_text(&d));
	}
	if (all_zero(c->chunk, c->have))
		r |= json_object_set_new(j, "chunkType", json_string("zeros"));
	if (!first)
		r |= json_array_append(c->entries, j);
	json_decref(j);
	return r < 0 ? -ENOMEM : 0;
}

static int flush_chunk(struct chunked *c)
{
	uint64_t offset;
	int r = end_frame(c);

	offset = c->file.size;
	if (r >= 0)
		r = squeeze(c, c->chunk, c->have, ZSTD_e_end);
	if (r >= 0 && c->entry)
		r = add_chunk(c, offset);
	c->at += c->have;
	c->have = 0;
	return r;
}

static int on_data(void *ctx, const void *data, size_t len)
{
	struct chunked *c = ctx;

	sha256_update(&c->hash, data, len);
	for (const uint8_t *p = data; len;) {
		size_t n = MIN(len, CHUNK - c->have);
		int r = 0;

		memcpy(c->chunk + c->have, p, n);
		c->have += n;
		c->left -= n;
		p += n;
		len -= n;
		if (c->have == CHUNK || c->left == 0)
			r = flush_chunk(c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int on_entry_end(void *ctx)
{
	struct chunked *c = ctx;
	struct digest d = sha256_final(&c->hash);
	int r = 0;

	if (c->entry && c->size)
		r = json_object_set_new(c->entry, "digest", digest_text(&d)) |
		    json_object_set_new(c->entry, "endOffset",
					json_integer((json_int_t)c->file.size));
	c->entry = NULL;
	return r < 0 ? -ENOMEM : 0;
}

/* ---- life ---- */

int chunked_new(struct txn *t, struct chunked **ret)
{
	static const struct tar_ops ops = {
		.raw = on_raw,
		.entry = on_entry,
		.data = on_data,
		.entry_end = on_entry_end,
	};
	struct chunked *c = new0(struct chunked);
	int r;

	if (!c)
		return -ENOMEM;
	c->file = OUT_FILE_NONE;
	c->zstd = ZSTD_createCCtx();
	c->entries = json_array();
	r = c->zstd && c->entries ? tar_reader_new(&ops, c, &c->tar) : -ENOMEM;
	if (r >= 0)
		r = out_file_open(t, true, &c->file);
	if (r < 0) {
		chunked_free(c);
		return r;
	}
	ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, LEVEL);
	*ret = c;
	return 0;
}

void chunked_free(struct chunked *c)
{
	if (!c)
		return;
	out_file_drop(&c->file);
	tar_reader_free(c->tar);
	ZSTD_freeCCtx(c->zstd);
	json_decref(c->entries);
	free(c);
}

int chunked_write(void *chunked, const void *data, size_t len)
{
	struct chunked *c = chunked;

	return tar_reader_feed(c->tar, data, len);
}

/* ---- the end ---- */

static int skippable(struct chunked *c, const void *data, size_t len)
{
	const uint32_t head[2] = { htole32(SKIPPABLE), htole32((uint32_t)len) };
	int r = out_file_write(&c->file, head, sizeof(head));

	return r < 0 ? r : out_file_write(&c->file, data, len);
}

/* Offset, length, unpacked, version: the annotation has them too. */
static int write_footer(struct chunked *c, const uint64_t numbers[4])
{
	uint64_t footer[5];

	for (int i = 0; i < 4; i++)
		footer[i] = htole64(numbers[i]);
	memcpy(&footer[4], FOOTER, sizeof(footer[4]));
	return skippable(c, footer, sizeof(footer));
}

static int write_table(struct chunked *c, json_t **ret_notes)
{
	_json_ json_t *doc = json_pack("{s:i, s:O}", "version", 1, "entries", c->entries);
	_free_ char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0, n, bound = ZSTD_compressBound(len);
	_free_ uint8_t *packed = text && len <= UINT32_MAX / 2 ? malloc(bound) : NULL;
	uint64_t numbers[4] = { 0, 0, len, 1 };
	struct digest d;
	int r;

	if (!packed)
		return -ENOMEM;
	n = ZSTD_compress2(c->zstd, packed, bound, text, len);
	if (ZSTD_isError(n))
		return err(-EIO, "zstd: %s", ZSTD_getErrorName(n));
	numbers[0] = c->file.size + 8;
	numbers[1] = n;
	d = sha256_of(packed, n);
	r = skippable(c, packed, n);
	if (r >= 0)
		r = write_footer(c, numbers);
	if (r < 0)
		return r;
	*ret_notes =
		json_pack("{s:o, s:o}", NOTE "manifest-position",
			  json_sprintf("%llu:%zu:%zu:1", (unsigned long long)numbers[0], n, len),
			  NOTE "manifest-checksum", digest_text(&d));
	return *ret_notes ? 0 : -ENOMEM;
}

int chunked_finish(struct chunked *c, struct image_layer *ret, json_t **ret_notes)
{
	_json_ json_t *notes = NULL;
	int r = tar_reader_finish(c->tar);

	if (r >= 0)
		r = end_frame(c);
	if (r >= 0 && c->entries)
		r = write_table(c, &notes);
	if (r >= 0)
		r = out_file_close(&c->file, &ret->blob);
	if (r < 0)
		return r;
	ret->blob_size = c->file.size;
	r = txn_seal_blob(c->file.t, &c->file.name, &ret->blob);
	c->file.name.s[0] = '\0';
	if (r < 0)
		return r;
	*ret_notes = take_ptr(notes);
	return str_copy(ret->media_type, sizeof(ret->media_type), MEDIA_LAYER_ZSTD);
}
