/* SPDX-License-Identifier: Apache-2.0 */
/* Every changing operation, each in a folder of its own: what the tests of kills and faults do. */
#ifndef TESTS_UNIONFS_CHANGING_H
#define TESTS_UNIONFS_CHANGING_H

#include "fixture.h"

#include <errno.h>
#include <sys/xattr.h>

/* What a client does in a folder of its own ("here"), once in the union and once beside it. */
struct changing {
	const char *name;
	int (*prepare)(int dir); /* not shot at */
	int (*act)(int dir);
};

static int make_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		return -1;
	return close(fd);
}

static int with_file(int dir)
{
	return make_file(dir, "file");
}

static int with_two(int dir)
{
	return make_file(dir, "file") < 0 ? -1 : make_file(dir, "other");
}

static int with_dirs(int dir)
{
	return mkdirat(dir, "a", 0755) < 0 ? -1 : mkdirat(dir, "b", 0755);
}

static int with_xattr(int dir)
{
	int fd = with_file(dir) < 0 ? -1 : openat(dir, "file", O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fsetxattr(fd, "user.one", "1", 1, 0);
	close(fd);
	return r;
}

static int without_lower(int dir)
{
	return unlinkat(dir, "low", 0);
}

static int act_create(int dir)
{
	return mknodat(dir, "new", S_IFREG | 0644, 0);
}

static int act_mkdir(int dir)
{
	return mkdirat(dir, "new", 0755);
}

static int act_symlink(int dir)
{
	return symlinkat("target", dir, "new");
}

static int act_fifo(int dir)
{
	return mknodat(dir, "new", S_IFIFO | 0644, 0);
}

static int act_link(int dir)
{
	return linkat(dir, "file", dir, "new", 0);
}

static int act_unlink(int dir)
{
	return unlinkat(dir, "file", 0);
}

static int act_unlink_lower(int dir)
{
	return unlinkat(dir, "low", 0);
}

static int act_create_over_whiteout(int dir)
{
	return mknodat(dir, "low", S_IFREG | 0600, 0);
}

static int act_mkdir_over_whiteout(int dir)
{
	return mkdirat(dir, "low", 0700);
}

static int act_rmdir(int dir)
{
	return unlinkat(dir, "a", AT_REMOVEDIR);
}

static int empty_lowdir(int dir)
{
	return unlinkat(dir, "lowdir/inside", 0);
}

static int act_rmdir_lower(int dir)
{
	return unlinkat(dir, "lowdir", AT_REMOVEDIR);
}

static int act_rename(int dir)
{
	return renameat(dir, "file", dir, "new");
}

static int act_rename_over(int dir)
{
	return renameat(dir, "file", dir, "other");
}

static int act_rename_lower(int dir)
{
	return renameat(dir, "low", dir, "new");
}

static int act_rename_lower_dir(int dir)
{
	return renameat(dir, "lowdir", dir, "new");
}

static int act_rename_dir_over(int dir)
{
	return renameat(dir, "a", dir, "b");
}

static int act_exchange(int dir)
{
	return renameat2(dir, "file", dir, "other", RENAME_EXCHANGE);
}

static int act_exchange_lower(int dir)
{
	return renameat2(dir, "file", dir, "low", RENAME_EXCHANGE);
}

static int with_fd(int dir, const char *name, int flags, int (*fn)(int fd))
{
	int fd = openat(dir, name, flags | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fn(fd);
	close(fd);
	return r;
}

static int fd_set_xattr(int fd)
{
	return fsetxattr(fd, "user.one", "1", 1, XATTR_CREATE);
}

static int act_set_xattr(int dir)
{
	return with_fd(dir, "file", O_RDONLY, fd_set_xattr);
}

static int act_set_xattr_lower(int dir)
{
	return with_fd(dir, "low", O_RDONLY, fd_set_xattr);
}

static int fd_remove_xattr(int fd)
{
	return fremovexattr(fd, "user.one");
}

static int act_remove_xattr(int dir)
{
	return with_fd(dir, "file", O_RDONLY, fd_remove_xattr);
}

static int fd_write(int fd)
{
	return pwrite(fd, "written", 7, 3) == 7 ? fsync(fd) : -1;
}

static int act_write_lower(int dir)
{
	return with_fd(dir, "low", O_WRONLY, fd_write);
}

static int fd_append(int fd)
{
	return write(fd, "more", 4) == 4 ? 0 : -1;
}

static int act_append(int dir)
{
	return with_fd(dir, "file", O_WRONLY | O_APPEND, fd_append);
}

static int fd_truncate(int fd)
{
	return ftruncate(fd, 2);
}

static int act_truncate_lower(int dir)
{
	return with_fd(dir, "low", O_WRONLY, fd_truncate);
}

static int act_chmod_lower(int dir)
{
	return fchmodat(dir, "low", 0604, 0);
}

static int fd_punch(int fd)
{
	return fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 2);
}

static int act_punch_lower(int dir)
{
	return with_fd(dir, "low", O_WRONLY, fd_punch);
}

/* Nameless, then with a name. */
static int act_tmpfile(int dir)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640), r, e;
	char path[64];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = write(fd, "tmp", 3) == 3 ? linkat(AT_FDCWD, path, dir, "new", AT_SYMLINK_FOLLOW) : -1;
	e = errno;
	close(fd);
	errno = e;
	return r;
}

