/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/lower.h"

#include "base/err.h"
#include "base/str.h"
#include "unionfs/union.h"

#include <dirent.h>
#include <errno.h>

static int take_arrivals(struct lower *l, const struct ufs_arrivals *a)
{
	int fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return err_sys("union: what arrives");
	l->arrivals = *a;
	l->arrivals.fd = fd;
	return 0;
}

int lower_index_init(struct lower *l, const struct ufs_lower *from)
{
	int e;

	l->object_open = from->object_open;
	l->ctx = from->ctx;
	l->index_fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 3);
	if (l->index_fd < 0)
		return err_sys("union: index");
	e = from->arrivals ? take_arrivals(l, from->arrivals) : 0;
	if (e < 0)
		return e;
	e = layer_index_open_verified(l->index_fd, from->sums ? from->sums[0] : -1, &l->index);
	if (e < 0)
		return e;
	if (layer_index_ndevices(l->index) != from->npacks)
		return err(-EINVAL, "union: the index has %zu packs, not %zu",
			   layer_index_ndevices(l->index), from->npacks);
	l->packs = mem_new(from->npacks, sizeof(*l->packs));
	if (!l->packs)
		return -ENOMEM;
	for (; l->npacks < from->npacks; l->npacks++) {
		l->packs[l->npacks] = fcntl(from->packs[l->npacks], F_DUPFD_CLOEXEC, 3);
		if (l->packs[l->npacks] < 0)
			return err_sys("union: pack %zu", l->npacks);
	}
	return verify_init(&l->verify, l->index, l->packs, from->sums ? from->sums + 1 : NULL);
}

void lower_index_done(struct lower *l)
{
	for (size_t i = 0; i < l->npacks; i++)
		fd_close(l->packs[i]);
	free(l->packs);
	verify_done(&l->verify);
	if (l->arrivals.find)
		fd_close(l->arrivals.fd);
	l->arrivals.find = NULL;
	layer_index_close(l->index);
	l->index_fd = fd_close(l->index_fd);
	l->index = NULL;
	l->packs = NULL;
	l->npacks = 0;
}

int lower_index_stat(struct lower *l, uint64_t id, struct stat *ret)
{
	struct layer_attr a;
	int e = layer_stat(l->index, id, &a);

	if (e < 0)
		return e;
	*ret = (struct stat){
		.st_ino = id,
		.st_mode = a.mode,
		.st_uid = a.uid,
		.st_gid = a.gid,
		.st_nlink = a.nlink,
		.st_rdev = a.rdev,
		.st_size = (off_t)a.size,
		.st_blocks = (blkcnt_t)((a.size + 511) / 512),
		.st_atim = a.mtime,
		.st_mtim = a.mtime,
		.st_ctim = a.mtime,
	};
	return 0;
}

static int open_object(struct lower *l, uint64_t id, const struct digest *digest,
		       struct lower_data *ret)
{
	struct fdcache *c = &l->u->fds;

	ret->whole = true;
	ret->ref = fdcache_get(c, id, FD_LOWER_FILE);
	if (!ret->ref) {
		int e, fd = l->object_open ? l->object_open(l->ctx, id, digest) : -EIO;

		if (fd == -EMFILE) {
			fdcache_shrink(c);
			fd = l->object_open(l->ctx, id, digest);
		}
		if (fd < 0)
			return fd;
		e = verify_object(&l->verify, fd, id, digest);
		if (e) {
			fd_close(fd);
			return e;
		}
		ret->ref = fdcache_add(c, id, FD_LOWER_FILE, fd);
	}
	if (!ret->ref)
		return -ENOMEM;
	ret->fd = ret->ref->fd;
	return 0;
}

int lower_index_data(struct lower *l, uint64_t id, struct lower_data *ret)
{
	struct layer_content c;
	struct layer_attr a;
	int e = layer_stat(l->index, id, &a);

	if (!e)
		e = layer_content(l->index, id, &c);
	if (e < 0)
		return e;
	if (!S_ISREG(a.mode))
		return S_ISDIR(a.mode) ? -EISDIR : -EINVAL;
	ret->size = a.size;
	if (l->arrivals.find && l->arrivals.find(l->arrivals.ctx, id, &ret->base)) {
		ret->fd = l->arrivals.fd;
		ret->arrives = id;
		return 0;
	}
	switch (c.kind) {
	case LAYER_EMPTY:
		return 0;
	case LAYER_INLINE:
		ret->mem = c.data;
		return 0;
	case LAYER_PACK:
		if (!c.device || c.device > l->npacks)
			return -EBADMSG;
		ret->fd = l->packs[c.device - 1];
		ret->base = (uint64_t)c.block * LAYER_BLOCK;
		return verify_blocks(&l->verify, l->index, ret->fd, c.device, c.block,
				     (a.size + LAYER_BLOCK - 1) / LAYER_BLOCK);
	case LAYER_OBJECT:
		return open_object(l, id, &c.digest, ret);
	}
	return -EBADMSG;
}

