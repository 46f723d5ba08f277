/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include "tests/base/unit.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* NIST's examples for FIPS 180-4. */
static void vectors(_unused_ void **state)
{
	struct digest d = sha256_of("abc", 3);
	struct sha256 h;
	char a[1000];

	assert_string_equal(digest_hex(&d).s, ABC);
	d = sha256_of(NULL, 0);
	assert_string_equal(digest_hex(&d).s, EMPTY);
	d = sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
	assert_string_equal(digest_hex(&d).s,
			    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");

	memset(a, 'a', sizeof(a));
	sha256_init(&h);
	for (int i = 0; i < 1000; i++)
		sha256_update(&h, a, sizeof(a));
	d = sha256_final(&h);
	assert_string_equal(digest_hex(&d).s,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void pieces_are_the_whole(_unused_ void **state)
{
	char data[300];
	struct digest whole;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)i;
	whole = sha256_of(data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut++) {
		struct digest d;
		struct sha256 h;

		sha256_init(&h);
		sha256_update(&h, data, cut);
		sha256_update(&h, data + cut, sizeof(data) - cut);
		d = sha256_final(&h);
		assert_true(digest_eq(&d, &whole));
	}
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

/* Pieces of all sizes, from hashes that are at the same place of a block and that are not. */
static void two_at_once(_unused_ void **state)
{
	static uint8_t data[70000];
	uint64_t seed = 1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)next_random(&seed);
	for (int i = 0; i < 2000; i++) {
		size_t lead = next_random(&seed) % 200, other = i % 3 ? lead % 64 : 7, n;
		struct sha256 a, b, a_want, b_want;
		struct digest d, want;

		sha256_init(&a);
		sha256_init(&b);
		sha256_update(&a, data, lead);
		sha256_update(&b, data, other);
		a_want = a;
		b_want = b;
		for (size_t at = 0; at < sizeof(data) && next_random(&seed) % 9; at += n) {
			n = next_random(&seed) % (i % 2 ? 300 : 20000);
			n = MIN(n, sizeof(data) - at);
			sha256_update_both(&a, &b, data + at, n);
			sha256_update(&a_want, data + at, n);
			sha256_update(&b_want, data + at, n);
		}
		d = sha256_final(&a);
		want = sha256_final(&a_want);
		assert_true(digest_eq(&d, &want));
		d = sha256_final(&b);
		want = sha256_final(&b_want);
		assert_true(digest_eq(&d, &want));
	}
}

/* Where the count of bits goes past 32. */
static void two_of_a_gigabyte(_unused_ void **state)
{
	static uint8_t data[1 << 20];
	struct sha256 a, b, want;
	struct digest d, e;

	sha256_init(&a);
	b = want = a;
	for (int i = 0; i < 600; i++) {
		sha256_update_both(&a, &b, data, sizeof(data));
		sha256_update(&want, data, sizeof(data));
	}
	d = sha256_final(&a);
	e = sha256_final(&want);
	assert_true(digest_eq(&d, &e));
}

static void of_a_file(_unused_ void **state)
{
	size_t len = 300000; /* more than one read */
	_free_ char *data = malloc(len);
	_close_ int fd = -1;
	struct digest d, whole;
	uint64_t n;

	memset(data, 'x', len);
	data[0] = 'y';
	fd = fd_memfd("sha256", data, len);
	assert_true(fd >= 0);
	assert_ok(sha256_of_fd(fd, 0, &d, &n));
	whole = sha256_of(data, len);
	assert_int_equal(n, len);
	assert_true(digest_eq(&d, &whole));
	assert_ok(sha256_of_fd(fd, 1, &d, &n));
	whole = sha256_of(data + 1, len - 1);
	assert_int_equal(n, len - 1);
	assert_true(digest_eq(&d, &whole));
	assert_ok(sha256_of_part(fd, 1, 70000, &d, &n));
	whole = sha256_of(data + 1, 70000);
	assert_int_equal(n, 70000);
	assert_true(digest_eq(&d, &whole));
	assert_ok(sha256_of_part(fd, len - 3, 70000, &d, &n));
	whole = sha256_of(data + len - 3, 3);
	assert_int_equal(n, 3);
	assert_true(digest_eq(&d, &whole));
	assert_ok(sha256_of_part(fd, 1, 0, &d, &n));
	assert_int_equal(n, 0);
	assert_string_equal(digest_hex(&d).s, EMPTY);
	assert_ok(sha256_of_fd(fd, len + 5, &d, NULL));
	assert_string_equal(digest_hex(&d).s, EMPTY);
	assert_int_equal(sha256_of_fd(-1, 0, &d, NULL), -EBADF);
}

static void parses(_unused_ void **state)
{
	struct digest d = { { 0 } }, abc = sha256_of("abc", 3), zero = { { 0 } };

	assert_int_equal(digest_parse("sha256:" ABC "0", &d), -EINVAL);
	assert_int_equal(digest_parse("sha256:" ABC " ", &d), -EINVAL);
	assert_int_equal(digest_parse("sha256:", &d), -EINVAL);
	assert_int_equal(digest_parse("", &d), -EINVAL);
	assert_int_equal(digest_parse(ABC, &d), -EINVAL);
	assert_int_equal(digest_parse("sha512:" ABC, &d), -EINVAL);
	assert_int_equal(digest_parse("SHA256:" ABC, &d), -EINVAL);
	assert_int_equal(
		digest_parse(
			"sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			&d),
		-EINVAL);
	assert_int_equal(
		digest_parse(
			"sha256:../..6bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			&d),
		-EINVAL);
	assert_int_equal(digest_parse_hex(ABC, 63, &d), -EINVAL);
	assert_true(digest_eq(&d, &zero));
	assert_ok(digest_parse("sha256:" ABC, &d));
	assert_true(digest_eq(&d, &abc));
	assert_ok(digest_parse_hex(EMPTY "trailing", 64, &d));
	assert_string_equal(digest_hex(&d).s, EMPTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(pieces_are_the_whole),
		cmocka_unit_test(two_at_once),
		cmocka_unit_test(two_of_a_gigabyte),
		cmocka_unit_test(of_a_file),
		cmocka_unit_test(parses),
	};

	return run_units(tests);
}