/* ---- the rest of what a union does: attributes, bytes, links and moved things of a lower ---- */

static int act_device(int dir)
{
	return mknodat(dir, "new", S_IFCHR | 0600, makedev(1, 3));
}

static int act_chown_lower(int dir)
{
	return fchownat(dir, "low", 7, 8, AT_SYMLINK_NOFOLLOW);
}

static int act_times_lower(int dir)
{
	const struct timespec times[2] = { { 5, 6 }, { 7, 8 } };

	return utimensat(dir, "low", times, AT_SYMLINK_NOFOLLOW);
}

static int act_chmod_lower_dir(int dir)
{
	return fchmodat(dir, "lowdir", 0711, 0);
}

static int act_truncate(int dir)
{
	return with_fd(dir, "file", O_WRONLY, fd_truncate);
}

static int fd_grow(int fd)
{
	return ftruncate(fd, 100);
}

static int act_grow_lower(int dir)
{
	return with_fd(dir, "low", O_WRONLY, fd_grow);
}

/* Owner and mode are copied up, the bytes are not. */
static int without_bytes(int dir)
{
	return fchmodat(dir, "low", 0604, 0);
}

static int moved_without_bytes(int dir)
{
	return without_bytes(dir) < 0 ? -1 : renameat(dir, "low", dir, "lowdir/low");
}

static int act_write_moved(int dir)
{
	return with_fd(dir, "lowdir/low", O_WRONLY, fd_write);
}

static int fd_allocate(int fd)
{
	return fallocate(fd, 0, 0, 5000);
}

static int act_allocate_lower(int dir)
{
	return with_fd(dir, "low", O_WRONLY, fd_allocate);
}

static int act_copy_range(int dir)
{
	int from = openat(dir, "file", O_RDONLY | O_CLOEXEC),
	    to = openat(dir, "low", O_WRONLY | O_CLOEXEC), r;

	if (from < 0 || to < 0)
		return -1;
	r = copy_file_range(from, NULL, to, NULL, 4, 0) == 4 ? 0 : -1;
	close(from);
	close(to);
	return r;
}

static int act_link_lower(int dir)
{
	return linkat(dir, "low", dir, "lowdir/new", 0);
}

static int act_link_without_bytes(int dir)
{
	return linkat(dir, "low", dir, "new", 0);
}

static int act_write_pair(int dir)
{
	return with_fd(dir, "pair", O_WRONLY, fd_write);
}

static int act_unlink_pair(int dir)
{
	return unlinkat(dir, "pair", 0);
}

static int act_remove_xattr_lower(int dir)
{
	return with_fd(dir, "pair", O_RDONLY, fd_remove_xattr);
}

static int act_set_xattr_lower_dir(int dir)
{
	return with_fd(dir, "lowdir", O_RDONLY, fd_set_xattr);
}

static int act_rename_without_bytes(int dir)
{
	return renameat(dir, "low", dir, "lowdir/low");
}

static int act_rename_lower_over_lower(int dir)
{
	return renameat(dir, "low", dir, "pair");
}

static int act_rename_over_whiteout(int dir)
{
	return renameat(dir, "file", dir, "low");
}

static int with_file_without_lower(int dir)
{
	return with_file(dir) < 0 ? -1 : without_lower(dir);
}

static int act_rename_noreplace(int dir)
{
	return renameat2(dir, "low", dir, "new", RENAME_NOREPLACE);
}

/* A redirect from the root; then one more. */
static int act_rename_lower_dir_away(int dir)
{
	return renameat(dir, "lowdir", dir, "a/new");
}

static int with_moved_dir(int dir)
{
	return with_dirs(dir) < 0 ? -1 : renameat(dir, "lowdir", dir, "a/moved");
}

static int act_rename_moved_dir(int dir)
{
	return renameat(dir, "a/moved", dir, "back");
}

static int act_change_in_moved_dir(int dir)
{
	return with_fd(dir, "a/moved/inside", O_WRONLY, fd_write);
}

static int with_emptied_dir(int dir)
{
	return with_dirs(dir) < 0 ? -1 : empty_lowdir(dir);
}

static int act_rename_over_lower_dir(int dir)
{
	return renameat(dir, "a", dir, "lowdir");
}

static int act_exchange_dirs(int dir)
{
	return renameat2(dir, "a", dir, "lowdir", RENAME_EXCHANGE);
}

static int without_lowdir(int dir)
{
	return with_emptied_dir(dir) < 0 ? -1 : unlinkat(dir, "lowdir", AT_REMOVEDIR);
}

static int act_symlink_over_whiteout(int dir)
{
	return symlinkat("target", dir, "low");
}

static int act_link_over_whiteout(int dir)
{
	return linkat(dir, "file", dir, "low", 0);
}

