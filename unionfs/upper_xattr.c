/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "unionfs/union.h"
#include "unionfs/xat.h"

#include <errno.h>

/* Whether user.overlay.* means something here too: in a lower or in the upper. */
static bool takes_user(const struct ufs *u)
{
	return u->userxattr || u->foreign || u->mode == UFS_UPPER_MAPPED ||
	       u->mode == UFS_UPPER_PLAIN;
}

bool upper_hides(const struct ufs *u, const char *name)
{
	const char *rest = str_after(name, "trusted.");

	if (u->foreign && str_after(name, "user.fuseoverlayfs."))
		return true;
	if (!rest && takes_user(u))
		rest = str_after(name, "user.");
	if (rest && (str_after(rest, "strata.") ||
		     (u->mode == UFS_UPPER_PLAIN && str_after(rest, "overlay."))))
		return true;
	return (u->mode == UFS_UPPER_MAPPED || u->mode == UFS_UPPER_PLAIN) &&
	       streq(name, "user.containers.override_stat");
}

/* ---- overlayfs' own names: a client's are kept with "overlay." once more ---- */

/* What is behind "trusted.overlay." or "user.overlay.", or NULL. */
static const char *behind_overlay(const struct ufs *u, const char *name)
{
	const char *rest = str_after(name, "trusted.overlay.");

	return !rest && takes_user(u) ? str_after(name, "user.overlay.") : rest;
}

int xname_store(const struct ufs *u, const char *name, char ret[256])
{
	const char *rest = behind_overlay(u, name);
	int n;

	if (upper_hides(u, name))
		return -EPERM;
	if (!rest)
		return str_copy(ret, 256, name) < 0 ? -ERANGE : 0;
	if (!*rest)
		return -EINVAL;
	n = snprintf(ret, 256, "%.*soverlay.%s", (int)(rest - name), name, rest);
	return n >= 256 ? -EOPNOTSUPP : 0;
}

bool xname_show(const struct ufs *u, const char *stored, char ret[256])
{
	const char *rest = behind_overlay(u, stored), *name;

	if (upper_hides(u, stored))
		return false;
	if (!rest)
		return str_copy(ret, 256, stored) >= 0;
	name = str_after(rest, "overlay.");
	if (!name || !*name)
		return false;
	return snprintf(ret, 256, "%.*s%s", (int)(rest - stored), stored, name) < 256;
}

ssize_t xname_get_lower(struct ufs *u, uint64_t id, const char *name, void *value, size_t size)
{
	char stored[256];
	int e = xname_store(u, name, stored);

	if (e)
		return e == -EPERM ? -ENODATA : e;
	return lower_getxattr(&u->lower, id, stored, value, size);
}

ssize_t xname_list_lower(struct ufs *u, uint64_t id, char *list, size_t size)
{
	_free_ char *all = malloc(UFS_XATTR_MAX);
	ssize_t n = all ? lower_listxattr(&u->lower, id, all, UFS_XATTR_MAX) : -ENOMEM;
	char name[256];
	size_t len = 0;

	for (const char *s = all; n > 0 && s < all + n; s += strlen(s) + 1) {
		size_t l = xname_show(u, s, name) ? strlen(name) + 1 : 0;

		if (size && len + l > size)
			return -ERANGE;
		if (size && l)
			memcpy(list + len, name, l);
		len += l;
	}
	return n < 0 ? n : (ssize_t)len;
}

/* ---- the upper's ---- */

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
	char name[256];
	size_t len = 0;

	if (n < 0)
		return n;
	for (const char *s = all; s < all + n; s += strlen(s) + 1) {
		size_t l = u->upper.dialect->xname_back(u, s, name) ? strlen(name) + 1 : 0;

		if (size && len + l > size)
			return -ERANGE;
		if (size && l)
			memcpy(list + len, name, l);
		len += l;
	}
	return (ssize_t)len;
}
