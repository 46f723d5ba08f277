/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/top.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <sys/stat.h>
#include <sys/xattr.h>

/* trusted.* of the index is the union's own. */
static int copy_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	const int *fd = ctx;

	if (str_after(name, "trusted."))
		return 0;
	return fsetxattr(*fd, name, value, len, 0) < 0 ? err_sys("snapshot: %s", name) : 0;
}

static int dress(int fd, const struct layer_index *index)
{
	struct layer_attr a;
	struct timespec times[2];
	int r = layer_stat(index, LAYER_ROOT_NID, &a);

	if (r < 0)
		return r;
	times[0] = times[1] = a.mtime;
	if (fchown(fd, a.uid, a.gid) < 0 || fchmod(fd, a.mode & 07777) < 0)
		return err_sys("snapshot: owner and mode of the root");
	r = layer_listxattr(index, LAYER_ROOT_NID, copy_xattr, &fd);
	if (r == 0 && futimens(fd, times) < 0)
		return err_sys("snapshot: time of the root");
	return r;
}

static int dress_top(struct store *s, const char *id, int index_fd)
{
	_free_ char *path = str_fmt("snapshots/%s/upper", id);
	_close_ int fd = -1;
	struct layer_index *index;
	int r;

	if (!path)
		return -ENOMEM;
	fd = openat(store_dirfd(s), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys("%s/%s", store_path(s), path);
	r = layer_index_open(index_fd, &index);
	if (r < 0)
		return r;
	r = dress(fd, index);
	layer_index_close(index);
	return r;
}

int top_create(struct store *s, const char *id, const struct digest *diff_ids, size_t n,
	       const struct stack *k, bool mapped)
{
	int r = snapshot_create(s, id, diff_ids, n);

	if (r < 0 || mapped)
		return r;
	r = dress_top(s, id, k->index_fd);
	if (r < 0)
		snapshot_remove(s, id);
	return r;
}
