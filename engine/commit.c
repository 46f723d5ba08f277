/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/commit.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/str.h"
#include "engine/layers.h"
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The first name of a file with several: what a hard link in the tar points to. */
struct first_name {
	struct hash_entry entry;
	uint64_t ino;
	char *path;
};

struct commit {
	struct layer_sink *sink;
	struct archive *tar;
	struct hash_table names;
	uint64_t changes;
	char *buf;
};

#define COPY_BUF (256u << 10)

static la_ssize_t write_tar(_unused_ struct archive *a, void *ctx, const void *data, size_t len)
{
	struct commit *c = ctx;

	return layer_sink_write(c->sink, data, len) < 0 ? -1 : (la_ssize_t)len;
}

static int tar_error(struct commit *c, const char *path)
{
	return err(-EIO, "layer: %s: %s", path, archive_error_string(c->tar));
}

static void entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

/* libarchive gives ARCHIVE_WARN for names it could not translate; with hdrcharset=BINARY there is
 * nothing to. */
static int write_header(struct commit *c, struct archive_entry *e)
{
	return archive_write_header(c->tar, e) < ARCHIVE_WARN ?
		       tar_error(c, archive_entry_pathname(e)) :
		       0;
}

static int write_marker(struct commit *c, const char *path)
{
	_cleanup_(entry_freep) struct archive_entry *e = archive_entry_new();

	if (!e)
		return -ENOMEM;
	archive_entry_copy_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_size(e, 0);
	archive_entry_set_mtime(e, 0, 0);
	return write_header(c, e);
}

/* OCI image-spec layer.md, "Whiteouts": .wh.NAME beside the name that is gone. */
static int write_whiteout(struct commit *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0;
	_free_ char *marker = str_fmt("%.*s.wh.%s", dir, path, path + dir);

	return marker ? write_marker(c, marker) : -ENOMEM;
}

static int write_opaque(struct commit *c, const char *path)
{
	_free_ char *marker = str_fmt("%s%s.wh..wh..opq", path, *path ? "/" : "");

	return marker ? write_marker(c, marker) : -ENOMEM;
}

/* Gives the earlier name of a file met before, or remembers this one. */
static int earlier_name(struct commit *c, const struct ufs_change *ch, const char **ret)
{
	uint64_t hash = hash_u64(ch->ino);
	struct first_name *f;

	*ret = NULL;
	if (ch->nlink < 2 || S_ISDIR(ch->mode))
		return 0;
	for (struct hash_entry *h = hash_table_first(&c->names, hash); h; h = hash_table_next(h)) {
		f = container_of(h, struct first_name, entry);
		if (f->ino == ch->ino) {
			*ret = f->path;
			return 0;
		}
	}
	f = new0(struct first_name);
	if (!f || !(f->path = strdup(ch->path)) || hash_table_add(&c->names, &f->entry, hash) < 0) {
		if (f)
			free(f->path);
		free(f);
		return -ENOMEM;
	}
	f->ino = ch->ino;
	return 0;
}

static int add_xattrs(struct commit *c, const struct ufs_change *ch, struct archive_entry *e)
{
	for (size_t at = 0; at < ch->xattrs_len; at += strlen(ch->xattrs + at) + 1) {
		const char *name = ch->xattrs + at;
		int len = ch->getxattr(ch, name, c->buf, COPY_BUF);

		if (len < 0)
			return err(len, "layer: %s: xattr %s: %s", ch->path, name, strerror(-len));
		archive_entry_xattr_add_entry(e, name, c->buf, len);
	}
	return 0;
}

static int write_content(struct commit *c, const struct ufs_change *ch)
{
	uint64_t off = 0;

	while (off < ch->size) {
		ssize_t n =
			pread(ch->fd, c->buf, MIN(ch->size - off, (uint64_t)COPY_BUF), (off_t)off);

		if (n <= 0)
			return n < 0 ? err_sys("layer: %s", ch->path) :
				       err(-EIO, "layer: %s shrank", ch->path);
		if (archive_write_data(c->tar, c->buf, n) != n)
			return tar_error(c, ch->path);
		off += n;
	}
	return 0;
}

