/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "unionfs/union.h"
#include "unionfs/xat.h"

#include <errno.h>

bool upper_hides(const struct ufs *u, const char *name)
{
	bool ours = u->mode == UFS_UPPER_MAPPED || u->mode == UFS_UPPER_PLAIN;
	const char *rest = str_after(name, "trusted.");

	if (!rest && (u->userxattr || ours))
		rest = str_after(name, "user.");
	if (rest && (str_after(rest, "overlay.") || str_after(rest, "strata.")))
		return true;
	return ours && streq(name, "user.containers.override_stat");
}

ssize_t upper_getxattr(struct ufs *u, const struct at *at, const char *name, void *value,
		       size_t size)
{
	char stored[256];
	int e = u->upper.dialect->xname(u, name, stored);

	if (e)
		return e == -EPERM ? -ENODATA : e;
	return xat_get(at->dirfd, at->name, stored, value, size);
}

int upper_setxattr(struct ufs *u, const struct at *at, const char *name, const void *value,
		   size_t size, int flags)
{
	char stored[256];
	int e = u->upper.dialect->xname(u, name, stored);

	return e ? e : xat_set(at->dirfd, at->name, stored, value, size, flags);
}

int upper_removexattr(struct ufs *u, const struct at *at, const char *name)
{
	char stored[256];
	int e = u->upper.dialect->xname(u, name, stored);

	return e ? e : xat_remove(at->dirfd, at->name, stored);
}

ssize_t upper_listxattr(struct ufs *u, const struct at *at, char *list, size_t size)
{
	_free_ char *all = malloc(UFS_XATTR_MAX);
	ssize_t n = all ? xat_list(at->dirfd, at->name, all, UFS_XATTR_MAX) : -ENOMEM;
	size_t len = 0;

	if (n < 0)
		return n;
	for (const char *s = all; s < all + n; s += strlen(s) + 1) {
		const char *name = u->upper.dialect->xname_back(u, s);
		size_t l = name ? strlen(name) + 1 : 0;

		if (size && len + l > size)
			return -ERANGE;
		if (size && l)
			memcpy(list + len, name, l);
		len += l;
	}
	return (ssize_t)len;
}
