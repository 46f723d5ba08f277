/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hashes of the same bytes at once, by the processor's SHA instructions. A hash alone waits
 * for each instruction's result before the next; two of them wait in turn, and share the message
 * schedule: the second costs half. States and counts are OpenSSL's, and so is all that is no whole
 * block: what is here is the compression function (FIPS 180-4, 6.2.2) and nothing else.
 */
#define OPENSSL_API_COMPAT 0x10100000L
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/mem.h"
#include "base/sha256.h"
#include <cpuid.h>
#include <immintrin.h>
#include <openssl/sha.h>

#define BLOCK	   64u
#define WITH_SHA   __attribute__((target("sha,sse4.1")))
#define CPUID_SHA  (1u << 29) /* leaf 7, EBX */
#define CPUID_SSE4 (1u << 19) /* leaf 1, ECX: SSE4.1 */

static const uint32_t constants[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

/* The words a to h as the instructions have them. */
struct lane {
	__m128i abef, cdgh;
};

static WITH_SHA struct lane lane_load(const SHA_LONG h[8])
{
	__m128i abcd = _mm_loadu_si128((const __m128i *)h);
	__m128i efgh = _mm_loadu_si128((const __m128i *)(h + 4));

	abcd = _mm_shuffle_epi32(abcd, 0xb1);
	efgh = _mm_shuffle_epi32(efgh, 0x1b);
	return (struct lane){ .abef = _mm_alignr_epi8(abcd, efgh, 8),
			      .cdgh = _mm_blend_epi16(efgh, abcd, 0xf0) };
}

static WITH_SHA void lane_store(SHA_LONG h[8], struct lane l)
{
	__m128i feba = _mm_shuffle_epi32(l.abef, 0x1b), dchg = _mm_shuffle_epi32(l.cdgh, 0xb1);

	_mm_storeu_si128((__m128i *)h, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds of each, with the words of @w. */
static inline WITH_SHA void rounds(struct lane *a, struct lane *b, __m128i w, size_t i)
{
	__m128i k = _mm_add_epi32(w, _mm_load_si128((const __m128i *)(constants + 4 * i)));

	a->cdgh = _mm_sha256rnds2_epu32(a->cdgh, a->abef, k);
	b->cdgh = _mm_sha256rnds2_epu32(b->cdgh, b->abef, k);
	k = _mm_shuffle_epi32(k, 0x0e);
	a->abef = _mm_sha256rnds2_epu32(a->abef, a->cdgh, k);
	b->abef = _mm_sha256rnds2_epu32(b->abef, b->cdgh, k);
}

/* The next four words of the schedule, of the sixteen before them. */
static inline WITH_SHA __m128i next_words(const __m128i w[4], size_t i)
{
	__m128i first = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
	__m128i ninth = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4);

	return _mm_sha256msg2_epu32(_mm_add_epi32(first, ninth), w[(i + 3) & 3]);
}

static inline WITH_SHA struct lane lane_add(struct lane a, struct lane b)
{
	return (struct lane){ .abef = _mm_add_epi32(a.abef, b.abef),
			      .cdgh = _mm_add_epi32(a.cdgh, b.cdgh) };
}

static WITH_SHA void both_blocks(SHA256_CTX *x, SHA256_CTX *y, const uint8_t *p, size_t blocks)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	struct lane a = lane_load(x->h), b = lane_load(y->h);

	for (; blocks; blocks--, p += BLOCK) {
		struct lane a_before = a, b_before = b;
		__m128i w[4];

		for (size_t i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)),
						big_endian);
#pragma GCC unroll 16
		for (size_t i = 0; i < 16; i++) {
			rounds(&a, &b, w[i & 3], i);
			if (i < 12)
				w[i & 3] = next_words(w, i);
		}
		a = lane_add(a, a_before);
		b = lane_add(b, b_before);
	}
	lane_store(x->h, a);
	lane_store(y->h, b);
}

static void count(SHA256_CTX *c, size_t len)
{
	uint64_t bits = ((uint64_t)c->Nh << 32 | c->Nl) + ((uint64_t)len << 3);

	c->Nh = (SHA_LONG)(bits >> 32);
	c->Nl = (SHA_LONG)bits;
}

static bool find_sha(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & CPUID_SSE4))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & CPUID_SHA);
}

static bool has_sha(void)
{
	static int known; /* 1: yes, -1: no; who finds it out twice finds the same */
	int can = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (!can) {
		can = find_sha() ? 1 : -1;
		__atomic_store_n(&known, can, __ATOMIC_RELAXED);
	}
	return can > 0;
}

static void update_each(struct sha256 *a, struct sha256 *b, const void *data, size_t len)
{
	sha256_update(a, data, len);
	sha256_update(b, data, len);
}

void sha256_update_both(struct sha256 *a, struct sha256 *b, const void *data, size_t len)
{
	SHA256_CTX *x = (void *)a, *y = (void *)b;
	const uint8_t *p = data;
	size_t head, whole;

	if (!has_sha() || x->num != y->num) {
		update_each(a, b, data, len);
		return;
	}
	head = MIN(x->num ? BLOCK - x->num : 0, len);
	whole = (len - head) / BLOCK * BLOCK;
	update_each(a, b, p, head);
	if (whole) {
		both_blocks(x, y, p + head, whole / BLOCK);
		count(x, whole);
		count(y, whole);
	}
	update_each(a, b, p + head + whole, len - head - whole);
}
