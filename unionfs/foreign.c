/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/foreign.h"

#include "base/dir.h"
#include "base/str.h"
#include "unionfs/union.h"
#include "unionfs/xat.h"

#include <errno.h>

bool foreign_is_mark(const char *name)
{
	return str_after(name, FOREIGN_MARK);
}

const char *foreign_hides(const char *mark)
{
	const char *name = str_after(mark, FOREIGN_MARK);

	if (!name || !*name || foreign_is_mark(name) || streq(name, ".") || streq(name, ".."))
		return NULL;
	return name;
}

bool foreign_hidden(int dirfd, const char *name)
{
	char mark[sizeof(FOREIGN_MARK) + UFS_NAME_MAX];
	struct stat st;

	snprintf(mark, sizeof(mark), FOREIGN_MARK "%s", name);
	return fstatat(dirfd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *const opaque_xattrs[] = {
	"trusted.overlay.opaque",
	"user.overlay.opaque",
	"user.fuseoverlayfs.opaque",
};

bool foreign_opaque_xattr(int dirfd, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(opaque_xattrs); i++) {
		if (xat_is_y(dirfd, name, opaque_xattrs[i]))
			return true;
	}
	return false;
}

bool foreign_opaque_name(int dirfd, const char *name)
{
	char path[UFS_NAME_MAX + sizeof("/" FOREIGN_OPAQUE)];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s" FOREIGN_OPAQUE, name, *name ? "/" : "");
	return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int foreign_any(int dirfd)
{
	DIR *d = dir_open(dirfd, ".");
	struct dirent *entry;
	int found = 0;

	if (!d)
		return -errno;
	while (!found && (entry = readdir(d)))
		found = foreign_is_mark(entry->d_name);
	closedir(d);
	return found;
}

/* A thing beside its own whiteout: a directory hides what is beneath, all else does so anyway. */
static int adopt_hidden(struct ufs *u, const struct at *at)
{
	struct stat st;

	if (fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISDIR(st.st_mode) ? upper_mark(u, at, "overlay.opaque") : 0;
	if (errno != ENOENT)
		return -errno;
	return upper_whiteout_at(u, at);
}

static int adopt_name(struct ufs *u, int dirfd, const char *mark)
{
	struct at at = { .dirfd = dirfd, .name = foreign_hides(mark) };
	int e = 0;

	if (at.name)
		e = adopt_hidden(u, &at);
	else if (streq(mark, FOREIGN_OPAQUE))
		e = upper_mark(u, &(struct at){ .dirfd = dirfd, .name = "" }, "overlay.opaque");
	if (e && e != -EEXIST)
		return e;
	return unlinkat(dirfd, mark, 0) < 0 && errno != ENOENT && errno != EISDIR ? -errno : 0;
}

int foreign_adopt(struct ufs *u, const struct at *dir)
{
	DIR *d = dir_open(dir->dirfd, *dir->name ? dir->name : ".");
	struct dirent *entry;
	int e = 0;

	if (!d)
		return -errno;
	if (!upper_marked(u, dir, "overlay.opaque") && foreign_opaque_xattr(dir->dirfd, dir->name))
		e = upper_mark(u, dir, "overlay.opaque");
	while (!e && (entry = readdir(d))) {
		if (foreign_is_mark(entry->d_name))
			e = adopt_name(u, dirfd(d), entry->d_name);
	}
	closedir(d);
	return e;
}
