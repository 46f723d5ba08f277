/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction's folder: begun, filled, dropped. The commit is commit.c's. */
#include "imagestore/txn.h"

#include <sys/random.h>
#include <sys/stat.h>

static const char *const folders[] = { "blobs", "objects", "layers", "merged", "published" };

struct txn_file txn_blob(const struct digest *d)
{
	struct txn_file f;

	snprintf(f.s, sizeof(f.s), "blobs/%s", digest_hex(d).s);
	return f;
}

struct txn_file txn_object(const struct digest *d)
{
	struct txn_file f;

	snprintf(f.s, sizeof(f.s), "objects/%s", digest_hex(d).s);
	return f;
}

int txn_write_err(struct txn *t, int e)
{
	switch (e) {
	case -ENOSPC:
	case -EDQUOT:
		return err(e, "%s: no space left: `strata gc` frees what nothing names",
			   t->s->path);
	case -EROFS:
		return err(e,
			   "%s: on a read-only file system: mount it writable, or choose by --root",
			   t->s->path);
	case -EACCES:
	case -EPERM:
		return err(
			e,
			"%s: no permission to write there: run as its owner, or choose by --root",
			t->s->path);
	case -ENOMEM:
		return e;
	default:
		return err(e, "%s: cannot be written: %s", t->s->path, strerror(-e));
	}
}

/* ---- begin ---- */

static int make_folders(struct txn *t)
{
	struct store_file path;

	snprintf(path.s, sizeof(path.s), "tmp/%s", t->name);
	if (mkdirat(t->s->dirfd, path.s, 0700) < 0)
		return -errno;
	t->dirfd = openat(t->s->dirfd, path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dirfd < 0)
		return -errno;
	t->live_fd = openat(t->dirfd, "live", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (t->live_fd < 0)
		return -errno;
	return fd_lock(t->live_fd, true, false);
}

static int begin(struct txn *t)
{
	_close_ int lock = -1;
	uint64_t number;
	int r;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(t->name, sizeof(t->name), "%016llx", (unsigned long long)number);
	/*
	 * Who clears the dead holds it exclusive: it never sees a folder of the living without its
	 * lock.
	 */
	r = store_lock(t->s, false, &lock);
	if (r >= 0)
		r = make_folders(t);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(folders); i++)
		r = mkdirat(t->dirfd, folders[i], 0755) < 0 ? -errno : 0;
	return r;
}

int txn_begin(struct store *s, struct txn **ret)
{
	struct txn *t = new0(struct txn);
	int r;

	if (!t)
		return -ENOMEM;
	t->s = s;
	t->dirfd = t->live_fd = t->claims_fd = -1;
	r = s->rdonly ? -EROFS : begin(t);
	if (r < 0) {
		r = txn_write_err(t, r);
		txn_abort(t);
		return r;
	}
	*ret = t;
	return 0;
}

void txn_abort(struct txn *t)
{
	struct store_file path;

	if (!t)
		return;
	for (size_t i = 0; i < t->nnames; i++) {
		free(t->names[i].name);
		free(t->names[i].media_type);
	}
	free(t->names);
	free(t->source);
	snprintf(path.s, sizeof(path.s), "tmp/%s", t->name);
	/* What cannot be removed now is a dead transaction as soon as its lock is gone. */
	if (t->dirfd >= 0)
		fd_remove_tree(t->s->dirfd, path.s);
	txn_drop_claims(t);
	fd_close(t->dirfd);
	fd_close(t->live_fd);
	free(t);
}

/* ---- writing ---- */

