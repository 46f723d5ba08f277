/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar reader, and the tree that is made of a tar. What is read is checked against what went in:
 * every byte comes out once, as raw or as data, and no file has more bytes than it announced.
 */
#include "base/err.h"
#include "base/fd.h"
#include "imagestore/tar.h"
#include "imagestore/unpack.h"

#define ROUNDS 256 /* layers in one transaction */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the reader ---- */

struct count {
	uint64_t raw, data, announced;
};

static int count_raw(void *ctx, _unused_ const void *data, size_t len)
{
	((struct count *)ctx)->raw += len;
	return 0;
}

static int count_entry(void *ctx, const struct tar_entry *e)
{
	struct count *c = ctx;
	uint64_t end = 0, sum = 0;

	if (!e->path[0] || strlen(e->path) > TAR_PATH_MAX || (e->mode & ~07777u) ||
	    (e->type != '0' && e->size))
		abort();
	for (size_t i = 0; i < e->nsegments; i++) {
		const struct tar_segment *g = &e->segments[i];

		if (g->off < end || !g->len || g->off > e->size || g->len > e->size - g->off)
			abort();
		end = g->off + g->len;
		sum += g->len;
	}
	if (e->segments ? sum != e->stored : e->size != e->stored)
		abort();
	c->announced = e->stored;
	return 0;
}

static int count_data(void *ctx, _unused_ const void *data, size_t len)
{
	struct count *c = ctx;

	if (len > c->announced)
		abort();
	c->announced -= len;
	c->data += len;
	return 0;
}

static int count_end(void *ctx)
{
	if (((struct count *)ctx)->announced)
		abort();
	return 0;
}

/* @step bytes at a time; gives whether all was taken. */
static bool read_all(const uint8_t *data, size_t size, size_t step)
{
	static const struct tar_ops ops = {
		.raw = count_raw,
		.entry = count_entry,
		.data = count_data,
		.entry_end = count_end,
	};
	struct count c = { 0 };
	struct tar_reader *t;
	int r = 0;

	if (tar_reader_new(&ops, &c, &t) < 0)
		return false;
	for (size_t at = 0; at < size && r == 0; at += step)
		r = tar_reader_feed(t, data + at, MIN(step, size - at));
	if (r == 0)
		r = tar_reader_finish(t);
	if (r == 0 && c.raw + c.data != size)
		abort();
	tar_reader_free(t);
	err_clear();
	return r == 0;
}

/* ---- the tree ---- */

static char root[] = "/tmp/strata-fuzz-XXXXXX";
static struct store *store;
static struct txn *txn;

static void clean(void)
{
	txn_abort(txn);
	store_close(store);
	fd_remove_tree(AT_FDCWD, root);
}

static void renew(void)
{
	if (!store) {
		if (!mkdtemp(root) || store_open(root, STORE_CREATE, &store) < 0)
			exit(1);
		atexit(clean);
	}
	txn_abort(take_ptr(txn));
	if (txn_begin(store, &txn) < 0)
		exit(1);
}

static void unpack(const uint8_t *data, size_t size)
{
	struct image_layer layer = { .media_type = "x" };
	struct layer_index *x;
	struct unpack *u;
	int r;

	if (unpack_new(txn, NULL, &u) < 0)
		return;
	r = unpack_feed(u, data, size);
	if (r == 0)
		r = unpack_finish(u, NULL, &layer);
	unpack_free(u);
	/* What was made of it is sound. */
	if (r == 0 &&
	    (layer_index_at(txn->dirfd, &layer.diff_id, &x) < 0 || layer_index_check(x) < 0)) {
		fprintf(stderr, "%s\n", err_take(-EBADMSG));
		abort();
	}
	if (r == 0)
		layer_index_close(x);
	err_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned rounds;

	if (rounds++ % ROUNDS == 0)
		renew();
	if (read_all(data, size, size ? size : 1) != read_all(data, size, 1 + size % 700))
		abort();
	unpack(data, size);
	return 0;
}
