/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes a tree that someone hostile may have arranged and may be rearranging: no recursion, at
 * most OPEN_MAX_ directories open, no path longer than a name. A directory that was closed on the
 * way down is found again by ".." and recognised by its number.
 */
#include "base/fd.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define OPEN_MAX_ 32 /* directories open at once */
#define TRIES_MAX 8  /* how often the topmost directory may turn out not to be empty */

/* A directory being emptied. */
struct level {
	DIR *dir;    /* NULL: closed to save descriptors */
	char *child; /* the entry that the next level is */
	dev_t dev;
	ino_t ino;
};

struct removal {
	struct level *levels;
	size_t n, cap;
};

static void removal_done(struct removal *rm)
{
	for (size_t i = 0; i < rm->n; i++) {
		if (rm->levels[i].dir)
			closedir(rm->levels[i].dir);
		free(rm->levels[i].child);
	}
	free(rm->levels);
}

/* Gives an owner what his directory denies him; root needs none of it. */
static int allow_owner(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 0700) == 0700)
		return -EACCES;
	return chmod(fd_path(fd).s, 0700) < 0 ? -errno : 0;
}

static int open_plain(int dirfd, const char *name, uint64_t flags)
{
	int fd = fd_openat2(dirfd, name, flags | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_NO_XDEV);

	return fd == -EXDEV ? -EBUSY : fd; /* as a mount point answers unlink(2) */
}

/* Opens the directory @name of @dirfd for reading, on the same mount. */
static int open_directory(int dirfd, const char *name)
{
	_close_ int path_fd = -1;
	int fd, r;

	fd = open_plain(dirfd, name, O_RDONLY);
	if (fd != -EACCES)
		return fd;
	path_fd = open_plain(dirfd, name, O_PATH);
	if (path_fd < 0)
		return path_fd;
	r = allow_owner(path_fd);
	return r < 0 ? r : open_plain(dirfd, name, O_RDONLY);
}

/*
 * Unlinks @name as what it seems to be, else as what it is; -ENOTEMPTY is a directory to descend
 * into.
 */
static int unlink_entry(int dirfd, const char *name, bool is_dir)
{
	for (int i = 0; i < 2; i++, is_dir = !is_dir) {
		if (unlinkat(dirfd, name, is_dir ? AT_REMOVEDIR : 0) >= 0 || errno == ENOENT)
			return 0;
		if (errno != (is_dir ? ENOTDIR : EISDIR))
			return errno == EEXIST ? -ENOTEMPTY : -errno;
	}
	return -EAGAIN; /* someone exchanges it while we look */
}

/* As unlink_entry(), in a directory that is itself going, whose mode is not an obstacle. */
static int unlink_inside(int dirfd, const char *name, bool is_dir)
{
	int r = unlink_entry(dirfd, name, is_dir);

	if (r != -EACCES)
		return r;
	r = allow_owner(dirfd);
	return r < 0 ? r : unlink_entry(dirfd, name, is_dir);
}

/* Takes @fd. */
static int level_open(struct level *level, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int r = -errno;

		fd_close(fd);
		return r;
	}
	if (level->ino && (st.st_ino != level->ino || st.st_dev != level->dev)) {
		fd_close(fd);
		return -ESTALE; /* moved elsewhere meanwhile */
	}
	level->dir = fdopendir(fd);
	if (!level->dir) {
		fd_close(fd);
		return -ENOMEM;
	}
	level->dev = st.st_dev;
	level->ino = st.st_ino;
	return 0;
}

/* Goes down into the directory @name of @dirfd. */
static int removal_push(struct removal *rm, int dirfd, const char *name)
{
	int fd, r;

	r = mem_grow(&rm->levels, &rm->cap, rm->n + 1, sizeof(*rm->levels));
	if (r < 0)
		return r;
	fd = open_directory(dirfd, name);
	if (fd < 0)
		return fd;
	rm->levels[rm->n] = (struct level){ 0 };
	r = level_open(&rm->levels[rm->n], fd);
	if (r < 0)
		return r;
	rm->n++;
	if (rm->n > OPEN_MAX_) {
		struct level *far = &rm->levels[rm->n - 1 - OPEN_MAX_];

		if (far->dir)
			closedir(take_ptr(far->dir));
	}
	return 0;
}

