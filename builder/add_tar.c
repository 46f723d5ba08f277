/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/add_tar.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/path.h"
#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <sys/xattr.h>

#define BLOCK  (128u << 10) /* bytes of one read of the file */
#define ID_MAX 4294967294ll /* -1 means "leave it" to chown(2) */

/* A folder's mode and time come when all is in it. */
struct folder {
	char *path; /* from the root */
	struct owner owner;
	mode_t mode;
	struct timespec mtime;
};

struct add_tar {
	struct archive *a;
	int root_fd;
	const char *dst;
	const struct owner *owner;
	struct folder *folders;
	size_t nfolders, cap;
	char *last; /* the folder that is open, for the next file in it */
	int last_fd;
};

static int open_archive(int fd, struct archive **ret)
{
	struct archive *a = archive_read_new();

	if (!a)
		return -ENOMEM;
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_format_tar(a);
	if (lseek(fd, 0, SEEK_SET) < 0 || archive_read_open_fd(a, fd, BLOCK) != ARCHIVE_OK) {
		archive_read_free(a);
		return -EBADMSG;
	}
	*ret = a;
	return 0;
}

bool add_tar_is(int fd)
{
	struct archive *a;
	struct archive_entry *e;
	int r;

	if (open_archive(fd, &a) < 0)
		return false;
	r = archive_read_next_header(a, &e);
	archive_read_free(a);
	return r == ARCHIVE_OK || r == ARCHIVE_WARN;
}

static int damaged(struct add_tar *t)
{
	const char *why = archive_error_string(t->a);

	return err(-EBADMSG, "the tar is damaged: %s", why ? why : "no reason given");
}

/* ---- where an entry goes ---- */

static int check_name(const char *name)
{
	if (!name)
		return err(-EBADMSG, "an entry of the tar has no name");
	for (const char *p = name; *p; p += strcspn(p, "/"), p += *p == '/')
		if (p[0] == '.' && p[1] == '.' && (!p[2] || p[2] == '/'))
			return err(-EINVAL, "entry '%s' of the tar has '..' in its name", name);
	return 0;
}

/* From the root of the step: @dst and what the entry says. */
static int entry_path(struct add_tar *t, const char *name, char **ret)
{
	_free_ char *clean = NULL, *path = NULL;
	int r = check_name(name);

	if (r == 0)
		r = path_clean(name, &clean, NULL);
	if (r < 0 || !clean)
		return r;
	path = str_fmt("%s%s%s", t->dst, *t->dst && *clean ? "/" : "", clean);
	if (!path)
		return -ENOMEM;
	*ret = take_ptr(path);
	return 0;
}

static void forget_last(struct add_tar *t)
{
	free(take_ptr(t->last));
	t->last_fd = fd_close(t->last_fd);
}

/* The folder that holds @path; stays the tar's. */
static int open_parent(struct add_tar *t, const char *path)
{
	_free_ char *parent = path_parent(path);
	int fd;

	if (!parent)
		return -ENOMEM;
	if (t->last && streq(t->last, parent))
		return t->last_fd;
	fd = place_folder(t->root_fd, parent, t->owner, NULL);
	if (fd < 0)
		return fd;
	forget_last(t);
	t->last = take_ptr(parent);
	t->last_fd = fd;
	return fd;
}

static struct owner entry_owner(struct archive_entry *e)
{
	return (struct owner){ archive_entry_uid(e), archive_entry_gid(e) };
}

static struct timespec entry_mtime(struct archive_entry *e)
{
	return (struct timespec){ archive_entry_mtime(e), archive_entry_mtime_nsec(e) };
}

/* ---- extended attributes ---- */

/* What overlayfs and our union give a meaning to is not for an archive to say. */
static bool xattr_refused(const char *name)
{
	return str_after(name, "trusted.") || strstr(name, ".overlay.");
}

