/* SPDX-License-Identifier: Apache-2.0 */
/* Layers from streams: of bytes that come from a descriptor, or that the caller writes. */
#include "imagestore/import.h"

#include "imagestore/compress.h"
#include "imagestore/decompress.h"
#include "imagestore/unpack.h"

#define CHUNK (256u << 10)

enum import_keep {
	KEEP_AS_IT_CAME, /* it belongs to a manifest */
	KEEP_COMPRESSED, /* as it came, but a plain tar is gzipped */
	KEEP_NOTHING,	 /* it stands in the transaction already */
};

struct import {
	struct txn *t;
	enum import_keep keep;
	struct unpack *unpack;
	struct decompress *decompress;
	struct compress *compress; /* of a plain tar */
	struct out_file blob;
};

/* A descriptor as a source. */
struct fd_source {
	int fd;
	uint8_t chunk[CHUNK];
};

static void import_done(struct import *i)
{
	unpack_free(i->unpack);
	decompress_free(i->decompress);
	compress_free(i->compress);
	out_file_drop(&i->blob);
}

static int import_sink(void *import, const void *data, size_t len)
{
	struct import *i = import;
	int r = i->compress ? compress_write(i->compress, data, len) : 0;

	return r < 0 ? r : unpack_feed(i->unpack, data, len);
}

static void *import_room(void *import, size_t *ret_len)
{
	struct import *i = import;

	return unpack_room(i->unpack, ret_len);
}

/* After the first bytes: what is kept of it. */
static int decide(struct import *i, const uint8_t *head, size_t len)
{
	if (i->keep == KEEP_NOTHING)
		return 0;
	if (i->keep == KEEP_COMPRESSED && decompress_kind_of(head, len) == DECOMPRESS_PLAIN)
		return compress_new(i->t, &i->compress);
	return out_file_open(i->t, true, &i->blob);
}

static ssize_t read_fd(void *ctx, const void **ret)
{
	struct fd_source *s = ctx;
	ssize_t n = fd_read_full(s->fd, s->chunk, CHUNK);

	*ret = s->chunk;
	return n < 0 ? err(n, "reading the layer: %s", strerror((int)-n)) : n;
}

static struct fd_source *fd_source_new(int fd)
{
	struct fd_source *s = malloc(sizeof(*s));

	if (s)
		s->fd = fd;
	return s;
}

static int import_stream(struct import *i, const struct import_source *source)
{
	const void *data = "";
	bool first = true;
	ssize_t n;
	int r;

	do {
		n = source->next(source->ctx, &data);
		if (n < 0)
			return (int)n;
		r = first ? decide(i, data, (size_t)n) : 0;
		first = false;
		if (r >= 0 && i->blob.t)
			r = out_file_write(&i->blob, data, (size_t)n);
		if (r >= 0)
			r = decompress_feed(i->decompress, data, (size_t)n);
		if (r < 0)
			return r;
	} while (n > 0);
	return decompress_finish(i->decompress);
}

static const char *media_type(enum decompress_kind kind)
{
	switch (kind) {
	case DECOMPRESS_GZIP:
		return MEDIA_LAYER_GZIP;
	case DECOMPRESS_ZSTD:
		return MEDIA_LAYER_ZSTD;
	default:
		return MEDIA_LAYER;
	}
}

static int end_blob(struct import *i, const struct digest *expect, struct image_layer *layer)
{
	int r;

	if (i->compress)
		return compress_finish(i->compress, layer);
	str_copy(layer->media_type, sizeof(layer->media_type),
		 media_type(decompress_kind(i->decompress)));
	if (!i->blob.t)
		return 0;
	r = out_file_close(&i->blob, &layer->blob);
	if (r < 0)
		return r;
	layer->blob_size = i->blob.size;
	if (expect && !digest_eq(expect, &layer->blob))
		return err(-EBADMSG, "digest mismatch: the blob is sha256:%s, not sha256:%s",
			   digest_hex(&layer->blob).s, digest_hex(expect).s);
	r = txn_seal_blob(i->t, &i->blob.name, &layer->blob);
	i->blob.name.s[0] = '\0';
	return r;
}

static int run(struct import *i, const struct import_source *source, const struct store_bounds *b,
	       const struct digest *expect_blob, const struct digest *expect_diff_id,
	       struct image_layer *layer)
{
	struct store_bounds full = store_bounds_of(i->t->s, b);
	struct decompress_bounds bounds = { .max_bytes = full.max_layer_bytes,
					    .max_ratio = full.max_ratio };
	int r = unpack_new(i->t, &full, &i->unpack);

