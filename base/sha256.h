/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) by OpenSSL (two at once by sha256_both.c), and digests as OCI writes them:
 * "sha256:" and 64 lower-case hexadecimal digits.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct digest {
	uint8_t b[32];
};

struct digest_hex {
	char s[65]; /* 64 digits and NUL */
};

struct sha256 {
	uint64_t state[16]; /* an OpenSSL SHA256_CTX: 112 bytes; checked in sha256.c */
};

void sha256_init(struct sha256 *h);
void sha256_update(struct sha256 *h, const void *data, size_t len);
/*
 * The same bytes into two hashes, which were begun at the same place of a block (else it costs as
 * much as one after the other).
 */
void sha256_update_both(struct sha256 *a, struct sha256 *b, const void *data, size_t len);
struct digest sha256_final(struct sha256 *h);
struct digest sha256_of(const void *data, size_t len);
/* The digest of what @fd still holds from @off on; *@ret_len (may be NULL) is how many bytes. */
int sha256_of_fd(int fd, uint64_t off, struct digest *ret, uint64_t *ret_len);
/* Of @len bytes at most of that. */
int sha256_of_part(int fd, uint64_t off, uint64_t len, struct digest *ret, uint64_t *ret_len);

struct digest_hex digest_hex(const struct digest *d);
/* Exactly 64 lower-case hexadecimal digits, @len = 64: 0 or -EINVAL. */
int digest_parse_hex(const char *s, size_t len, struct digest *ret);
/* "sha256:<hex>", the whole string: 0 or -EINVAL. */
int digest_parse(const char *s, struct digest *ret);

static inline bool digest_eq(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

#endif
