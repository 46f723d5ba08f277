/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/xattr.h"

#include "base/mem.h"
#include "base/str.h"
#include <errno.h>

static const struct {
	uint8_t number;
	bool whole; /* the prefix is a whole name */
	const char *text;
} prefixes[] = {
	{ 1, false, "user." },
	{ XATTR_ACL_ACCESS, true, "system.posix_acl_access" },
	{ XATTR_ACL_DEFAULT, true, "system.posix_acl_default" },
	{ XATTR_TRUSTED, false, "trusted." },
	{ 6, false, "security." },
};

const char *xattr_prefix(uint8_t prefix)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (prefixes[i].number == prefix)
			return prefixes[i].text;
	}
	return NULL;
}

uint8_t xattr_split(const char *name, const char **ret_rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const char *rest = str_after(name, prefixes[i].text);

		if (rest && (*rest == 0) == prefixes[i].whole) {
			*ret_rest = rest;
			return prefixes[i].number;
		}
	}
	return 0;
}

struct xattr_redirect xattr_redirect(const struct digest *d)
{
	struct digest_hex hex = digest_hex(d);
	struct xattr_redirect r;

	r.s[0] = r.s[3] = '/';
	memcpy(r.s + 1, hex.s, 2);
	memcpy(r.s + 4, hex.s, sizeof(hex.s));
	return r;
}

int xattr_redirect_parse(const char *s, size_t len, struct digest *ret)
{
	if (len != XATTR_REDIRECT_LEN || s[0] != '/' || s[3] != '/' || memcmp(s + 1, s + 4, 2))
		return -EINVAL;
	return digest_parse_hex(s + 4, 64, ret);
}

static bool name_is(const char *name, size_t name_len, const char *other)
{
	return name_len == strlen(other) && !memcmp(name, other, name_len);
}

bool xattr_is_ours(uint8_t prefix, const char *name, size_t name_len)
{
	static const char strata[] = "strata.";

	if (prefix != XATTR_TRUSTED)
		return false;
	if (name_len >= sizeof(strata) - 1 && !memcmp(name, strata, sizeof(strata) - 1))
		return true;
	return name_is(name, name_len, "overlay.metacopy") ||
	       name_is(name, name_len, "overlay.redirect");
}
