/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/redirect.h"

#include "base/str.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <limits.h>

static ssize_t get(struct ufs *u, const struct at *at, void *value, size_t size)
{
	ssize_t n;

	if (u->mode != UFS_UPPER_NATIVE)
		return -ENODATA;
	n = xat_get(at->dirfd, at->name,
		    u->upper.user ? "user.overlay.redirect" : "trusted.overlay.redirect", value,
		    size);
	return n == -EOPNOTSUPP ? -ENODATA : n;
}

bool redirect_is(struct ufs *u, const struct at *at)
{
	return get(u, at, NULL, 0) >= 0;
}

static int step(struct ufs *u, uint64_t dir, const char *name, uint64_t *ret)
{
	struct stat st;
	int e;

	if (!*name || streq(name, ".") || streq(name, ".."))
		return -EIO;
	e = lower_stat(&u->lower, dir, &st);
	if (!e && !S_ISDIR(st.st_mode))
		e = -ENOENT;
	return e ? e : lower_lookup(&u->lower, dir, name, ret);
}

int redirect_walk(struct ufs *u, const char *path, uint64_t *ret)
{
	uint64_t id = UFS_ROOT, next = 0;
	char name[UFS_NAME_MAX + 1];
	int e = lower_get(&u->lower, id);

	while (!e && *path) {
		size_t len = strcspn(path, "/");

		if (len > UFS_NAME_MAX) {
			e = -ENAMETOOLONG;
		} else {
			memcpy(name, path, len);
			name[len] = 0;
			e = step(u, id, name, &next);
		}
		lower_put(&u->lower, id);
		id = next;
		path += len + (path[len] == '/');
	}
	if (!e)
		*ret = id;
	return e;
}

int redirect_lower(struct ufs *u, uint64_t dir, const struct at *at, uint64_t *ret)
{
	char value[PATH_MAX];
	ssize_t n = get(u, at, value, sizeof(value) - 1);

	if (n < 0 && n != -ENODATA)
		return (int)n;
	if (n < 0)
		return dir ? lower_lookup(&u->lower, dir, at->name, ret) : -ENOENT;
	value[n] = 0;
	if (strlen(value) != (size_t)n)
		return -EIO;
	if (value[0] == '/')
		return value[1] ? redirect_walk(u, value + 1, ret) : -EIO;
	if (strchr(value, '/'))
		return -EIO;
	return dir ? step(u, dir, value, ret) : -ENOENT;
}
