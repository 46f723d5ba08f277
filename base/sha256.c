/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's low-level calls on purpose: they are declared deprecated, but they load no provider and
 * read no configuration, which costs a short-lived program more than its hashing.
 */
#define OPENSSL_API_COMPAT 0x10100000L
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/sha256.h"

#include "base/fd.h"
#include "base/str.h"
#include <errno.h>
#include <openssl/sha.h>

#define READ_SIZE (128u << 10) /* bytes hashed at once: fits the second-level cache */

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256), "struct sha256 is too small");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct sha256), "struct sha256 is not aligned");

static SHA256_CTX *ctx_of(struct sha256 *h)
{
	return (void *)h;
}

void sha256_init(struct sha256 *h)
{
	SHA256_Init(ctx_of(h));
}

void sha256_update(struct sha256 *h, const void *data, size_t len)
{
	if (len)
		SHA256_Update(ctx_of(h), data, len);
}

struct digest sha256_final(struct sha256 *h)
{
	struct digest d;

	SHA256_Final(d.b, ctx_of(h));
	return d;
}

struct digest sha256_of(const void *data, size_t len)
{
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, data, len);
	return sha256_final(&h);
}

int sha256_of_fd(int fd, uint64_t off, struct digest *ret, uint64_t *ret_len)
{
	return sha256_of_part(fd, off, UINT64_MAX, ret, ret_len);
}

int sha256_of_part(int fd, uint64_t off, uint64_t len, struct digest *ret, uint64_t *ret_len)
{
	_free_ char *data = malloc(READ_SIZE);
	uint64_t left = len;
	struct sha256 h;
	ssize_t n;

	if (!data)
		return -ENOMEM;
	sha256_init(&h);
	do {
		n = fd_pread_full(fd, data, (size_t)MIN(left, (uint64_t)READ_SIZE), (off_t)off);
		if (n < 0)
			return (int)n;
		sha256_update(&h, data, (size_t)n);
		off += (uint64_t)n;
		left -= (uint64_t)n;
	} while (n == READ_SIZE);
	*ret = sha256_final(&h);
	if (ret_len)
		*ret_len = len - left;
	return 0;
}

struct digest_hex digest_hex(const struct digest *d)
{
	static const char digits[] = "0123456789abcdef";
	struct digest_hex hex;

	for (size_t i = 0; i < sizeof(d->b); i++) {
		hex.s[2 * i] = digits[d->b[i] >> 4];
		hex.s[2 * i + 1] = digits[d->b[i] & 15];
	}
	hex.s[64] = '\0';
	return hex;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse_hex(const char *s, size_t len, struct digest *ret)
{
	struct digest d;

	if (len != 2 * sizeof(d.b))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(d.b); i++) {
		int high = digit_value(s[2 * i]), low = digit_value(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		d.b[i] = (uint8_t)(high << 4 | low);
	}
	*ret = d;
	return 0;
}

int digest_parse(const char *s, struct digest *ret)
{
	const char *hex = str_after(s, "sha256:");

	return hex ? digest_parse_hex(hex, strlen(hex), ret) : -EINVAL;
}
