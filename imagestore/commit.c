/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 3 to 6 of the commit protocol: docs/formats/store.md says why each is there. */
#include "imagestore/digest_set.h"
#include "imagestore/txn.h"

#include <sys/stat.h>

/* Up to this many are synced one by one: syncfs(2) waits for everybody's writes. */
#define FEW_FILES 12

/* ---- sync ---- */

/*
 * A file that has a name outside is one that was linked to us: whoever published it has synced it.
 */
static bool is_pinned(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1;
}

static int sync_path(int dirfd, const char *path, int flags, bool all)
{
	_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0)
		return -errno;
	return (all || !is_pinned(fd)) && fsync(fd) < 0 ? -errno : 0;
}

struct syncing {
	int dirfd;
	bool all; /* pinned files too: a download that is not forgotten yet looks like one */
	const char *folder;
	bool deep; /* the entries are folders of files */
};

static int sync_entry(void *ctx, const char *name)
{
	struct syncing *y = ctx, inner = { .dirfd = y->dirfd, .all = y->all };
	_free_ char *path = str_fmt("%s/%s", y->folder, name);
	int r;

	if (!path)
		return -ENOMEM;
	if (!y->deep)
		return sync_path(y->dirfd, path, 0, y->all);
	inner.folder = path;
	r = folder_each(y->dirfd, path, sync_entry, &inner);
	return r < 0 ? r : sync_path(y->dirfd, path, O_DIRECTORY, y->all);
}

static int sync_few(struct txn *t)
{
	static const char *const folders[] = { "blobs", "objects", "merged", "layers" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct syncing y = { .dirfd = t->dirfd,
				     .all = t->named_twice,
				     .folder = folders[i],
				     .deep = streq(folders[i], "layers") };
		int r = folder_each(t->dirfd, folders[i], sync_entry, &y);

		if (r < 0)
			return r;
	}
	return 0;
}

static int sync_data(struct txn *t)
{
	int r = t->nfiles > FEW_FILES ? (syncfs(t->s->dirfd) < 0 ? -errno : 0) : sync_few(t);

	return r < 0 ? txn_write_err(t, r) : 0;
}

static int sync_object_folder(void *ctx, const char *name)
{
	struct txn *t = ctx;
	_free_ char *path = str_fmt("objects/%.2s", name);

	return path ? sync_path(t->s->dirfd, path, O_DIRECTORY, true) : -ENOMEM;
}

static int sync_names(struct txn *t)
{
	static const char *const folders[] = { "objects", "blobs/sha256", "layers" };
	int r;

	if (t->nfiles + t->npinned > FEW_FILES)
		return syncfs(t->s->dirfd) < 0 ? txn_write_err(t, -errno) : 0;
	r = folder_each(t->dirfd, "objects", sync_object_folder, t);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(folders); i++)
		r = sync_path(t->s->dirfd, folders[i], O_DIRECTORY, true);
	return r < 0 ? txn_write_err(t, r) : 0;
}

/* ---- publish ---- */

