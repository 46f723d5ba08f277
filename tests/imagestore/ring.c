/* SPDX-License-Identifier: Apache-2.0 */
/* The newest bytes of a download: what a reader finds in memory is what was put in, or nothing. */
#include "imagestore/registry/ring.h"

#include "tests/base/unit.h"

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 31 + (at >> 8));
}

/* As a download does: up to the end of the piece. */
static uint64_t put(struct ring *r, uint64_t at, uint64_t total)
{
	uint64_t end = (at / RING_PIECE + 1) * RING_PIECE;
	uint8_t *to = ring_claim(r, at);

	for (end = end < total ? end : total; at < end; at++)
		*to++ = byte_at(at);
	return end;
}

static void check(const void *data, uint64_t at, size_t n)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(b[i], byte_at(at + i));
}

/* Begun at any place, read behind by less than the ring holds. */
static void in_step(_unused_ void **state)
{
	const uint64_t total = 5 * RING_SIZE + 777;

	for (uint64_t begin = 0; begin < 3 * RING_PIECE; begin += 50021) {
		struct ring *r = ring_new(begin, total);
		uint64_t have = begin, at = begin;
		const void *data;

		assert_non_null(r);
		while (at < total) {
			size_t n;

			while (have < total && !ring_is_full(r, have, at))
				have = put(r, have, total);
			n = ring_look(r, at, have, &data);
			assert_true(n > 0);
			check(data, at, n);
			at += n > 70000 ? 70000 : n;
		}
		assert_int_equal(ring_look(r, at, have, &data), 0);
		free(r);
	}
}

/* It is full when a byte would go that the reader has not passed; then nothing is lost. */
static void full(_unused_ void **state)
{
	const uint64_t total = 4 * RING_SIZE;
	struct ring *r = ring_new(0, total);
	const void *data;
	uint64_t have = 0;
	size_t n;

	assert_non_null(r);
	while (!ring_is_full(r, have, 0))
		have = put(r, have, total);
	assert_int_equal(have, RING_SIZE);
	assert_true(ring_is_full(r, have, RING_PIECE - 1));
	assert_false(ring_is_full(r, have, RING_PIECE));
	assert_int_equal(ring_look(r, 0, have, &data), RING_SIZE);
	/* Who goes on all the same loses the oldest piece, and the reader sees that. */
	have = put(r, have, total);
	assert_int_equal(ring_look(r, 0, have, &data), 0);
	assert_int_equal(ring_look(r, RING_PIECE - 1, have, &data), 0);
	n = ring_look(r, RING_PIECE, have, &data);
	assert_int_equal(n, RING_SIZE - RING_PIECE);
	check(data, RING_PIECE, n);
	free(r);
}

static void closed(_unused_ void **state)
{
	struct ring *r = ring_new(0, RING_SIZE);
	const void *data;
	uint64_t have;

	assert_non_null(r);
	have = put(r, 0, RING_SIZE);
	ring_close(r, have);
	ring_close(r, 2 * have); /* there is no more of it */
	assert_int_equal(ring_look(r, 5, 3 * have, &data), have - 5);
	assert_int_equal(ring_look(r, have, 3 * have, &data), 0);
	ring_close(r, 0); /* other bytes come */
	assert_int_equal(ring_look(r, 0, 3 * have, &data), 0);
	free(r);
	r = ring_new(0, RING_SIZE);
	assert_non_null(r);
	have = put(r, 0, RING_SIZE);
	ring_close(r, 0); /* other bytes come */
	assert_int_equal(ring_look(r, 0, have, &data), 0);
	free(r);
}

/* It takes no more memory than the blob has bytes. */
static void small(_unused_ void **state)
{
	struct ring *r = ring_new(0, 1000);
	const void *data;

	assert_non_null(r);
	assert_true(r->size <= 2 * RING_PIECE);
	assert_int_equal(put(r, 0, 1000), 1000);
	assert_int_equal(ring_look(r, 0, 1000, &data), 1000);
	check(data, 0, 1000);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_step),
		cmocka_unit_test(full),
		cmocka_unit_test(closed),
		cmocka_unit_test(small),
	};

	return run_units(tests);
}
