/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "unionfs/union.h"
#include "unionfs/xat.h"

#include <inttypes.h>
#include <errno.h>

struct mark_name {
	char s[48];
};

static struct mark_name mark_name(const struct ufs *u, const char *mark)
{
	struct mark_name m;

	snprintf(m.s, sizeof(m.s), "%s.%s", u->upper.user ? "user" : "trusted", mark);
	return m;
}

bool upper_marked(struct ufs *u, const struct at *at, const char *mark)
{
	return u->mode != UFS_UPPER_PLAIN && xat_is_y(at->dirfd, at->name, mark_name(u, mark).s);
}

int upper_mark(struct ufs *u, const struct at *at, const char *mark)
{
	return xat_set(at->dirfd, at->name, mark_name(u, mark).s, "y", 1, 0);
}

int upper_unmark(struct ufs *u, const struct at *at, const char *mark)
{
	return xat_remove(at->dirfd, at->name, mark_name(u, mark).s);
}

static const struct {
	const char *name;
	unsigned int bit;
} marks[] = {
	{ "strata.origin", MARK_ORIGIN },   { "overlay.metacopy", MARK_METACOPY },
	{ "overlay.opaque", MARK_OPAQUE },  { "overlay.redirect", MARK_REDIRECT },
	{ "overlay.impure", MARK_IMPURE },  { "overlay.protattr", MARK_PROTECT },
	{ "strata.linking", MARK_LINKING },
};

unsigned int upper_marks(struct ufs *u, const struct at *at)
{
	const char *prefix = u->upper.user ? "user." : "trusted.", *rest;
	unsigned int found = 0;
	char list[1024];
	ssize_t n;

	if (u->mode == UFS_UPPER_PLAIN)
		return 0;
	n = xat_list(at->dirfd, at->name, list, sizeof(list));
	/* Too many to look through: it may have each. */
	if (n < 0)
		return n == -EOPNOTSUPP ? 0 : ~0u;
	for (const char *s = list; s < list + n; s += strlen(s) + 1) {
		rest = str_after(s, prefix);
		for (size_t i = 0; rest && i < ARRAY_SIZE(marks); i++)
			found |= streq(rest, marks[i].name) ? marks[i].bit : 0;
	}
	return found;
}

#define ORIGIN_DIGITS 16

int upper_origin(struct ufs *u, const struct at *at, uint64_t *ret)
{
	char digits[ORIGIN_DIGITS + 1] = { 0 };
	ssize_t n;
	char *end;
	uint64_t ino;

	if (u->mode == UFS_UPPER_PLAIN)
		return -ENODATA;
	n = xat_get(at->dirfd, at->name, mark_name(u, "strata.origin").s, digits, ORIGIN_DIGITS);
	if (n != ORIGIN_DIGITS)
		return -ENODATA;
	ino = strtoull(digits, &end, 16);
	if (*end || !ino)
		return -ENODATA;
	*ret = ino;
	return 0;
}

int upper_set_origin(struct ufs *u, const struct at *at, uint64_t ino)
{
	char digits[ORIGIN_DIGITS + 1];

	snprintf(digits, sizeof(digits), "%016" PRIx64, ino);
	return xat_set(at->dirfd, at->name, mark_name(u, "strata.origin").s, digits, ORIGIN_DIGITS,
		       0);
}