/* Links @from to its place; what stands there is as good. */
static int publish_link(struct txn *t, const char *from, const char *to)
{
	if (linkat(t->dirfd, from, t->s->dirfd, to, 0) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

static int publish_object(void *ctx, const char *name)
{
	struct txn *t = ctx;
	char from[96], to[96], folder[16];
	int r;

	snprintf(from, sizeof(from), "objects/%.64s", name);
	snprintf(to, sizeof(to), "objects/%.2s/%.64s", name, name);
	r = publish_link(t, from, to);
	if (r != -ENOENT)
		return r;
	snprintf(folder, sizeof(folder), "objects/%.2s", name);
	if (mkdirat(t->s->dirfd, folder, 0755) < 0 && errno != EEXIST)
		return -errno;
	return publish_link(t, from, to);
}

static int publish_blob(void *ctx, const char *name)
{
	struct txn *t = ctx;
	char from[96], to[96];

	snprintf(from, sizeof(from), "blobs/%.64s", name);
	snprintf(to, sizeof(to), "blobs/sha256/%.64s", name);
	return publish_link(t, from, to);
}

static int publish_layer(void *ctx, const char *name)
{
	struct txn *t = ctx;
	char path[96], mark[96];

	snprintf(path, sizeof(path), "layers/%.64s", name);
	snprintf(mark, sizeof(mark), "published/%.64s", name);
	/*
	 * gc sees by it that the layer is ours still, when its folder is no longer here. A name
	 * more of a file that is there costs no inode.
	 */
	if (linkat(t->dirfd, "live", t->dirfd, mark, 0) < 0 && errno != EEXIST)
		return -errno;
	if (renameat2(t->dirfd, path, t->s->dirfd, path, RENAME_NOREPLACE) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

static int publish_merged(void *ctx, const char *name)
{
	struct txn *t = ctx;
	_free_ char *path = str_fmt("merged/%s", name), *list = str_fmt("merged/%s.layers", name),
		    *sums = str_fmt("merged/%s.sums", name);
	int r;

	if (!path || !list || !sums)
		return -ENOMEM;
	if (strchr(name, '.'))
		return 0;		 /* with its index */
	r = publish_link(t, list, list); /* first: gc reads it by the name of the index */
	/*
	 * One that is there may be what is left of a damaged index; of a good one it is the same.
	 */
	if (r >= 0 && renameat(t->dirfd, sums, t->s->dirfd, sums) < 0 && errno != ENOENT)
		r = -errno;
	return r < 0 ? r : publish_link(t, path, path);
}

int txn_publish(struct txn *t)
{
	_close_ int lock = -1;
	int r = store_lock(t->s, false, &lock);

	if (r < 0)
		return r;
	t->published = true;
	r = folder_each(t->dirfd, "objects", publish_object, t);
	if (r >= 0)
		r = folder_each(t->dirfd, "blobs", publish_blob, t);
	if (r >= 0)
		r = folder_each(t->dirfd, "layers", publish_layer, t);
	if (r >= 0)
		r = folder_each(t->dirfd, "merged", publish_merged, t);
	return r < 0 ? txn_write_err(t, r) : 0;
}

/* ---- names ---- */

static int write_names(struct txn *t)
{
	_json_ json_t *index = NULL;
	_close_ int lock = -1;
	int r = t->nnames ? store_lock(t->s, true, &lock) : 0;

	if (r < 0 || t->nnames == 0)
		return r;
	r = index_read(t->s, &index);
	for (size_t i = 0; r >= 0 && i < t->nnames; i++) {
		const struct txn_name *n = &t->names[i];

		r = index_set(index, n->name, n->media_type, &n->manifest, n->size, t->source);
	}
	if (r < 0)
		return r;
	return index_write(t->s, index);
}

/* ---- a commit that failed ---- */

static int add_digest(void *ctx, const char *name)
{
	struct digest d;

	if (digest_parse_hex(name, strlen(name), &d) == 0)
		digest_set_add(ctx, &d);
	return 0;
}

static int add_chain(void *ctx, const char *name)
{
	const char *hex = strchr(name, '-');

	return hex ? add_digest(ctx, hex + 1) :
		     0; /* of the list beside it the digest is no whole name */
}

/*
 * Takes back what was published, unless somebody else relies on it by now. The failure's own text
 * stays.
 */
static void take_back(struct txn *t)
{
	_cleanup_(digest_set_done) struct digest_set only = { 0 };
	static const char *const folders[] = { "objects", "blobs", "layers", "published" };
	struct gc_result result = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		folder_each(t->dirfd, folders[i], add_digest, &only);
	folder_each(t->dirfd, "merged", add_chain, &only);
	gc_run(t->s, &(struct gc_scope){ .only = &only, .without_txn = t->name }, &result);
}

int txn_commit(struct txn *t)
{
	int r;

	txn_verity(t);
	r = sync_data(t);
	if (r >= 0)
		r = txn_publish(t);
	if (r >= 0)
		r = sync_names(t);
	if (r >= 0)
		r = write_names(t);
	if (r < 0 && t->published)
		take_back(t);
	return r < 0 ? r : 0;
}