/* @path leads to the thing by /proc, so that links can have some. */
static int add_xattrs(struct archive_entry *e, const char *path)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK) {
		if (!name || xattr_refused(name))
			continue;
		/* A file system that has none of this kind loses it, as by docker. */
		if (lsetxattr(path, name, value, len, 0) < 0 && errno != EOPNOTSUPP)
			return err_sys("attribute %s", name);
	}
	return 0;
}

static int add_xattrs_at(struct archive_entry *e, int dirfd, const char *name)
{
	_free_ char *path = str_fmt("/proc/self/fd/%d/%s", dirfd, name);

	return path ? add_xattrs(e, path) : -ENOMEM;
}

/* ---- entries ---- */

/* Blocks come with their offsets: what is between them is a hole. */
static int write_content(struct add_tar *t, struct archive_entry *e, int fd)
{
	const void *data;
	size_t len;
	la_int64_t off;
	int r;

	while ((r = archive_read_data_block(t->a, &data, &len, &off)) == ARCHIVE_OK) {
		int w = fd_pwrite_full(fd, data, len, off);

		if (w < 0)
			return err(w, "write: %s", strerror(-w));
	}
	if (r != ARCHIVE_EOF)
		return damaged(t);
	return ftruncate(fd, archive_entry_size(e)) < 0 ? err_sys("write") : 0;
}

static int add_file(struct add_tar *t, struct archive_entry *e, int dirfd, const char *name)
{
	struct owner owner = entry_owner(e);
	struct timespec mtime = entry_mtime(e);
	_close_ int fd = place_file(dirfd, name);
	int r = fd < 0 ? fd : write_content(t, e, fd);

	if (r == 0)
		r = place_dress(fd, name, &owner, archive_entry_perm(e), &mtime);
	/* After the owner: its change drops security.capability. */
	return r < 0 ? r : add_xattrs_at(e, dirfd, name);
}

static int add_hardlink(struct add_tar *t, const char *target, const char *name_path)
{
	_free_ char *path = NULL, *parent = NULL;
	_close_ int from = -1;
	int dirfd, r = entry_path(t, target, &path);

	if (r < 0)
		return r;
	parent = path_parent(path);
	if (!parent)
		return -ENOMEM;
	from = place_folder(t->root_fd, parent, t->owner, NULL);
	if (from < 0)
		return from;
	dirfd = open_parent(t, name_path);
	return dirfd < 0 ? dirfd : place_link(from, path_name(path), dirfd, path_name(name_path));
}

static int add_special(struct archive_entry *e, int dirfd, const char *name)
{
	mode_t type = archive_entry_filetype(e);
	struct owner owner = entry_owner(e);
	struct timespec mtime = entry_mtime(e);
	const char *target = archive_entry_symlink(e);
	int r;

	if (type == AE_IFLNK)
		r = target ? place_symlink(dirfd, name, target) :
			     err(-EBADMSG, "a link without a target");
	else if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO)
		r = place_node(dirfd, name, type | 0600, archive_entry_rdev(e));
	else
		r = err(-EINVAL, "an entry of a type that a tree cannot hold");
	if (r == 0)
		r = place_dress_at(dirfd, name, &owner, type | archive_entry_perm(e), &mtime);
	return r < 0 ? r : add_xattrs_at(e, dirfd, name);
}

/* What is no folder but has its name is replaced; links to folders stay, and are followed. */
static int clear_way(struct add_tar *t, const char *path)
{
	struct stat st;
	int dirfd = streq(path, t->dst) ? 0 : open_parent(t, path);

	if (dirfd <= 0 || fstatat(dirfd, path_name(path), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return dirfd < 0 ? dirfd : 0;
	if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode) || unlinkat(dirfd, path_name(path), 0) == 0)
		return 0;
	return err_sys("%s", path);
}