	if (r >= 0)
		r = decompress_new(&bounds, import_sink, i, &i->decompress);
	if (r >= 0)
		decompress_into(i->decompress, import_room);
	if (r >= 0 && expect_diff_id)
		decompress_unsummed(i->decompress);
	if (r >= 0)
		r = import_stream(i, source);
	if (r >= 0)
		r = end_blob(i, expect_blob, layer);
	return r < 0 ? r : unpack_finish(i->unpack, expect_diff_id, layer);
}

int layer_import(struct txn *t, int fd, const struct store_bounds *b,
		 const struct digest *expect_blob, const struct digest *expect_diff_id,
		 struct image_layer *ret)
{
	_cleanup_(import_done) struct import i = {
		.t = t,
		.keep = expect_blob ? KEEP_AS_IT_CAME : KEEP_COMPRESSED,
		.blob = OUT_FILE_NONE,
	};
	_free_ struct fd_source *in = fd_source_new(fd);
	struct import_source source = { .next = read_fd, .ctx = in };
	struct image_layer layer = { 0 };
	int r = in ? run(&i, &source, b, expect_blob, expect_diff_id, &layer) : -ENOMEM;

	if (r < 0)
		return r;
	*ret = layer;
	return 0;
}

int import_layer_of(struct txn *t, const struct import_source *source, const struct store_bounds *b,
		    const struct digest *expect_diff_id, struct image_layer *ret)
{
	_cleanup_(import_done) struct import i = { .t = t,
						   .keep = KEEP_NOTHING,
						   .blob = OUT_FILE_NONE };
	struct image_layer layer = { .blob = ret->blob, .blob_size = ret->blob_size };
	int r = run(&i, source, b, NULL, expect_diff_id, &layer);

	if (r < 0)
		return r;
	*ret = layer;
	return 0;
}

int import_blob_of_txn(struct txn *t, const struct store_bounds *b, const struct digest *blob,
		       const struct digest *expect_diff_id, struct image_layer *ret)
{
	_close_ int fd = openat(t->dirfd, txn_blob(blob).s, O_RDONLY | O_CLOEXEC);
	_free_ struct fd_source *in = fd_source_new(fd);
	struct import_source source = { .next = read_fd, .ctx = in };
	struct image_layer layer = { .blob = *blob, .blob_size = ret->blob_size };
	int r;

	if (fd < 0)
		return err_sys("blob sha256:%s", digest_hex(blob).s);
	r = in ? import_layer_of(t, &source, b, expect_diff_id, &layer) : -ENOMEM;
	if (r < 0)
		return r;
	*ret = layer;
	return 0;
}

int import_tar_of_txn(struct txn *t, const struct store_bounds *b, const struct digest *diff_id,
		      struct image_layer *ret)
{
	_close_ int fd = openat(t->dirfd, txn_blob(diff_id).s, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys("layer sha256:%s", digest_hex(diff_id).s);
	return layer_import(t, fd, b, NULL, diff_id, ret);
}

int import_rebuild_blob(struct txn *t, struct image_layer *layer)
{
	struct image_layer made = *layer;
	struct compress *c;
	int r = compress_new(t, &c);

	if (r < 0)
		return r;
	r = frame_play(t->s, &layer->diff_id, compress_write, c);
	if (r >= 0)
		r = compress_finish(c, &made);
	compress_free(c);
	if (r >= 0)
		*layer = made;
	return r;
}

/* ---- a sink ---- */

struct layer_sink {
	struct unpack *unpack;
	struct compress *compress;
	int failed; /* the first failure: what comes after it cannot make a layer */
};

static void sink_free(struct layer_sink *k)
{
	unpack_free(k->unpack);
	compress_free(k->compress);
	free(k);
}

int layer_sink_open(struct txn *t, const struct store_bounds *b, struct layer_sink **ret)
{
	struct layer_sink *k = new0(struct layer_sink);
	int r;

	if (!k)
		return -ENOMEM;
	r = unpack_new(t, b, &k->unpack);
	if (r >= 0)
		r = compress_new(t, &k->compress);
	if (r < 0) {
		sink_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int layer_sink_write(struct layer_sink *k, const void *data, size_t len)
{
	if (!k->failed)
		k->failed = compress_write(k->compress, data, len);
	if (!k->failed)
		k->failed = unpack_feed(k->unpack, data, len);
	return k->failed;
}

int layer_sink_close(struct layer_sink *k, struct image_layer *ret)
{
	struct image_layer layer = { 0 };
	int r = k->failed;

	if (ret && r == 0)
		r = compress_finish(k->compress, &layer);
	if (ret && r == 0)
		r = unpack_finish(k->unpack, NULL, &layer);
	sink_free(k);
	if (ret && r == 0)
		*ret = layer;
	return ret ? r : 0;
}
