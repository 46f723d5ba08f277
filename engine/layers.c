/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layers.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "layer/layer.h"
#include <stdio.h>
#include <sys/stat.h>

int layers_open_objects(struct store *s)
{
	int fd = openat(store_dirfd(s), "objects", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys("%s/objects", store_path(s)) : fd;
}

int layers_object_openat(int objects_fd, const struct digest *d)
{
	struct digest_hex hex = digest_hex(d);
	char path[70];
	int fd;

	snprintf(path, sizeof(path), "%.2s/%s", hex.s, hex.s);
	fd = openat(objects_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int layers_object_open(void *objects_fd, _unused_ uint64_t nid, const struct digest *d)
{
	return layers_object_openat(*(const int *)objects_fd, d);
}

struct ufs_lower layers_lower(const struct stack *k, int *objects_fd)
{
	return (struct ufs_lower){ .kind = UFS_LOWER_INDEX,
				   .fd = k->index_fd,
				   .packs = k->pack_fds,
				   .npacks = k->npacks,
				   .sums = k->sums,
				   .object_open = layers_object_open,
				   .ctx = objects_fd };
}

bool layers_have(const struct layer_index *x, const char *path)
{
	uint64_t nid = LAYER_ROOT_NID;

	for (const char *s = path; *s; s += *s == '/') {
		size_t len = strcspn(s, "/");

		if (layer_lookup(x, nid, s, len, &nid) < 0)
			return false;
		s += len;
	}
	return true;
}

struct telling {
	struct layer_index *image;
	int (*fn)(void *ctx, const struct ufs_change *c);
	void *ctx;
};

/* An empty file that a start made where the image has none, to mount its own over. */
static bool is_place(const struct telling *t, const struct ufs_change *c)
{
	return c->kind == UFS_CHANGE_PUT && S_ISREG(c->mode) && c->size == 0 &&
	       (streq(c->path, "etc/hosts") || streq(c->path, "etc/resolv.conf")) &&
	       !layers_have(t->image, c->path);
}

static int tell(void *ctx, const struct ufs_change *c)
{
	struct telling *t = ctx;

	return is_place(t, c) ? 0 : t->fn(t->ctx, c);
}

int layers_changes(struct store *s, const struct rootfs *r, const struct run_spec *spec,
		   int (*fn)(void *ctx, const struct ufs_change *c), void *ctx)
{
	_close_ int objects = layers_open_objects(s);
	struct ufs_lower lower = layers_lower(&r->stack, &objects);
	struct ufs_config cfg = { .lowers = &lower,
				  .nlowers = 1,
				  .upper_fd = r->upper_fd,
				  .work_fd = r->work_fd,
				  .upper = spec_mapped(spec) ? UFS_UPPER_MAPPED : UFS_UPPER_NATIVE,
				  .userxattr = spec->ids != 0 };
	struct telling t = { .fn = fn, .ctx = ctx };
	struct ufs *u;
	int e = objects < 0 ? objects : layer_index_open(r->stack.index_fd, &t.image);

	if (e < 0)
		return e;
	e = ufs_new(&cfg, &u);
	if (e == 0) {
		e = ufs_changes(u, tell, &t);
		ufs_free(u);
	}
	layer_index_close(t.image);
	return e;
}