static const struct changing changings[] = {
	{ "create", NULL, act_create },
	{ "create without a name, and link", NULL, act_tmpfile },
	{ "mkdir", NULL, act_mkdir },
	{ "symlink", NULL, act_symlink },
	{ "mknod of a pipe", NULL, act_fifo },
	{ "link", with_file, act_link },
	{ "unlink", with_file, act_unlink },
	{ "unlink of a lower file", NULL, act_unlink_lower },
	{ "create over a whiteout", without_lower, act_create_over_whiteout },
	{ "mkdir over a whiteout", without_lower, act_mkdir_over_whiteout },
	{ "rmdir", with_dirs, act_rmdir },
	{ "rmdir of a lower directory", empty_lowdir, act_rmdir_lower },
	{ "rename", with_file, act_rename },
	{ "rename over a file", with_two, act_rename_over },
	{ "rename of a lower file", NULL, act_rename_lower },
	{ "rename of a lower directory", NULL, act_rename_lower_dir },
	{ "rename over a directory", with_dirs, act_rename_dir_over },
	{ "exchange", with_two, act_exchange },
	{ "exchange with a lower file", with_file, act_exchange_lower },
	{ "setxattr", with_file, act_set_xattr },
	{ "setxattr of a lower file", NULL, act_set_xattr_lower },
	{ "removexattr", with_xattr, act_remove_xattr },
	{ "write into a lower file", NULL, act_write_lower },
	{ "append", with_file, act_append },
	{ "truncate a lower file", NULL, act_truncate_lower },
	{ "chmod of a lower file", NULL, act_chmod_lower },
	{ "punch into a lower file", NULL, act_punch_lower },
	{ "mknod of a device", NULL, act_device },
	{ "chown of a lower file", NULL, act_chown_lower },
	{ "times of a lower file", NULL, act_times_lower },
	{ "chmod of a lower directory", NULL, act_chmod_lower_dir },
	{ "truncate", with_file, act_truncate },
	{ "grow a lower file", NULL, act_grow_lower },
	{ "write into a file whose bytes are beneath", without_bytes, act_write_lower },
	{ "write into one that was moved", moved_without_bytes, act_write_moved },
	{ "allocate in a lower file", NULL, act_allocate_lower },
	{ "copy_file_range into a lower file", with_file, act_copy_range },
	{ "link of a lower file", NULL, act_link_lower },
	{ "link of a file whose bytes are beneath", without_bytes, act_link_without_bytes },
	{ "write into one of two names", NULL, act_write_pair },
	{ "unlink one of two names", NULL, act_unlink_pair },
	{ "removexattr of a lower file", NULL, act_remove_xattr_lower },
	{ "setxattr of a lower directory", NULL, act_set_xattr_lower_dir },
	{ "rename of a file whose bytes are beneath", without_bytes, act_rename_without_bytes },
	{ "rename of a lower file over another", NULL, act_rename_lower_over_lower },
	{ "rename over a whiteout", with_file_without_lower, act_rename_over_whiteout },
	{ "rename that replaces nothing", NULL, act_rename_noreplace },
	{ "rename of a lower directory into another", with_dirs, act_rename_lower_dir_away },
	{ "rename of a moved directory", with_moved_dir, act_rename_moved_dir },
	{ "write into what was moved", with_moved_dir, act_change_in_moved_dir },
	{ "rename over a lower directory", with_emptied_dir, act_rename_over_lower_dir },
	{ "rename of a directory over a whiteout", without_lowdir, act_rename_over_lower_dir },
	{ "exchange with a lower directory", with_dirs, act_exchange_dirs },
	{ "symlink over a whiteout", without_lower, act_symlink_over_whiteout },
	{ "link over a whiteout", with_file_without_lower, act_link_over_whiteout },
};

#define CHANGINGS (sizeof(changings) / sizeof(changings[0]))

static inline void make_pair(int base, int i)
{
	char name[32], other[32];
	int fd;

	snprintf(name, sizeof(name), "n%d/pair", i);
	snprintf(other, sizeof(other), "n%d/pair2", i);
	fixture_file(base, name, "two names", 9);
	FIXTURE_MUST(linkat(base, name, base, other, 0) == 0);
	fd = openat(base, name, O_RDONLY | O_CLOEXEC);
	FIXTURE_MUST(fd >= 0 && fsetxattr(fd, "user.one", "1", 1, 0) == 0);
	close(fd);
}

/* Folders n0... with a lower file, one of two names, and a lower directory with a file. */
static inline void make_folders(int base, int count)
{
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		FIXTURE_MUST(mkdirat(base, name, 0755) == 0);
		snprintf(name, sizeof(name), "n%d/low", i);
		fixture_file(base, name, "lower content", 13);
		make_pair(base, i);
		snprintf(name, sizeof(name), "n%d/lowdir", i);
		FIXTURE_MUST(mkdirat(base, name, 0755) == 0);
		snprintf(name, sizeof(name), "n%d/lowdir/inside", i);
		fixture_file(base, name, "inside", 6);
	}
}

#endif