static int fill_entry(struct commit *c, const struct ufs_change *ch, struct archive_entry *e)
{
	archive_entry_copy_pathname(e, *ch->path ? ch->path : "./");
	archive_entry_set_mode(e, ch->mode);
	archive_entry_set_uid(e, ch->uid);
	archive_entry_set_gid(e, ch->gid);
	archive_entry_set_mtime(e, ch->mtime_sec, ch->mtime_nsec);
	archive_entry_set_size(e, S_ISREG(ch->mode) ? (int64_t)ch->size : 0);
	if (S_ISCHR(ch->mode) || S_ISBLK(ch->mode)) {
		archive_entry_set_rdevmajor(e, major(ch->rdev));
		archive_entry_set_rdevminor(e, minor(ch->rdev));
	}
	if (S_ISLNK(ch->mode))
		archive_entry_copy_symlink(e, ch->target);
	return add_xattrs(c, ch, e);
}

static int write_put(struct commit *c, const struct ufs_change *ch)
{
	_cleanup_(entry_freep) struct archive_entry *e = archive_entry_new();
	const char *earlier;
	int r;

	if (!e)
		return -ENOMEM;
	if (S_ISSOCK(ch->mode)) /* a tar cannot hold one, and without its server it is nothing */
		return 0;
	r = earlier_name(c, ch, &earlier);
	if (r < 0)
		return r;
	if (earlier) {
		archive_entry_copy_pathname(e, ch->path);
		archive_entry_copy_hardlink(e, earlier);
		archive_entry_set_filetype(e, AE_IFREG);
		return write_header(c, e);
	}
	r = fill_entry(c, ch, e);
	if (r >= 0)
		r = write_header(c, e);
	if (r >= 0 && S_ISREG(ch->mode))
		r = write_content(c, ch);
	return r < 0 || !ch->opaque ? r : write_opaque(c, ch->path);
}

static int write_change(void *ctx, const struct ufs_change *ch)
{
	struct commit *c = ctx;

	/* The root's own entry alone is no change: its times move with the first mount. */
	c->changes += *ch->path || ch->opaque;
	return ch->kind == UFS_CHANGE_DELETE ? write_whiteout(c, ch->path) : write_put(c, ch);
}

static int open_tar(struct commit *c)
{
	c->tar = archive_write_new();
	c->buf = malloc(COPY_BUF);
	if (!c->tar || !c->buf)
		return -ENOMEM;
	archive_write_set_format_pax(c->tar);
	archive_write_set_options(c->tar, "hdrcharset=BINARY");
	archive_write_set_bytes_per_block(c->tar, 0);
	return archive_write_open(c->tar, c, NULL, write_tar, NULL) < ARCHIVE_WARN ?
		       tar_error(c, "tar") :
		       0;
}

static void commit_done(struct commit *c)
{
	struct hash_entry *h;

	archive_write_free(c->tar);
	free(c->buf);
	while ((h = hash_table_walk(&c->names, NULL))) {
		struct first_name *f = container_of(h, struct first_name, entry);

		hash_table_remove(&c->names, h);
		free(f->path);
		free(f);
	}
	hash_table_done(&c->names);
	if (c->sink)
		layer_sink_close(c->sink, NULL);
}

int commit_layer(struct store *s, struct txn *t, const struct rootfs *r,
		 const struct run_spec *spec, struct image_layer *ret, bool *ret_empty)
{
	_cleanup_(commit_done) struct commit c = { 0 };
	int e = layer_sink_open(t, NULL, &c.sink);

	if (e >= 0)
		e = open_tar(&c);
	if (e >= 0)
		e = layers_changes(s, r, spec, write_change, &c);
	if (e < 0)
		return e;
	*ret_empty = c.changes == 0;
	if (*ret_empty)
		return 0;
	if (archive_write_close(c.tar) < ARCHIVE_WARN)
		return tar_error(&c, "tar");
	return layer_sink_close(take_ptr(c.sink), ret);
}
