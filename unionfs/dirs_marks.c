/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/dirs_marks.h"

#include "unionfs/foreign.h"
#include "unionfs/xat.h"

#include <errno.h>

static bool user_marks(const struct lower *l)
{
	return l->u->userxattr || l->u->foreign || l->u->mode == UFS_UPPER_MAPPED;
}

/* Most things have none: one call says so for every mark. */
bool dirs_may_be_marked(const struct at *at)
{
	return xat_list(at->dirfd, at->name, NULL, 0) != 0;
}

ssize_t dirs_get_mark(const struct lower *l, const struct at *at, const char *mark, void *value,
		      size_t size)
{
	char name[48];
	ssize_t n;

	snprintf(name, sizeof(name), "trusted.%s", mark);
	n = xat_get(at->dirfd, at->name, name, value, size);
	if (n < 0 && user_marks(l)) {
		snprintf(name, sizeof(name), "user.%s", mark);
		n = xat_get(at->dirfd, at->name, name, value, size);
	}
	return n == -EOPNOTSUPP ? -ENODATA : n;
}

bool dirs_is_opaque(const struct lower *l, const struct at *at, bool marked)
{
	bool user = l->u->userxattr || l->u->mode == UFS_UPPER_MAPPED;

	if (l->u->foreign)
		return (marked && foreign_opaque_xattr(at->dirfd, at->name)) ||
		       foreign_opaque_name(at->dirfd, at->name);
	return marked && (xat_is_y(at->dirfd, at->name, "trusted.overlay.opaque") ||
			  (user && xat_is_y(at->dirfd, at->name, "user.overlay.opaque")));
}

bool dirs_is_hidden(const struct lower *l, struct dirs_part *dir, int dirfd, const char *name)
{
	if (!l->u->foreign)
		return false;
	if (dir && !dir->marks)
		dir->marks = foreign_any(dirfd) ? DIRS_MARKED : DIRS_UNMARKED;
	return (!dir || dir->marks == DIRS_MARKED) && foreign_hidden(dirfd, name);
}

bool dirs_has_xwhiteouts(const struct lower *l, int dirfd)
{
	const struct at dir = { .dirfd = dirfd, .name = "." };
	char c = 0;

	return dirs_get_mark(l, &dir, "overlay.opaque", &c, 1) == 1 && c == 'x';
}

bool dirs_is_xwhiteout(const struct lower *l, const struct at *at)
{
	struct stat st;

	return fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       !st.st_size && dirs_get_mark(l, at, "overlay.whiteout", NULL, 0) >= 0;
}

bool dirs_is_whiteout(const struct lower *l, const struct at *at, const struct stat *st)
{
	return upper_is_whiteout(st) ||
	       (S_ISREG(st->st_mode) && !st->st_size && dirs_is_xwhiteout(l, at) &&
		dirs_has_xwhiteouts(l, at->dirfd));
}

/* A path of names alone: an image wrote it. */
static bool is_plain_path(const char *path)
{
	do {
		size_t len = strcspn(path, "/");

		if (!len || len > UFS_NAME_MAX || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
		/* A slash at the end is one more name, an empty one. */
		if (!*path)
			return true;
		path++;
	} while (true);
}

int dirs_get_redirect(const struct lower *l, const struct at *at, char value[PATH_MAX])
{
	ssize_t n = dirs_get_mark(l, at, "overlay.redirect", value, PATH_MAX - 1);

	value[MAX(n, (ssize_t)0)] = 0;
	if (n < 0)
		return n == -ENODATA ? 0 : (int)n;
	if (l->u->redirect == UFS_REDIRECT_NOFOLLOW)
		return -EPERM;
	if (n < 1 || strlen(value) != (size_t)n || !is_plain_path(value + (value[0] == '/')))
		return -EIO;
	return value[0] != '/' && strchr(value, '/') ? -EIO : 0;
}
