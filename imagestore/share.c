/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the file system shares blocks between files (XFS, Btrfs), an object that a layer brings
 * shares those that it has in common with what a layer below has under the same path: a file that
 * was changed in its middle or grew. FIDEDUPERANGE (ioctl_fideduperange(2)) compares once more
 * itself, so nothing here can change a byte, and what fails costs disk alone.
 */
#include "imagestore/txn.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define CHUNK	 (256u << 10)	    /* compared at once */
#define CALL_MAX (16u << 20)	    /* what a kernel takes in one call */
#define RUN_MIN	 (4u * LAYER_BLOCK) /* what is shorter would only scatter the file */
#define SAMPLES	 16u /* blocks of which one at least is the same before a file is read as a whole */

struct sharing {
	struct txn *t;
	struct layer_index **stack; /* lowest first */
	size_t at;		    /* the layer at hand */
	char path[PATH_MAX];	    /* in it, "/" in front of each name */
	uint8_t *chunks;	    /* two of CHUNK */
	uint64_t block;		    /* of the file system, which shares whole ones */
	bool impossible;	    /* this file system does not */
};

/* ---- two files ---- */

/* Gives how many bytes are shared now; what differs after all, or cannot be, ends it. */
static uint64_t dedupe(int from, int to, uint64_t off, uint64_t len, int *ret_error)
{
	union {
		struct file_dedupe_range range;
		uint8_t room[sizeof(struct file_dedupe_range) +
			     sizeof(struct file_dedupe_range_info)];
	} u = { .range = { .src_offset = off, .src_length = len, .dest_count = 1 } };
	struct file_dedupe_range_info *info = u.range.info;

	info->dest_fd = to;
	info->dest_offset = off;
	if (ioctl(from, FIDEDUPERANGE, &u.range) < 0)
		*ret_error = -errno;
	else if (info->status < 0)
		*ret_error = info->status;
	else
		return info->bytes_deduped;
	return 0;
}

/*
 * For every range, that is. EINVAL is not: it is about this one, or about these two files (Btrfs,
 * where one of them has no checksums), since can_share() has seen another be taken.
 */
static bool is_impossible(int error)
{
	return error == -EOPNOTSUPP || error == -ENOTTY || error == -EXDEV;
}

static void share_run(struct sharing *s, int from, int to, uint64_t off, uint64_t end)
{
	off = ROUND_UP(off, s->block);
	end = end / s->block * s->block;
	while (off + RUN_MIN <= end && !s->impossible) {
		int error = 0;
		uint64_t n = dedupe(from, to, off, MIN(end - off, (uint64_t)CALL_MAX), &error);

		s->impossible = is_impossible(error);
		if (!n)
			return;
		off += n;
	}
}

/* How many bytes both have from @off on, in whole blocks; in s->chunks. */
static size_t read_both(struct sharing *s, int from, int to, uint64_t off, size_t most)
{
	ssize_t a = fd_pread_full(from, s->chunks, most, (off_t)off);
	ssize_t b = fd_pread_full(to, s->chunks + CHUNK, most, (off_t)off);
	ssize_t n = MIN(a, b);

	return n < (ssize_t)LAYER_BLOCK ? 0 : (size_t)n / LAYER_BLOCK * LAYER_BLOCK;
}

static bool same_block(const struct sharing *s, size_t at)
{
	return memcmp(s->chunks + at, s->chunks + CHUNK + at, LAYER_BLOCK) == 0;
}

/* A few blocks tell files that have nothing in common, without reading them. */
static bool are_alike(struct sharing *s, int from, int to, uint64_t size)
{
	uint64_t blocks = size / LAYER_BLOCK;

	for (uint64_t i = 0; i < SAMPLES; i++) {
		uint64_t off = blocks * i / SAMPLES * LAYER_BLOCK;

		if (read_both(s, from, to, off, LAYER_BLOCK) && same_block(s, 0))
			return true;
	}
	return false;
}

static void share_files(struct sharing *s, int from, int to)
{
	uint64_t off = 0, begun = 0;
	bool same = false;
	size_t n;

	while (!s->impossible && (n = read_both(s, from, to, off, CHUNK))) {
		for (size_t at = 0; at < n; at += LAYER_BLOCK) {
			bool now = same_block(s, at);

			if (same && !now)
				share_run(s, from, to, begun, off + at);
			if (now && !same)
				begun = off + at;
			same = now;
		}
		off += n;
	}
	if (same)
		share_run(s, from, to, begun, off);
}

static void share_objects(struct sharing *s, const struct digest *old, const struct digest *new)
{
	_close_ int from = openat(s->t->dirfd, txn_object(old).s, O_RDONLY | O_CLOEXEC);
	_close_ int to = openat(s->t->dirfd, txn_object(new).s, O_RDONLY | O_CLOEXEC);
	struct stat a, b;

	if (from < 0 || to < 0 || fstat(from, &a) < 0 || fstat(to, &b) < 0)
		return;
	if (are_alike(s, from, to, (uint64_t)MIN(a.st_size, b.st_size)))
		share_files(s, from, to);
}