static int add_folder(struct add_tar *t, struct archive_entry *e, const char *path)
{
	struct folder f = { .owner = entry_owner(e),
			    .mode = archive_entry_perm(e),
			    .mtime = entry_mtime(e) };
	_close_ int fd = -1;
	int r = clear_way(t, path);

	if (r < 0)
		return r;
	fd = place_folder(t->root_fd, path, t->owner, NULL);
	r = fd < 0 ? fd : add_xattrs(e, fd_path(fd).s);
	if (r < 0)
		return r;
	r = mem_grow(&t->folders, &t->cap, t->nfolders + 1, sizeof(*t->folders));
	f.path = r < 0 ? NULL : strdup(path);
	if (!f.path)
		return -ENOMEM;
	t->folders[t->nfolders++] = f;
	return 0;
}

static int check_owner(struct archive_entry *e)
{
	la_int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);

	if (uid < 0 || uid > ID_MAX || gid < 0 || gid > ID_MAX)
		return err(-ERANGE, "owner %lld:%lld is out of range", (long long)uid,
			   (long long)gid);
	return 0;
}

static int add_entry(struct add_tar *t, struct archive_entry *e)
{
	_free_ char *path = NULL;
	const char *hardlink = archive_entry_hardlink(e);
	int dirfd, r = entry_path(t, archive_entry_pathname(e), &path);

	if (r == 0)
		r = check_owner(e);
	if (r < 0 || !path)
		return r;
	if (archive_entry_filetype(e) == AE_IFDIR && !hardlink)
		return add_folder(t, e, path);
	if (streq(path, t->dst))
		return err(-EINVAL, "the tar's top is no folder");
	if (hardlink)
		return add_hardlink(t, hardlink, path);
	dirfd = open_parent(t, path);
	if (dirfd < 0)
		return dirfd;
	if (archive_entry_filetype(e) == AE_IFREG)
		return add_file(t, e, dirfd, path_name(path));
	r = add_special(e, dirfd, path_name(path));
	forget_last(t); /* a link may now lead elsewhere */
	return r;
}

static int add_entries(struct add_tar *t)
{
	struct archive_entry *e;
	unsigned n = 0;
	int a, r = 0;

	while (r == 0 &&
	       ((a = archive_read_next_header(t->a, &e)) == ARCHIVE_OK || a == ARCHIVE_WARN)) {
		const char *name = archive_entry_pathname(e);

		r = n++ == ADD_TAR_ENTRIES_MAX ? err(-EFBIG, "more than %u entries", n - 1) :
						 add_entry(t, e);
		if (r < 0)
			r = err(r, "'%s' of the tar: %s", name ? name : "?", err_take(r));
	}
	if (r < 0)
		return r;
	return a == ARCHIVE_EOF ? 0 : damaged(t);
}

/* Deepest last, as they came: a later entry of the same folder decides. */
static int dress_folders(struct add_tar *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->nfolders; i++) {
		const struct folder *f = &t->folders[i];
		_close_ int fd = fd_open_in_root(t->root_fd, *f->path ? f->path : ".",
						 O_RDONLY | O_DIRECTORY, 0);

		if (fd < 0) /* replaced by a later entry */
			continue;
		r = place_dress(fd, f->path, &f->owner, f->mode, &f->mtime);
	}
	return r;
}

static void add_tar_done(struct add_tar *t)
{
	forget_last(t);
	for (size_t i = 0; i < t->nfolders; i++)
		free(t->folders[i].path);
	free(t->folders);
	archive_read_free(t->a);
}

int add_tar_extract(int fd, int root_fd, const char *dst, const struct owner *owner)
{
	_cleanup_(add_tar_done) struct add_tar t = {
		.root_fd = root_fd, .dst = dst, .owner = owner, .last_fd = -1
	};
	_close_ int top = -1;
	int r = open_archive(fd, &t.a);

	if (r < 0)
		return err(r, "the tar cannot be read");
	top = place_folder(root_fd, dst, owner, NULL);
	if (top < 0)
		return top;
	r = add_entries(&t);
	return r < 0 ? r : dress_folders(&t);
}
