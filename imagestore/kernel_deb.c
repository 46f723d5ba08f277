/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Debian package (deb(5)): an ar archive whose member data.tar.* holds the files. Names in it
 * choose nothing here but the last part of a file's own.
 */
#include "imagestore/kernel_.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#define CHUNK	    (256u << 10)
#define BYTES_MAX   (UINT64_C(4) << 30) /* of all that is taken out; Debian's largest: 0.5 */
#define ENTRIES_MAX 200000u

static const char magic[] = "!<arch>\n";

bool kernel_deb_is(int fd)
{
	char head[sizeof(magic) - 1];

	return fd_pread_full(fd, head, sizeof(head), 0) == sizeof(head) &&
	       memcmp(head, magic, sizeof(head)) == 0;
}

static int damaged(struct archive *a)
{
	const char *why = a ? archive_error_string(a) : NULL;

	return err(-EBADMSG, "the package is damaged: %s", why ? why : "no reason given");
}

/* ---- its outer archive: finds data.tar.* and gives its bytes ---- */

struct deb {
	struct archive *outer, *inner;
	char packed[CHUNK]; /* of the member, which the inner archive points to */
	char buf[CHUNK];
	int dirfd, modules_fd;
	uint64_t bytes;
};

static la_ssize_t read_member(struct archive *a, void *ctx, const void **ret)
{
	struct deb *d = ctx;
	la_ssize_t n = archive_read_data(d->outer, d->packed, sizeof(d->packed));

	if (n < 0)
		archive_set_error(a, EIO, "%s", archive_error_string(d->outer));
	*ret = d->packed;
	return n;
}

static int open_outer(struct deb *d, int fd)
{
	struct archive_entry *e;
	int r;

	d->outer = archive_read_new();
	if (!d->outer)
		return -ENOMEM;
	archive_read_support_format_ar(d->outer);
	if (lseek(fd, 0, SEEK_SET) < 0 || archive_read_open_fd(d->outer, fd, CHUNK) != ARCHIVE_OK)
		return damaged(d->outer);
	for (unsigned n = 0; n < 16; n++) {
		r = archive_read_next_header(d->outer, &e);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return damaged(d->outer);
		if (archive_entry_pathname(e) && str_after(archive_entry_pathname(e), "data.tar"))
			return 0;
	}
	return err(-EBADMSG, "not a Debian package: it has no data.tar");
}

static int open_inner(struct deb *d)
{
	d->inner = archive_read_new();
	if (!d->inner)
		return -ENOMEM;
	archive_read_support_filter_gzip(d->inner);
	archive_read_support_filter_bzip2(d->inner);
	archive_read_support_filter_xz(d->inner);
	archive_read_support_filter_zstd(d->inner);
	archive_read_support_format_tar(d->inner);
	return archive_read_open(d->inner, d, NULL, read_member, NULL) == ARCHIVE_OK ?
		       0 :
		       damaged(d->inner);
}

/* ---- its files ---- */

static int take_file(struct deb *d, int dirfd, const char *name)
{
	_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	la_ssize_t n;

	if (fd < 0 && errno == EEXIST)
		return 0; /* a module of that name is there already */
	if (fd < 0)
		return err_sys("%s", name);
	while ((n = archive_read_data(d->inner, d->buf, sizeof(d->buf))) > 0) {
		int r = fd_write_full(fd, d->buf, (size_t)n);

		d->bytes += (uint64_t)n;
		if (r >= 0 && d->bytes > BYTES_MAX)
			return err(-EFBIG, "the package holds more than %llu GiB",
				   (unsigned long long)(BYTES_MAX >> 30));
		if (r < 0)
			return err(r, "%s: %s", name, strerror(-r));
	}
	return n < 0 ? damaged(d->inner) : 0;
}

/* Kernels and modules; @name is the last part of its path. */
static int take_entry(struct deb *d, struct archive_entry *e)
{
	const char *path = archive_entry_pathname(e), *name;

	if (!path || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e))
		return 0;
	path = str_after(path, "./") ? str_after(path, "./") : path;
	path = str_after(path, "usr/") ? str_after(path, "usr/") : path;
	name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (!name[0] || name[0] == '.' || strlen(name) > 200)
		return 0;
	if (str_after(path, "boot/") && str_after(name, "vmlinuz"))
		return take_file(d, d->dirfd, name);
	if (str_after(path, "lib/modules/") &&
	    (strstr(name, ".ko") || streq(name, "modules.builtin")))
		return take_file(d, d->modules_fd, name);
	return 0;
}

static int take_all(struct deb *d)
{
	struct archive_entry *e;
	int r, n;

	for (unsigned i = 0; i < ENTRIES_MAX; i++) {
		n = archive_read_next_header(d->inner, &e);
		if (n == ARCHIVE_EOF)
			return 0;
		if (n != ARCHIVE_OK && n != ARCHIVE_WARN)
			return damaged(d->inner);
		r = take_entry(d, e);
		if (r < 0)
			return r;
	}
	return err(-E2BIG, "the package holds more than %u files", ENTRIES_MAX);
}

int kernel_deb_unpack(int fd, int dirfd)
{
	_free_ struct deb *d = new0(struct deb);
	int r;

	if (!d)
		return -ENOMEM;
	d->dirfd = dirfd;
	d->modules_fd = mkdirat(dirfd, "modules", 0700) < 0 ?
				-1 :
				openat(dirfd, "modules", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = d->modules_fd < 0 ? err_sys("the package's modules") : open_outer(d, fd);
	if (r >= 0)
		r = open_inner(d);
	if (r >= 0)
		r = take_all(d);
	archive_read_free(d->inner);
	archive_read_free(d->outer);
	fd_close(d->modules_fd);
	return r;
}
