/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/base/unit.h"

#include "base/mem.h"
#include "virtio/iov.h"

#define N 4

static char text[] = "abcdefghij";
static const struct iovec all[N] = {
	{ text, 3 }, { text + 3, 0 }, { text + 3, 1 }, { text + 4, 6 }
};

/* Of any slice the pieces are whole, in order and not empty, in another array and in the same. */
static void slices(_unused_ void **state)
{
	for (unsigned skip = 0; skip <= 12; skip++)
		for (unsigned len = 0; len <= 12; len++) {
			const size_t want = skip < 10 ? MIN(len, 10 - skip) : 0;
			struct iovec same[N], other[N];
			char got[16] = "";
			unsigned n;

			memcpy(same, all, sizeof(all));
			n = iov_slice(all, N, skip, len, other, N);
			assert_int_equal(iov_slice(same, N, skip, len, same, N), n);
			assert_memory_equal(same, other, n * sizeof(*same));
			for (unsigned i = 0; i < n; i++)
				assert_true(other[i].iov_len > 0);
			assert_int_equal(iov_read(other, n, got, sizeof(got)), want);
			assert_memory_equal(got, text + MIN(skip, 10u), want);
			assert_int_equal(got[want], 0);
		}
	assert_int_equal(iov_slice(all, N, 0, UINT64_MAX, (struct iovec[2]){ 0 }, 2), 2);
	assert_int_equal(iov_slice(all, N, UINT64_MAX, UINT64_MAX, (struct iovec[N]){ 0 }, N), 0);
}

static void copies(_unused_ void **state)
{
	char to[8] = "-------", got[8] = "-------";
	const struct iovec iov[] = { { to, 2 }, { to + 2, 0 }, { to + 3, 3 } };

	assert_int_equal(iov_write(iov, ARRAY_SIZE(iov), "1234", 4), 4);
	assert_string_equal(to, "12-34--");
	assert_int_equal(iov_read(iov, ARRAY_SIZE(iov), got, 3), 3);
	assert_string_equal(got, "123----");
	assert_int_equal(iov_write(iov, ARRAY_SIZE(iov), "abcdefg", 7), 5);
	assert_string_equal(to, "ab-cde-");
	assert_int_equal(iov_read(iov, ARRAY_SIZE(iov), got, 7), 5);
	assert_string_equal(got, "abcde--");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(slices), cmocka_unit_test(copies) };

	return run_units(tests);
}
