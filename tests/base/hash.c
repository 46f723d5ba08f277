/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "tests/base/unit.h"

#define N 5000

struct item {
	struct hash_entry entry;
	unsigned int key;
	bool seen;
};

/*
 * The paper's appendix A and the vectors of the reference implementation: key 00..0f, data 00, 01,
 * ...
 */
static void sip_vectors(_unused_ void **state)
{
	uint8_t key[16], data[64];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	memcpy(key, data, sizeof(key));
	assert_true(hash_sip(key, data, 15) == 0xa129ca6149be45e5u);
	assert_true(hash_sip(key, data, 0) == 0x726fdb47dd0e0e31u);
	assert_true(hash_sip(key, data, 1) == 0x74f839c593dc67fdu);
	assert_true(hash_sip(key, data, 8) == 0x93f5f5799a932462u);
	assert_true(hash_sip(key, data, 63) == 0x958a324ceb064572u);
}

static void process_key_is_stable(_unused_ void **state)
{
	assert_true(hash_bytes("abc", 3) == hash_bytes("abc", 3));
	assert_true(hash_bytes("abc", 3) != hash_bytes("abd", 3));
	assert_true(hash_u64(1) == hash_u64(1));
	assert_true(hash_u64(1) != hash_u64(2));
}

static struct item *find(const struct hash_table *t, unsigned int key)
{
	for (struct hash_entry *e = hash_table_first(t, hash_u64(key)); e; e = hash_table_next(e)) {
		struct item *item = container_of(e, struct item, entry);

		if (item->key == key)
			return item;
	}
	return NULL;
}

static void grows_and_shrinks(_unused_ void **state)
{
	_free_ struct item *items = mem_new(N, sizeof(*items));
	struct hash_table t = { 0 };

	assert_null(hash_table_first(&t, 1));
	assert_null(hash_table_walk(&t, NULL));
	for (unsigned int i = 0; i < N; i++) {
		items[i].key = i;
		assert_ok(hash_table_add(&t, &items[i].entry, hash_u64(i)));
	}
	assert_int_equal(t.count, N);
	assert_true(t.nslots >= N);
	assert_int_equal(t.nslots & (t.nslots - 1), 0);
	for (unsigned int i = 0; i < N; i++)
		assert_ptr_equal(find(&t, i), &items[i]);
	assert_null(find(&t, N));
	for (unsigned int i = 0; i < N; i += 2)
		hash_table_remove(&t, &items[i].entry);
	assert_int_equal(t.count, N / 2);
	for (unsigned int i = 0; i < N; i++)
		assert_ptr_equal(find(&t, i), i % 2 ? &items[i] : NULL);
	hash_table_done(&t);
	assert_int_equal(t.count + t.nslots, 0);
	hash_table_done(NULL);
}

static void walks_each_once(_unused_ void **state)
{
	_free_ struct item *items = mem_new(N, sizeof(*items));
	struct hash_table t = { 0 };
	size_t n = 0;

	for (unsigned int i = 0; i < N; i++)
		assert_ok(hash_table_add(&t, &items[i].entry, hash_u64(i % 1000)));
	for (struct hash_entry *e = hash_table_walk(&t, NULL); e; e = hash_table_walk(&t, e)) {
		struct item *item = container_of(e, struct item, entry);

		assert_false(item->seen);
		item->seen = true;
		n++;
	}
	assert_int_equal(n, N);
	hash_table_done(&t);
}

static void same_hash_is_a_chain(_unused_ void **state)
{
	struct item items[3] = { 0 };
	struct hash_table t = { 0 };
	struct hash_entry *e;

	/* Two share a hash, the third only its slot. */
	assert_ok(hash_table_add(&t, &items[0].entry, 1));
	assert_ok(hash_table_add(&t, &items[1].entry, 1 + (1u << 20)));
	assert_ok(hash_table_add(&t, &items[2].entry, 1));
	e = hash_table_first(&t, 1);
	assert_non_null(e);
	e = hash_table_next(e);
	assert_non_null(e);
	assert_null(hash_table_next(e));
	hash_table_remove(&t, &items[1].entry);
	assert_null(hash_table_first(&t, 1 + (1u << 20)));
	hash_table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sip_vectors),		cmocka_unit_test(process_key_is_stable),
		cmocka_unit_test(grows_and_shrinks),	cmocka_unit_test(walks_each_once),
		cmocka_unit_test(same_hash_is_a_chain),
	};

	return run_units(tests);
}