/* ---- which files ---- */

/* What layer @x has under the path: an object, or false. */
static bool object_at(const struct layer_index *x, const char *path, struct digest *ret)
{
	uint64_t nid = LAYER_ROOT_NID;
	struct layer_content c = { 0 };
	int r = 0;

	while (r == 0 && *path) {
		size_t len = strcspn(++path, "/");

		r = layer_lookup(x, nid, path, len, &nid);
		path += len;
	}
	if (r == 0)
		r = layer_content(x, nid, &c);
	err_clear();
	if (r < 0 || c.kind != LAYER_OBJECT)
		return false;
	*ret = c.digest;
	return true;
}

static void visit_file(struct sharing *s, uint64_t nid)
{
	struct layer_content c;
	struct digest old;

	if (layer_content(s->stack[s->at], nid, &c) < 0 || c.kind != LAYER_OBJECT) {
		err_clear();
		return;
	}
	for (size_t i = s->at; i-- > 0;) {
		if (!object_at(s->stack[i], s->path, &old))
			continue;
		if (!digest_eq(&old, &c.digest))
			share_objects(s, &old, &c.digest);
		return;
	}
}

static void visit_folder(struct sharing *s, uint64_t nid, size_t len)
{
	struct layer_dirent e = { 0 };
	uint64_t cookie = 0;

	while (!s->impossible && layer_readdir(s->stack[s->at], nid, cookie, &e) == 1) {
		size_t end = len + 1 + e.namelen;

		cookie = e.next;
		if (end >= sizeof(s->path) || (e.namelen == 1 && *e.name == '.') ||
		    (e.namelen == 2 && memcmp(e.name, "..", 2) == 0))
			continue;
		s->path[len] = '/';
		memcpy(s->path + len + 1, e.name, e.namelen);
		s->path[end] = '\0';
		if (e.type == DT_DIR)
			visit_folder(s, e.nid, end);
		else if (e.type == DT_REG)
			visit_file(s, e.nid);
	}
	err_clear();
}

/* ---- which layers ---- */

/* The others were at hand when they came. */
static bool is_new(const struct txn *t, const struct digest *diff_id)
{
	struct stat st;

	return fstatat(t->dirfd, layer_file(diff_id, "index").s, &st, 0) == 0 && st.st_nlink == 1;
}

/*
 * Asked with a range beyond doubt, the first blocks of two files of ours, which it compares: an
 * error is about the file system. An overlay above one that cannot says EINVAL for that.
 */
static bool can_share(const struct txn *t, const struct digest *one, const struct digest *other,
		      uint64_t *ret_block)
{
	_close_ int from = openat(t->dirfd, layer_file(one, "index").s, O_RDONLY | O_CLOEXEC);
	_close_ int to = openat(t->dirfd, layer_file(other, "index").s, O_RDONLY | O_CLOEXEC);
	struct stat a, b;
	struct statfs fs;
	uint64_t block;
	int error = 0;

	if (from < 0 || to < 0 || fstat(from, &a) < 0 || fstat(to, &b) < 0 || fstatfs(to, &fs) < 0)
		return false;
	block = MAX((uint64_t)fs.f_bsize, (uint64_t)LAYER_BLOCK);
	dedupe(from, to, 0, (uint64_t)MIN(a.st_size, b.st_size) < block ? 0 : block, &error);
	*ret_block = block;
	return !error;
}

/* The lowest layer that is not the first once more, or @n. */
static size_t find_other(const struct digest *diff_ids, size_t n)
{
	size_t i = 1;

	while (i < n && digest_eq(&diff_ids[i], &diff_ids[0]))
		i++;
	return i;
}

static void share_layers(struct sharing *s, const struct digest *diff_ids, size_t n)
{
	size_t opened = 0;

	for (int r = 0; r >= 0 && opened < n; opened += r >= 0)
		r = layer_index_at(s->t->dirfd, &diff_ids[opened], &s->stack[opened]);
	for (s->at = 1; opened == n && s->at < n; s->at++) {
		if (s->at == n - 1 || is_new(s->t, &diff_ids[s->at]))
			visit_folder(s, LAYER_ROOT_NID, 0);
	}
	while (opened-- > 0)
		layer_index_close(s->stack[opened]);
	err_clear();
}

void txn_share(struct txn *t, const struct digest *diff_ids, size_t n)
{
	struct sharing *s = NULL;
	size_t other = find_other(diff_ids, n);
	uint64_t block;

	if (other >= n || !can_share(t, &diff_ids[0], &diff_ids[other], &block))
		return;
	s = new0(struct sharing);
	if (s) {
		s->t = t;
		s->block = block;
		s->stack = mem_new(n, sizeof(*s->stack));
		s->chunks = mem_new(2, CHUNK);
	}
	if (s && s->stack && s->chunks)
		share_layers(s, diff_ids, n);
	if (s) {
		free(s->stack);
		free(s->chunks);
	}
	free(s);
}