/* Opens the parent again by the ".." of its child. */
static int parent_reopen(struct level *parent, int child_fd)
{
	int fd, r;

	fd = open_plain(child_fd, "..", O_RDONLY);
	if (fd == -EACCES) {
		r = allow_owner(child_fd);
		if (r < 0)
			return r;
		fd = open_plain(child_fd, "..", O_RDONLY);
	}
	return fd < 0 ? fd : level_open(parent, fd);
}

/* Goes up from an emptied directory and removes it; the topmost is left for the caller. */
static int removal_pop(struct removal *rm)
{
	struct level *level = &rm->levels[rm->n - 1];
	struct level *parent = rm->n > 1 ? level - 1 : NULL;
	_free_ char *child = NULL;
	int r;

	if (parent && !parent->dir) {
		r = parent_reopen(parent, dirfd(level->dir));
		if (r < 0)
			return r;
	}
	closedir(take_ptr(level->dir));
	rm->n--;
	child = parent ? take_ptr(parent->child) : NULL;
	if (!child)
		return 0;
	r = unlink_inside(dirfd(parent->dir), child, true);
	if (r != -ENOTEMPTY)
		return r;
	/* Someone added to it, or readdir(3) left something out: once more. */
	rewinddir(parent->dir);
	return 0;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Removes the next entry, or goes down into it, or goes up. */
static int removal_step(struct removal *rm)
{
	struct level *level = &rm->levels[rm->n - 1];
	struct dirent *entry;
	int r;

	assert(level->dir); /* only those farther up are closed */
	errno = 0;
	entry = readdir(level->dir);
	if (!entry)
		return errno ? -errno : removal_pop(rm);
	if (is_dot(entry->d_name))
		return 0;
	r = unlink_inside(dirfd(level->dir), entry->d_name, entry->d_type == DT_DIR);
	if (r != -ENOTEMPTY)
		return r;
	level->child = strdup(entry->d_name);
	if (!level->child)
		return -ENOMEM;
	r = removal_push(rm, dirfd(level->dir), level->child);
	if (r == -ENOENT) {
		/* Gone meanwhile; nothing was pushed, but the array may have moved. */
		level = &rm->levels[rm->n - 1];
		free(take_ptr(level->child));
		return 0;
	}
	return r;
}

static int empty_directory(int dirfd, const char *name)
{
	_cleanup_(removal_done) struct removal rm = { 0 };
	int r;

	r = removal_push(&rm, dirfd, name);
	if (r == -ENOENT)
		return 0;
	while (r >= 0 && rm.n)
		r = removal_step(&rm);
	return r;
}

static int remove_at(int dirfd, const char *name)
{
	int r = unlink_entry(dirfd, name, false);

	/* Again when someone added to it, or readdir(3) left something out. */
	for (int i = 0; r == -ENOTEMPTY && i < TRIES_MAX; i++) {
		r = empty_directory(dirfd, name);
		if (r < 0)
			return r;
		r = unlink_entry(dirfd, name, true);
	}
	return r;
}

int fd_remove_tree(int dirfd, const char *name)
{
	_close_ int parent = -1;
	const char *slash = strrchr(name, '/');

	/* The way to the tree may cross mounts; the last name may not. */
	if (slash) {
		_free_ char *path = strndup(name, (size_t)(slash - name) + 1);

		if (!path)
			return -ENOMEM;
		parent = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0)
			return errno == ENOENT ? 0 : -errno;
		dirfd = parent;
		name = slash + 1;
	}
	if (!*name || is_dot(name))
		return -EINVAL;
	return remove_at(dirfd, name);
}
