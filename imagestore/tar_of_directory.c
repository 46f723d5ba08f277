/* SPDX-License-Identifier: Apache-2.0 */
/* A tar of a host's directory: sorted, so that the same tree gives the same bytes. */
#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "imagestore/store.h"
#include "imagestore/tar_write.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define COPY	       (256u << 10)
#define DEPTH_MAX      256   /* as a layer takes by default; each level holds a descriptor */
#define XATTR_LIST_MAX 65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux */

/* The first name of a file that has several. */
struct linked {
	struct hash_entry entry;
	dev_t dev;
	ino_t ino;
	char path[];
};

struct walk {
	struct tar_writer w;
	struct hash_table links;
	struct buf path; /* of the entry under way */
	char *copy;
	unsigned depth;
};

/* ---- hard links ---- */

static uint64_t link_hash(const struct stat *st)
{
	uint64_t key[2] = { st->st_dev, st->st_ino };

	return hash_bytes(key, sizeof(key));
}

static const char *link_find(struct walk *k, const struct stat *st)
{
	struct hash_entry *e = hash_table_first(&k->links, link_hash(st));

	for (; e; e = hash_table_next(e)) {
		struct linked *l = container_of(e, struct linked, entry);

		if (l->dev == st->st_dev && l->ino == st->st_ino)
			return l->path;
	}
	return NULL;
}

static int link_add(struct walk *k, const struct stat *st)
{
	struct linked *l = malloc(sizeof(*l) + k->path.len + 1);
	int r;

	if (!l)
		return -ENOMEM;
	l->dev = st->st_dev;
	l->ino = st->st_ino;
	memcpy(l->path, k->path.data, k->path.len + 1);
	r = hash_table_add(&k->links, &l->entry, link_hash(st));
	if (r < 0)
		free(l);
	return r;
}

static void walk_done(struct walk *k)
{
	struct hash_entry *e;

	while ((e = hash_table_walk(&k->links, NULL))) {
		hash_table_remove(&k->links, e);
		free(container_of(e, struct linked, entry));
	}
	hash_table_done(&k->links);
	buf_done(&k->path);
	free(k->copy);
}

static int failed(struct walk *k, int r)
{
	char shown[256];

	if (r == -ENOMEM)
		return r;
	str_printable(shown, sizeof(shown), k->path.data);
	return err(r, "%s: %s", shown, strerror(-r));
}

/* ---- xattrs ---- */

struct xattrs {
	struct buf names, values;
	struct tar_xattr *list;
	size_t n, cap;
};

static void xattrs_done(struct xattrs *x)
{
	buf_done(&x->names);
	buf_done(&x->values);
	free(x->list);
}

/* Values go one behind another; their places are made pointers when none moves any more. */
static int xattrs_read(struct xattrs *x, const char *file)
{
	char *names = buf_reserve(&x->names, XATTR_LIST_MAX);
	ssize_t len = names ? llistxattr(file, names, XATTR_LIST_MAX) : -1;
	size_t off = 0;

	if (!names)
		return -ENOMEM;
	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		void *value = buf_reserve(&x->values, XATTR_LIST_MAX);
		ssize_t n;

		if (!value || mem_grow(&x->list, &x->cap, x->n + 1, sizeof(*x->list)) < 0)
			return -ENOMEM;
		n = lgetxattr(file, name, value, XATTR_LIST_MAX);
		if (n < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
			continue;
		if (n < 0)
			return -errno;
		x->values.len += (size_t)n;
		x->list[x->n++] = (struct tar_xattr){ .name = name, .len = (size_t)n };
	}
	for (size_t i = 0; i < x->n; i++) {
		x->list[i].value = x->values.data + off;
		off += x->list[i].len;
	}
	return 0;
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct tar_xattr *)a)->name, ((const struct tar_xattr *)b)->name);
}

/* ---- entries ---- */

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return '0';
	case S_IFLNK:
		return '2';
	case S_IFCHR:
		return '3';
	case S_IFBLK:
		return '4';
	case S_IFDIR:
		return '5';
	case S_IFIFO:
		return '6';
	default:
		return 0;
	}
}

static int write_entry(struct walk *k, int dirfd, const char *name, const struct stat *st,
		       const char *link)
{
	_cleanup_(xattrs_done) struct xattrs x = { 0 };
	_free_ char *file = str_fmt("%s/%s", fd_path(dirfd).s, name);
	bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
	struct tar_entry e = {
		.type = type_of(st->st_mode),
		.path = k->path.data,
		.link = link,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.major = device ? major(st->st_rdev) : 0,
		.minor = device ? minor(st->st_rdev) : 0,
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
		.mtime = st->st_mtim,
	};
	int r = file ? xattrs_read(&x, file) : -ENOMEM;

	if (r < 0)
		return failed(k, r);
	if (x.n)
		qsort(x.list, x.n, sizeof(*x.list), compare_xattrs);
	e.xattrs = x.list;
	e.nxattrs = x.n;
	return tar_write_entry(&k->w, &e);
}