static void copy_name(const struct layer_dirent *d, char name[256])
{
	memcpy(name, d->name, d->namelen);
	name[d->namelen] = 0;
}

int lower_index_parent(struct lower *l, uint64_t id, uint64_t *ret_parent, char name[256])
{
	struct layer_dirent d;
	uint64_t parent, cookie = 0;
	int e = layer_parent(l->index, id, &parent);

	while (!e) {
		e = layer_readdir(l->index, parent, cookie, &d);
		if (e <= 0)
			return e ? e : -EBADMSG;
		cookie = d.next;
		e = 0;
		if (d.nid != id || str_is_dots(d.name, d.namelen))
			continue;
		copy_name(&d, name);
		*ret_parent = parent;
		return 0;
	}
	return e;
}

/*
 * A file's inode does not say where its names are, and nothing is kept for that. Inodes stand in
 * the order of a walk, depth first (docs/formats/index.md): so a file is below the last directory
 * whose nid is not above its own.
 */
static int descend(struct lower *l, uint64_t id, uint64_t *ret_dir, char name[256])
{
	uint64_t dir = UFS_ROOT, cookie, below;
	struct layer_dirent d;
	int e;

	for (; dir; dir = below) {
		below = cookie = 0;
		while ((e = layer_readdir(l->index, dir, cookie, &d)) > 0) {
			cookie = d.next;
			if (str_is_dots(d.name, d.namelen))
				continue;
			if (d.nid == id) {
				copy_name(&d, name);
				*ret_dir = dir;
				return 0;
			}
			/* Downwards only: a damaged index must not turn this in a circle. */
			if (d.type == DT_DIR && d.nid > dir && d.nid < id)
				below = MAX(below, d.nid);
		}
		if (e < 0)
			return e;
	}
	return -ENOENT;
}

/*
 * The names of a file with several links may be anywhere: the whole index is walked, 2-3 ms for
 * 50,000 names.
 */
struct names_walk {
	uint64_t want;
	uint32_t left; /* names not yet found */
	int (*fn)(void *ctx, uint64_t dir, const char *name);
	void *ctx;
	uint64_t *stack; /* directories to visit */
	size_t depth, cap;
};

static int visit(struct names_walk *w, uint64_t dir, const struct layer_dirent *d)
{
	char name[256];

	if (str_is_dots(d->name, d->namelen))
		return 0;
	if (d->nid == w->want) {
		copy_name(d, name);
		w->left--;
		return w->fn(w->ctx, dir, name);
	}
	if (d->type != DT_DIR)
		return 0;
	if (mem_grow(&w->stack, &w->cap, w->depth + 1, sizeof(*w->stack)) < 0)
		return -ENOMEM;
	w->stack[w->depth++] = d->nid;
	return 0;
}

static int walk_dir(struct lower *l, struct names_walk *w, uint64_t dir)
{
	struct layer_dirent d;
	uint64_t cookie = 0;
	int e;

	while (w->left && (e = layer_readdir(l->index, dir, cookie, &d)) != 0) {
		if (e > 0)
			e = visit(w, dir, &d);
		if (e)
			return e;
		cookie = d.next;
	}
	return 0;
}

int lower_index_names(struct lower *l, uint64_t id, int (*fn)(void *, uint64_t, const char *),
		      void *ctx)
{
	struct names_walk w = { .want = id, .fn = fn, .ctx = ctx };
	/* A damaged index may have a directory twice: no walk is longer than there are inodes. */
	uint64_t bound = layer_index_ninodes(l->index);
	struct layer_attr a;
	uint64_t dir;
	char name[256];
	int e = layer_stat(l->index, id, &a);

	if (e < 0)
		return e;
	if (a.nlink <= 1) {
		e = descend(l, id, &dir, name);
		if (e != -ENOENT)
			return e ? e : fn(ctx, dir, name);
	}
	w.left = a.nlink;
	e = mem_grow(&w.stack, &w.cap, 64, sizeof(*w.stack));
	if (e < 0)
		return e;
	w.stack[w.depth++] = UFS_ROOT;
	while (!e && w.left && w.depth && bound--)
		e = walk_dir(l, &w, w.stack[--w.depth]);
	free(w.stack);
	return e;
}
