/* SPDX-License-Identifier: Apache-2.0 */
/* Streams unpacked: cut anywhere, into our own memory, with and without their formats' sums. */
#include "imagestore/decompress.h"

#include "tests/imagestore/kit.h"

#define SIZE (700u << 10)
#define ROOM (64u << 10)

struct out {
	struct buf got;
	uint8_t window[ROOM];
	bool own; /* pieces must stand in the window */
};

static int take(void *ctx, const void *data, size_t len)
{
	struct out *o = ctx;

	if (o->own)
		assert_ptr_equal(data, o->window);
	return buf_add(&o->got, data, len);
}

static void *room(void *ctx, size_t *ret_len)
{
	struct out *o = ctx;

	*ret_len = ROOM;
	return o->window;
}

/* Fed in pieces of @step bytes; what comes out is @o's. */
static int unpack(const struct buf *in, size_t step, bool unsummed, struct out *o)
{
	const struct decompress_bounds bounds = { .max_bytes = 1u << 30, .max_ratio = 10000 };
	struct decompress *d;
	int r = 0;

	assert_ok(decompress_new(&bounds, take, o, &d));
	if (o->own)
		decompress_into(d, room);
	if (unsummed)
		decompress_unsummed(d);
	for (size_t at = 0; r == 0 && at < in->len; at += step)
		r = decompress_feed(d, in->data + at, MIN(step, in->len - at));
	if (r == 0)
		r = decompress_finish(d);
	decompress_free(d);
	return r;
}

/* Half of it is text, so that there are blocks of all kinds. */
static void fill(struct buf *b)
{
	uint32_t seed = 7;

	for (size_t i = 0; b->len < SIZE; i++) {
		seed = seed * 1664525 + 1013904223;
		if (i % 40000 < 20000)
			assert_ok(buf_addf(b, "line %zu of %u\n", i, seed >> 28));
		else
			assert_ok(buf_add(b, (char[]){ (char)(seed >> 24) }, 1));
	}
}

static void expect_all(const struct buf *in, const struct buf *want)
{
	const size_t steps[] = { 1, 3, 1000, 65536, 1u << 20 };

	for (size_t i = 0; i < 4 * ARRAY_SIZE(steps); i++) {
		struct out *o = new0(struct out);

		assert_non_null(o);
		o->own = i & 2;
		assert_done(unpack(in, steps[i / 4], i & 1, o));
		assert_int_equal(o->got.len, want->len);
		assert_memory_equal(o->got.data, want->data, want->len);
		buf_done(&o->got);
		free(o);
	}
}

/* Without its last @cut bytes, which are nothing but a trailer. */
static void refuse_cut(const struct buf *in, size_t cut, size_t step)
{
	struct buf shorter = { .data = in->data, .len = in->len - cut };

	for (int unsummed = 0; unsummed < 2; unsummed++) {
		struct out *o = new0(struct out);

		assert_non_null(o);
		assert_err(unpack(&shorter, step, unsummed, o), -EBADMSG, "cut off");
		buf_done(&o->got);
		free(o);
	}
}

static void gzip(_unused_ void **state)
{
	_buf_done_ struct buf raw = { 0 }, one = { 0 }, many = { 0 };

	fill(&raw);
	pack_gzip(&one, raw.data, raw.len);
	expect_all(&one, &raw);
	for (size_t at = 0; at < raw.len; at += 30011)
		pack_gzip(&many, raw.data + at, MIN(raw.len - at, (size_t)30011));
	pack_gzip(&many, "", 0);
	assert_ok(buf_zero(&many, 1000));
	expect_all(&many, &raw);
	for (size_t cut = 1; cut <= 8; cut++) {
		refuse_cut(&one, cut, 1u << 20);
		refuse_cut(&one, cut, 1);
	}
}

static void zstd(_unused_ void **state)
{
	_buf_done_ struct buf raw = { 0 }, packed = { 0 };

	fill(&raw);
	pack_zstd(&packed, raw.data, raw.len / 2);
	pack_zstd(&packed, raw.data + raw.len / 2, raw.len - raw.len / 2);
	expect_all(&packed, &raw);
}

/* A sum that is wrong matters only to who has no digest. */
static void sums(_unused_ void **state)
{
	_buf_done_ struct buf raw = { 0 }, packed = { 0 };
	struct out *o = new0(struct out);

	assert_non_null(o);
	fill(&raw);
	pack_gzip(&packed, raw.data, raw.len);
	packed.data[packed.len - 8] ^= 1;
	assert_err(unpack(&packed, 1000, false, o), -EBADMSG, "gzip: damaged");
	buf_reset(&o->got);
	assert_done(unpack(&packed, 1000, true, o));
	assert_memory_equal(o->got.data, raw.data, raw.len);
	buf_done(&o->got);
	free(o);
}

/* Behind a member whose trailer was passed over unread, too. */
static void rubbish(_unused_ void **state)
{
	_buf_done_ struct buf packed = { 0 };

	pack_gzip(&packed, "abc", 3);
	assert_ok(buf_add(&packed, "rubbish", 7));
	for (int unsummed = 0; unsummed < 2; unsummed++) {
		struct out *o = new0(struct out);

		assert_non_null(o);
		assert_err(unpack(&packed, 2, unsummed, o), -EBADMSG, "data behind its end");
		buf_done(&o->got);
		free(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip),
		cmocka_unit_test(zstd),
		cmocka_unit_test(sums),
		cmocka_unit_test(rubbish),
	};

	return run_units(tests);
}
