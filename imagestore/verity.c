/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs-verity (Linux Documentation/filesystems/fsverity.rst): where the file system has it, the
 * kernel compares every page of a published file with its own tree of digests, for readers that do
 * not: overlayfs and EROFS, a guest's mapped pages.
 */
#include "imagestore/txn.h"

#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

struct verity {
	struct txn *t;
	const char *folder;
	bool deep; /* the entries are folders of files */
};

/* 1: this file system has none, or this kernel no SHA-256 for it: no further file need be tried. */
static int enable(int fd)
{
	struct fsverity_enable_arg arg = { .version = 1,
					   .hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
					   .block_size = LAYER_BLOCK };
	int r = ioctl(fd, FS_IOC_ENABLE_VERITY, &arg) < 0 ? -errno : 0;

	/*
	 * Its owner, when not root, must be able to write to it, though not through this
	 * descriptor.
	 */
	if (r == -EACCES && fchmod(fd, 0644) == 0) {
		r = ioctl(fd, FS_IOC_ENABLE_VERITY, &arg) < 0 ? -errno : 0;
		fchmod(fd, 0444);
	}
	return r == -ENOTTY || r == -EOPNOTSUPP || r == -ENOPKG || r == -EINVAL;
}

static int enable_at(struct verity *v, const char *path)
{
	_close_ int fd = openat(v->t->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	/* One with another name outside was published before, and has it or cannot have it. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !st.st_size || st.st_nlink > 1)
		return 0;
	return enable(fd);
}

static int visit(void *ctx, const char *name)
{
	struct verity *v = ctx, inner = { .t = v->t };
	_free_ char *path = str_fmt("%s/%s", v->folder, name);

	if (!path)
		return -ENOMEM;
	if (!v->deep)
		return enable_at(v, path);
	inner.folder = path;
	return folder_each(v->t->dirfd, path, visit, &inner);
}

/* What it cannot do for a file is no failure: the union verifies all the same. */
void txn_verity(struct txn *t)
{
	static const char *const folders[] = { "objects", "merged", "layers" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct verity v = { .t = t,
				    .folder = folders[i],
				    .deep = streq(folders[i], "layers") };

		if (folder_each(t->dirfd, folders[i], visit, &v) > 0)
			return;
	}
}