int txn_create(struct txn *t, struct txn_file *ret_name)
{
	int fd;

	snprintf(ret_name->s, sizeof(ret_name->s), "new-%llu", (unsigned long long)t->counter++);
	fd = openat(t->dirfd, ret_name->s, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return txn_write_err(t, -errno);
	t->nfiles++;
	return fd;
}

static int seal(struct txn *t, const struct txn_file *name, const char *final)
{
	if (renameat2(t->dirfd, name->s, t->dirfd, final, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST)
		return txn_write_err(t, -errno);
	return unlinkat(t->dirfd, name->s, 0) < 0 ? txn_write_err(t, -errno) : 0;
}

int txn_seal_blob(struct txn *t, const struct txn_file *name, const struct digest *d)
{
	return seal(t, name, txn_blob(d).s);
}

/* -ENOENT: neither the store nor the transaction has such a file. */
static int pin(struct txn *t, const char *from, const char *to)
{
	if (linkat(t->s->dirfd, from, t->dirfd, to, 0) == 0 || errno == EEXIST) {
		t->npinned++;
		return 0;
	}
	if (errno != ENOENT)
		return txn_write_err(t, -errno);
	return faccessat(t->dirfd, to, F_OK, 0) == 0 ? 0 : -ENOENT;
}

int txn_seal_object(struct txn *t, const struct txn_file *name, const struct digest *d)
{
	int r = pin(t, object_file(d).s, txn_object(d).s);

	if (r == -ENOENT)
		return seal(t, name, txn_object(d).s);
	if (r < 0)
		return r;
	return unlinkat(t->dirfd, name->s, 0) < 0 ? txn_write_err(t, -errno) : 0;
}

int txn_put_blob(struct txn *t, const void *data, size_t len, struct digest *ret)
{
	struct txn_file name = { 0 };
	_close_ int fd = txn_create(t, &name);
	int r;

	if (fd < 0)
		return fd;
	r = fd_write_full(fd, data, len);
	if (r < 0)
		return txn_write_err(t, r);
	*ret = sha256_of(data, len);
	return txn_seal_blob(t, &name, ret);
}

/* ---- pinning ---- */

int txn_pin_blob(struct txn *t, const struct digest *d)
{
	return pin(t, blob_file(d).s, txn_blob(d).s);
}

int txn_pin_object(struct txn *t, const struct digest *d)
{
	return pin(t, object_file(d).s, txn_object(d).s);
}

/* Links one file of a layer from its folder @from to the transaction's @to. */
static int pin_file(struct txn *t, int from, int to, const char *name)
{
	t->npinned++;
	if (linkat(from, name, to, name, 0) == 0)
		return 0;
	return errno == ENOENT ? -ENOENT : txn_write_err(t, -errno);
}

/* All files that the record names; gc may be unlinking them while we go. */
static int pin_named(struct txn *t, int from, int to)
{
	_json_ json_t *record = NULL;
	const char *name;
	json_t *digest;
	int r = pin_file(t, from, to, "record");

	if (r >= 0)
		r = record_read(to, "record", &record);
	if (r < 0)
		return r;
	json_object_foreach(json_get_object(record, "files"), name, digest)
	{
		r = pin_file(t, from, to, name);
		if (r >= 0 && streq(name, "packsum"))
			r = pin_file(t, from, to, "pack");
		if (r < 0)
			return r;
	}
	return 0;
}

static int pin_objects(struct txn *t, const struct digest *diff_id)
{
	_free_ struct digest *list = NULL;
	size_t n = 0;
	int r = layer_objects(t->dirfd, layer_file(diff_id, "objects").s, &list, &n);

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = pin(t, object_file(&list[i]).s, txn_object(&list[i]).s);
	return r;
}

static int pin_files(struct txn *t, const struct digest *diff_id)
{
	struct store_file path = layer_file(diff_id, NULL);
	_close_ int from = openat(t->s->dirfd, path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC), to = -1;

	if (from < 0)
		return errno == ENOENT ? -ENOENT : err_sys("%s/%s", t->s->path, path.s);
	if (mkdirat(t->dirfd, path.s, 0755) < 0)
		return txn_write_err(t, -errno);
	to = openat(t->dirfd, path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return to < 0 ? txn_write_err(t, -errno) : pin_named(t, from, to);
}

int txn_pin_layer(struct txn *t, const struct digest *diff_id)
{
	struct store_file path = layer_file(diff_id, NULL);
	int r;

	if (faccessat(t->dirfd, path.s, F_OK, 0) == 0)
		return 0;
	r = pin_files(t, diff_id);
	if (r >= 0)
		r = pin_objects(t, diff_id);
	if (r == -ENOENT)
		fd_remove_tree(t->dirfd, path.s);
	return r;
}

int txn_hold(struct txn *t, const struct digest *diff_id)
{
	struct image_layer layer;
	int r = layer_find(t->s, diff_id, &layer);

	if (r < 0)
		return r;
	r = txn_pin_blob(t, &layer.blob);
	if (r < 0 && r != -ENOENT) /* a blob that is gone is made again when an image needs it */
		return r;
	r = txn_pin_layer(t, diff_id);
	if (r == -ENOENT)
		return err(r, "layer sha256:%s is not in the store", digest_hex(diff_id).s);
	return r;
}

int txn_add_name(struct txn *t, const char *name, const char *media_type,
		 const struct digest *manifest, uint64_t size)
{
	struct txn_name *n;

	if (mem_grow(&t->names, &t->cap, t->nnames + 1, sizeof(*t->names)) < 0)
		return -ENOMEM;
	n = &t->names[t->nnames];
	*n = (struct txn_name){
		.name = name ? strdup(name) : NULL,
		.media_type = strdup(media_type),
		.manifest = *manifest,
		.size = size,
	};
	t->nnames++;
	return n->media_type && (!name || n->name) ? 0 : -ENOMEM;
}

/* ---- merging ---- */

static int write_merged(struct txn *t, const char *path, const struct digest *diff_ids, size_t n)
{
	_close_ int fd = openat(t->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	int r;

	if (fd < 0)
		return txn_write_err(t, -errno);
	r = stack_merge(t->dirfd, diff_ids, n, fd);
	return r == -ENOSPC || r == -EDQUOT ? txn_write_err(t, r) : r;
}

/* The digests of its blocks, for who reads it (layer_index_open_verified()). */
static int write_sums(struct txn *t, const char *index, const char *path)
{
	_close_ int fd = openat(t->dirfd, index, O_RDONLY | O_CLOEXEC), sums = -1;
	int r = fd < 0 ? -errno : 0;

	if (r >= 0)
		sums = openat(t->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (r >= 0)
		r = sums < 0 ? -errno : layer_index_sums(fd, sums);
	return r < 0 ? txn_write_err(t, r) : 0;
}

static int write_text(struct txn *t, const char *path, const char *text)
{
	_close_ int fd = openat(t->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	int r = fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));

	return r < 0 ? txn_write_err(t, r) : 0;
}

int txn_merge(struct txn *t, const struct digest *diff_ids, size_t n)
{
	struct digest chain = image_chain_id(diff_ids, n);
	struct store_file index = merged_file(&chain, ""), layers = merged_file(&chain, ".layers"),
			  sums = merged_file(&chain, ".sums");
	_free_ char *text = digests_text(diff_ids, n);
	int r;

	if (!text)
		return -ENOMEM;
	if (store_has(t->s, index.s) || faccessat(t->dirfd, index.s, F_OK, 0) == 0)
		return 0;
	r = write_text(t, layers.s, text);
	if (r >= 0)
		r = write_merged(t, index.s, diff_ids, n);
	if (r >= 0)
		r = write_sums(t, index.s, sums.s);
	if (r >= 0)
		txn_share(t, diff_ids, n);
	t->nfiles += 3;
	return r;
}
