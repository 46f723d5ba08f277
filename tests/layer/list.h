/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole tree as text, one line a name: of an index of ours or of a mounted folder, to be
 * compared.
 */
#ifndef TESTS_LAYER_LIST_H
#define TESTS_LAYER_LIST_H

#include "tests/layer/help.h"
#include <dirent.h>
#include <sys/xattr.h>

/* What a listing says: contents and links between names cost more than the rest. */
enum list_what {
	LIST_NLINK = 1,
	LIST_SAME = 2,
	LIST_XATTRS = 4,
	LIST_DIR_SIZE = 8,
	LIST_MTIME = 16,
	LIST_ALL = 31
};

struct list_ctx {
	struct buf out;
	unsigned what;
	/* Ours: */
	const struct layer_index *x;
	const int *packs;
	int objects;
	/* Who was listed first under a number, by number: hard links name it. */
	struct list_first {
		uint64_t ino;
		char *path;
	} * first;
	size_t nfirst, capfirst;
};

static inline void list_done(struct list_ctx *c)
{
	for (size_t i = 0; i < c->nfirst; i++)
		free(c->first[i].path);
	free(c->first);
	buf_done(&c->out);
}

static inline void list_same(struct list_ctx *c, uint64_t ino, const char *path)
{
	for (size_t i = 0; i < c->nfirst; i++) {
		if (c->first[i].ino == ino) {
			buf_addf(&c->out, " = %s", c->first[i].path);
			return;
		}
	}
	assert_ok(mem_grow(&c->first, &c->capfirst, c->nfirst + 1, sizeof(*c->first)));
	c->first[c->nfirst++] = (struct list_first){ ino, strdup(path) };
}

static inline void list_hex(struct buf *b, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_addf(b, "%02x", ((const uint8_t *)data)[i]);
}

static inline void list_attr(struct list_ctx *c, const char *path, const struct layer_attr *a,
			     uint64_t ino)
{
	bool sized = S_ISREG(a->mode) || S_ISLNK(a->mode) || (c->what & LIST_DIR_SIZE);

	buf_addf(&c->out, "/%s %o %u:%u rdev %llx size %llu", path, a->mode, a->uid, a->gid,
		 (unsigned long long)a->rdev, sized ? (unsigned long long)a->size : 0);
	if (c->what & LIST_MTIME)
		buf_addf(&c->out, " mtime %lld.%09ld", (long long)a->mtime.tv_sec,
			 a->mtime.tv_nsec);
	if (c->what & LIST_NLINK)
		buf_addf(&c->out, " nlink %u", a->nlink);
	if ((c->what & LIST_SAME) && !S_ISDIR(a->mode) && a->nlink > 1)
		list_same(c, ino, path);
}

static inline void list_digest(struct buf *b, const struct digest *d)
{
	struct digest_hex hex = digest_hex(d);

	buf_addf(b, " sha256 %.16s", hex.s);
}

/* ---- of an index ---- */

/* The digest of @size bytes of @fd from @off; a hole when @fd is -1. */
static inline struct digest list_range(int fd, uint64_t off, uint64_t size)
{
	static uint8_t part[65536];
	struct sha256 h;

	sha256_init(&h);
	memset(part, 0, sizeof(part));
	while (size) {
		size_t n = MIN(size, (uint64_t)sizeof(part));

		if (fd >= 0)
			assert_int_equal(fd_pread_full(fd, part, n, (off_t)off), n);
		sha256_update(&h, part, n);
		off += n;
		size -= n;
	}
	return sha256_final(&h);
}

static inline struct digest list_content(struct list_ctx *c, uint64_t nid, uint64_t size)
{
	struct layer_content content;
	struct digest_hex hex;
	char path[128];

	must(layer_content(c->x, nid, &content));
	switch (content.kind) {
	case LAYER_INLINE:
		return sha256_of(content.data, size);
	case LAYER_PACK:
		return list_range(c->packs[content.device - 1],
				  (uint64_t)content.block * LAYER_BLOCK, size);
	case LAYER_OBJECT:
		if (c->objects < 0)
			return content.digest;
		hex = digest_hex(&content.digest);
		snprintf(path, sizeof(path), "%.2s/%s", hex.s, hex.s);
		{
			_close_ int fd = openat(c->objects, path, O_RDONLY | O_CLOEXEC);

			assert_true(fd >= 0);
			return list_range(fd, 0, size);
		}
	case LAYER_EMPTY:
		return list_range(-1, 0, size);
	}
	fail();
	return content.digest;
}

static inline int list_one_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct buf *b = ctx;

	buf_addf(b, " %s=", name);
	list_hex(b, value, len);
	return 0;
}

static inline void list_index_dir(struct list_ctx *c, uint64_t nid, const char *path);

static inline void list_index_node(struct list_ctx *c, uint64_t nid, const char *path)
{
	struct layer_attr a;
	const char *target;
	size_t len;

	must(layer_stat(c->x, nid, &a));
	list_attr(c, path, &a, nid);
	if (S_ISREG(a.mode) && a.size <= 64u << 20) {
		struct digest d = list_content(c, nid, a.size);

		list_digest(&c->out, &d);
	}
	if (S_ISLNK(a.mode)) {
		must(layer_readlink(c->x, nid, &target, &len));
		buf_addf(&c->out, " -> %.*s", (int)len, target);
	}
	if (c->what & LIST_XATTRS)
		must(layer_listxattr(c->x, nid, list_one_xattr, &c->out));
	buf_addc(&c->out, '\n');
	if (S_ISDIR(a.mode))
		list_index_dir(c, nid, path);
}

