/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/redirect.h"

#include "base/str.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <limits.h>

static const char *redirect_xattr(const struct ufs *u)
{
	return u->upper.user ? "user.overlay.redirect" : "trusted.overlay.redirect";
}

static ssize_t get(struct ufs *u, const struct at *at, void *value, size_t size)
{
	ssize_t n;

	n = xat_get(at->dirfd, at->name, redirect_xattr(u), value, size);
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
	if (u->redirect == UFS_REDIRECT_NOFOLLOW)
		return -EPERM;
	value[n] = 0;
	if (strlen(value) != (size_t)n)
		return -EIO;
	if (value[0] == '/')
		return value[1] ? redirect_walk(u, value + 1, ret) : -EIO;
	if (strchr(value, '/'))
		return -EIO;
	return dir ? step(u, dir, value, ret) : -ENOENT;
}

/* ---- writing ---- */

/* "/" and the path of lower directory @id, then "/" and @name. */
static int path_below(struct ufs *u, uint64_t id, const char *name, char path[PATH_MAX])
{
	size_t at = PATH_MAX, len = strlen(name);
	char part[UFS_NAME_MAX + 1];
	int e = lower_get(&u->lower, id);

	memcpy(part, name, MIN(len, (size_t)UFS_NAME_MAX) + 1);
	path[--at] = 0;
	while (!e) {
		uint64_t parent = 0;

		len = strlen(part);
		if (at < len + 1) {
			e = -EXDEV;
			break;
		}
		at -= len;
		memcpy(path + at, part, len);
		path[--at] = '/';
		if (id == UFS_ROOT)
			break;
		e = lower_parent(&u->lower, id, &parent, part);
		if (!e) {
			lower_put(&u->lower, id);
			id = parent;
		}
	}
	lower_put(&u->lower, id);
	memmove(path, path + at, PATH_MAX - at);
	return e;
}

int redirect_set(struct ufs *u, uint64_t dir, const struct at *at, bool absolute)
{
	char value[PATH_MAX], path[PATH_MAX];
	ssize_t n = get(u, at, value, sizeof(value) - 1);
	const char *name = at->name;
	int e;

	if (n < 0 && n != -ENODATA)
		return (int)n;
	if (n > 0) {
		value[n] = 0;
		/* What is there does already. */
		if (value[0] == '/' || !absolute)
			return 0;
		name = value;
	}
	if (!dir)
		return -EXDEV;
	if (!absolute)
		return xat_set(at->dirfd, at->name, redirect_xattr(u), name, strlen(name), 0);
	if (strlen(name) > UFS_NAME_MAX)
		return -EIO;
	e = path_below(u, dir, name, path);
	return e ? e : xat_set(at->dirfd, at->name, redirect_xattr(u), path, strlen(path), 0);
}
