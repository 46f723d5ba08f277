/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of extended attributes: EROFS keeps a number for the prefix (EROFS_XATTR_INDEX_*) and
 * the rest.
 */
#ifndef LAYER_XATTR_H
#define LAYER_XATTR_H

#include "layer/erofs.h"
#include <string.h>

#define XATTR_ACL_ACCESS  2
#define XATTR_ACL_DEFAULT 3
#define XATTR_TRUSTED	  4

static inline bool xattr_is_acl(uint8_t prefix)
{
	return prefix == XATTR_ACL_ACCESS || prefix == XATTR_ACL_DEFAULT;
}

/* The names behind "trusted." that this room knows, for a call's (prefix, name, length). */
#define XATTR_OPAQUE   XATTR_TRUSTED, "overlay.opaque", 14
#define XATTR_METACOPY XATTR_TRUSTED, "overlay.metacopy", 16
#define XATTR_REDIRECT XATTR_TRUSTED, "overlay.redirect", 16
#define XATTR_IMPLIED  XATTR_TRUSTED, "strata.implied", 14
#define XATTR_LINK     XATTR_TRUSTED, "strata.link", 11
#define XATTR_LINKS    XATTR_TRUSTED, "strata.links", 12

/* "/ab/<64 hex digits>" and NUL. */
struct xattr_redirect {
	char s[4 + 64 + 1];
};
#define XATTR_REDIRECT_LEN 68u
struct xattr_redirect xattr_redirect(const struct digest *d);
/* 0 or -EINVAL. */
int xattr_redirect_parse(const char *s, size_t len, struct digest *ret);

/* The prefix' text by its number, or NULL. */
const char *xattr_prefix(uint8_t prefix);
/*
 * Splits a full name: its prefix' number and the rest behind it, which may be empty; 0 when EROFS
 * has no number.
 */
uint8_t xattr_split(const char *name, const char **ret_rest);

/* Bytes of one entry. */
static inline size_t xattr_entry_size(size_t name_len, size_t value_len)
{
	return (sizeof(struct erofs_xattr) + name_len + value_len + 3) / 4 * 4;
}

/* Order of attributes: by prefix, then by the bytes of the name. */
static inline int xattr_cmp(uint8_t ap, const char *a, size_t alen, uint8_t bp, const char *b,
			    size_t blen)
{
	int c = ap - bp;

	if (!c)
		c = memcmp(a, b, alen < blen ? alen : blen);
	return c ? c : (alen > blen) - (alen < blen);
}

/* Whether the writer keeps that attribute for itself: users of layer.h may not set it. */
bool xattr_is_ours(uint8_t prefix, const char *name, size_t name_len);

#endif