static inline void list_index_dir(struct list_ctx *c, uint64_t nid, const char *path)
{
	struct layer_dirent e;
	uint64_t cookie = 0, found, above;
	int r;

	while ((r = must(layer_readdir(c->x, nid, cookie, &e))) > 0) {
		cookie = e.next;
		must(layer_lookup(c->x, nid, e.name, e.namelen, &found));
		assert_int_equal(found, e.nid);
		if (e.namelen <= 2 && !memcmp(e.name, "..", e.namelen))
			continue;
		{
			_free_ char *child =
				str_fmt("%s%s%.*s", path, *path ? "/" : "", e.namelen, e.name);

			if (e.type == DT_DIR) {
				must(layer_parent(c->x, e.nid, &above));
				assert_int_equal(above, nid);
			}
			list_index_node(c, e.nid, child);
		}
	}
}

/*
 * The whole index as text. @packs by device, @objects the folder of objects or -1 (their digest is
 * listed then).
 */
static inline char *list_index(const struct layer_index *x, const int *packs, int objects,
			       unsigned what)
{
	struct list_ctx c = { .what = what, .x = x, .packs = packs, .objects = objects };
	char *text;

	list_index_node(&c, LAYER_ROOT_NID, "");
	text = buf_take(&c.out);
	list_done(&c);
	return text;
}

/* ---- of a folder ---- */

static inline int name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void list_file_xattrs(struct buf *out, const char *path)
{
	static char names[65536], value[65536];
	ssize_t n = llistxattr(path, names, sizeof(names)), len;
	char *sorted[512];
	size_t count = 0;

	assert_true(n >= 0 || errno == EOPNOTSUPP);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		assert_true(count < ARRAY_SIZE(sorted));
		sorted[count++] = names + i;
	}
	for (size_t pass = 0; pass < 4; pass++) {
		/* In the order of EROFS' numbers for the prefixes. */
		static const char *const order[] = { "user.", "system.", "trusted.", "security." };
		char *these[512];
		size_t k = 0;

		for (size_t i = 0; i < count; i++) {
			if (str_after(sorted[i], order[pass]))
				these[k++] = sorted[i];
		}
		qsort(these, k, sizeof(*these), name_order);
		for (size_t i = 0; i < k; i++) {
			len = lgetxattr(path, these[i], value, sizeof(value));
			assert_true(len >= 0);
			list_one_xattr(out, these[i], value, (size_t)len);
		}
	}
}

static inline void list_path_node(struct list_ctx *c, const char *root, const char *path);

static inline void list_path_dir(struct list_ctx *c, const char *root, const char *path)
{
	_free_ char *full = str_fmt("%s/%s", root, path);
	DIR *d = opendir(full);
	struct dirent *e;
	char **names = NULL;
	size_t n = 0, cap = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		assert_ok(mem_grow(&names, &cap, n + 1, sizeof(*names)));
		names[n++] = strdup(e->d_name);
	}
	closedir(d);
	if (n)
		qsort(names, n, sizeof(*names), name_order);
	for (size_t i = 0; i < n; i++) {
		_free_ char *child = str_fmt("%s%s%s", path, *path ? "/" : "", names[i]);

		list_path_node(c, root, child);
		free(names[i]);
	}
	free(names);
}

static inline void list_path_node(struct list_ctx *c, const char *root, const char *path)
{
	_free_ char *full = str_fmt("%s/%s", root, path);
	struct layer_attr a;
	struct stat st;
	char target[4097];
	ssize_t n;

	if (lstat(full, &st) < 0) {
		/*
		 * overlayfs lists a whiteout of a directory that it does not merge, but does not
		 * find it.
		 */
		assert_int_equal(errno, ENOENT);
		return;
	}
	a = (struct layer_attr){ .mode = st.st_mode,
				 .uid = st.st_uid,
				 .gid = st.st_gid,
				 .rdev = st.st_rdev,
				 .size = (uint64_t)st.st_size,
				 .mtime = st.st_mtim,
				 .nlink = (uint32_t)st.st_nlink };
	list_attr(c, path, &a, st.st_ino);
	if (S_ISREG(a.mode) && a.size <= 64u << 20) {
		_close_ int fd = open(full, O_RDONLY | O_CLOEXEC);
		struct digest d;

		assert_true(fd >= 0);
		d = list_range(fd, 0, a.size);
		list_digest(&c->out, &d);
	}
	if (S_ISLNK(a.mode)) {
		n = readlink(full, target, sizeof(target));
		assert_true(n > 0);
		buf_addf(&c->out, " -> %.*s", (int)n, target);
	}
	if (c->what & LIST_XATTRS)
		list_file_xattrs(&c->out, full);
	buf_addc(&c->out, '\n');
	if (S_ISDIR(a.mode))
		list_path_dir(c, root, path);
}

/* The folder @root as text, as list_index() has it. */
static inline char *list_path(const char *root, unsigned what)
{
	struct list_ctx c = { .what = what, .objects = -1 };
	char *text;

	list_path_node(&c, root, "");
	text = buf_take(&c.out);
	list_done(&c);
	return text;
}

/* Both texts line by line: says the first line that differs. */
static inline void same_listing(const char *ours, const char *theirs)
{
	const char *a = ours, *b = theirs;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (!*a && !*b)
		return;
	while (a > ours && a[-1] != '\n') {
		a--;
		b--;
	}
	fail_msg("differs:\n%.*s\n%.*s", (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

#endif
