/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/save.h"

#include "imagestore/tar_write.h"
#include <sys/random.h>
#include <sys/stat.h>

struct save_target {
	char *path, *hidden; /* hidden: what the tar is called until it is whole */
	bool as_tar, made;
	int fd; /* the folder, or the tar */
	int file_fd;
	uint64_t size;
	struct tar_writer w;
};

static int failed(struct save_target *t, int r)
{
	return err(r, "%s: %s", t->path, strerror(-r));
}

static int write_tar(void *ctx, const void *data, size_t len)
{
	struct save_target *t = ctx;
	int r = fd_write_full(t->fd, data, len);

	return r < 0 ? failed(t, r) : 0;
}

/* ---- opening ---- */

static int open_tar(struct save_target *t)
{
	uint64_t number;

	t->w = (struct tar_writer){ .sink = write_tar, .ctx = t };
	if (streq(t->path, "-")) {
		t->fd = STDOUT_FILENO;
		return 0;
	}
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return failed(t, -errno);
	t->hidden = str_fmt("%s.tmp-%08x", t->path, (unsigned)number);
	if (!t->hidden)
		return -ENOMEM;
	t->fd = open(t->hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return t->fd < 0 ? failed(t, -errno) : 0;
}

static int any(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] ? 1 : 0;
}

static int open_folder(struct save_target *t)
{
	int r;

	t->made = mkdir(t->path, 0755) == 0;
	if (!t->made && errno != EEXIST)
		return failed(t, -errno);
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0)
		return failed(t, -errno);
	r = folder_each(t->fd, ".", any, NULL);
	if (r < 0)
		return failed(t, r);
	if (r > 0) {
		t->fd = fd_close(t->fd); /* nothing in it is ours */
		return err(-ENOTEMPTY, "%s: not empty: save to a folder that is new", t->path);
	}
	return 0;
}

int save_target_open(const char *path, bool as_tar, struct save_target **ret)
{
	struct save_target *t = new0(struct save_target);
	int r = -ENOMEM;

	if (!t)
		return r;
	t->as_tar = as_tar;
	t->fd = t->file_fd = -1;
	t->path = strdup(path);
	if (t->path)
		r = as_tar ? open_tar(t) : open_folder(t);
	if (r < 0) {
		save_target_close(t, false);
		return r;
	}
	*ret = t;
	return 0;
}

/* ---- writing ---- */

int save_target_folder(struct save_target *t, const char *name)
{
	const struct tar_entry e = { .type = '5', .path = name, .mode = 0755 };

	if (t->as_tar)
		return tar_write_entry(&t->w, &e);
	return mkdirat(t->fd, name, 0755) < 0 ? failed(t, -errno) : 0;
}

int save_target_file(struct save_target *t, const char *name, uint64_t size)
{
	const struct tar_entry e = { .type = '0', .path = name, .mode = 0644, .size = size };

	t->size = size;
	if (t->as_tar)
		return tar_write_entry(&t->w, &e);
	t->file_fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return t->file_fd < 0 ? failed(t, -errno) : 0;
}

int save_target_write(struct save_target *t, const void *data, size_t len)
{
	int r;

	if (t->as_tar)
		return tar_write_data(&t->w, data, len);
	r = fd_write_full(t->file_fd, data, len);
	return r < 0 ? failed(t, r) : 0;
}

int save_target_file_end(struct save_target *t)
{
	int r;

	if (t->as_tar)
		return tar_write_pad(&t->w, t->size);
	r = close(t->file_fd) < 0 ? failed(t, -errno) : 0;
	t->file_fd = -1;
	return r;
}

/* ---- closing ---- */

static int finish(struct save_target *t)
{
	int r = t->as_tar ? tar_write_end(&t->w) : 0;

	if (r < 0 || !t->hidden)
		return r;
	if (fsync(t->fd) < 0 || rename(t->hidden, t->path) < 0)
		return failed(t, -errno);
	free(take_ptr(t->hidden));
	return 0;
}

static void take_away(struct save_target *t)
{
	if (t->hidden)
		unlink(t->hidden);
	if (t->as_tar || t->fd < 0)
		return;
	fd_remove_tree(t->fd, "blobs");
	unlinkat(t->fd, "oci-layout", 0);
	unlinkat(t->fd, "index.json", 0);
	if (t->made)
		rmdir(t->path);
}

int save_target_close(struct save_target *t, bool keep)
{
	int r = keep ? finish(t) : 0;

	if (!keep || r < 0)
		take_away(t);
	fd_close(t->file_fd);
	if (t->fd != STDOUT_FILENO)
		fd_close(t->fd);
	free(t->hidden);
	free(t->path);
	free(t);
	return r;
}