static int write_hard_link(struct walk *k, const struct stat *st, const char *target)
{
	const struct tar_entry e = {
		.type = '1',
		.path = k->path.data,
		.link = target,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim,
	};

	return tar_write_entry(&k->w, &e);
}

/* Exactly the size that the header says; holes come as zeros. */
static int write_content(struct walk *k, int fd, uint64_t size)
{
	for (uint64_t left = size; left;) {
		size_t want = (size_t)MIN(left, (uint64_t)COPY);
		ssize_t n = fd_read_full(fd, k->copy, want);
		int r;

		if (n < 0)
			return failed(k, (int)n);
		if ((size_t)n < want)
			return err(-EIO, "%s: became shorter while it was read", k->path.data);
		r = tar_write_data(&k->w, k->copy, want);
		if (r)
			return r;
		left -= want;
	}
	return tar_write_pad(&k->w, size);
}

static int write_file(struct walk *k, int dirfd, const char *name)
{
	_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(k, -errno);
	if (!S_ISREG(st.st_mode))
		return failed(k, -ESTALE);
	r = write_entry(k, dirfd, name, &st, NULL);
	return r ? r : write_content(k, fd, (uint64_t)st.st_size);
}

static int write_symlink(struct walk *k, int dirfd, const char *name, const struct stat *st)
{
	char target[TAR_PATH_MAX + 1];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0)
		return failed(k, -errno);
	if ((size_t)n >= sizeof(target))
		return failed(k, -ENAMETOOLONG);
	target[n] = '\0';
	return write_entry(k, dirfd, name, st, target);
}

static int write_directory(struct walk *k, int dirfd, const char *name, const struct stat *st);

static int write_one(struct walk *k, int dirfd, const char *name)
{
	const char *first;
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(k, -errno);
	if (S_ISDIR(st.st_mode))
		return write_directory(k, dirfd, name, &st);
	if (!type_of(st.st_mode)) {
		log_warn("%s: a socket: left out", k->path.data);
		return 0;
	}
	if (st.st_nlink > 1) {
		first = link_find(k, &st);
		if (first)
			return write_hard_link(k, &st, first);
		r = link_add(k, &st);
		if (r < 0)
			return r;
	}
	if (S_ISREG(st.st_mode))
		return write_file(k, dirfd, name);
	return S_ISLNK(st.st_mode) ? write_symlink(k, dirfd, name, &st) :
				     write_entry(k, dirfd, name, &st, NULL);
}

/* ---- directories ---- */

static int add_name(void *names, const char *name)
{
	return strv_add(names, name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int write_children(struct walk *k, int fd)
{
	_strv_free_ char **names = NULL;
	size_t at = k->path.len;
	int r = folder_each(fd, ".", add_name, &names);

	if (r < 0)
		return failed(k, r);
	if (!names)
		return 0;
	qsort(names, strv_len(names), sizeof(*names), compare_names);
	for (size_t i = 0; r == 0 && i < strv_len(names); i++) {
		if (buf_adds(&k->path, names[i]) < 0)
			return -ENOMEM;
		r = write_one(k, fd, names[i]);
		k->path.len = at;
		k->path.data[at] = '\0';
	}
	return r;
}

static int write_directory(struct walk *k, int dirfd, const char *name, const struct stat *st)
{
	_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return failed(k, -errno);
	if (k->depth >= DEPTH_MAX)
		return err(-ENAMETOOLONG, "%s: over %d directories above one another", k->path.data,
			   DEPTH_MAX);
	if (buf_addc(&k->path, '/') < 0)
		return -ENOMEM;
	r = write_entry(k, dirfd, name, st, NULL);
	k->depth++;
	if (r == 0)
		r = write_children(k, fd);
	k->depth--;
	return r;
}

int tar_of_directory(int dirfd, int (*sink)(void *ctx, const void *data, size_t len), void *ctx)
{
	_cleanup_(walk_done) struct walk k = { .w = { .sink = sink, .ctx = ctx } };
	struct stat st;
	int r;

	k.copy = malloc(COPY);
	if (!k.copy || buf_adds(&k.path, ".") < 0)
		return -ENOMEM;
	if (fstat(dirfd, &st) < 0)
		return failed(&k, -errno);
	if (!S_ISDIR(st.st_mode))
		return failed(&k, -ENOTDIR);
	r = write_directory(&k, dirfd, ".", &st);
	return r ? r : tar_write_end(&k.w);
}
