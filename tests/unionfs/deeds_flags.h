/* SPDX-License-Identifier: Apache-2.0 */
/* Deeds: the flags of chattr(1). */
#ifndef TESTS_UNIONFS_DEEDS_FLAGS_H
#define TESTS_UNIONFS_DEEDS_FLAGS_H

#include "deeds.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#define SHOWN_FLAGS (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NOATIME_FL | FS_NODUMP_FL)

static void say_flags(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), flags = 0;
	struct fsxattr x = { 0 };
	long r = ioctl(fd, FS_IOC_GETFLAGS, &flags);

	say("GETFLAGS", r < 0 ? r : flags & SHOWN_FLAGS);
	r = ioctl(fd, FS_IOC_FSGETXATTR, &x);
	say("FSGETXATTR",
	    r < 0 ? r : (long)(x.fsx_xflags & (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)));
	close(fd);
}

static void chattr(const char *path, int add, int drop)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;

	ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags = (flags | add) & ~drop;
	NOTE("%s: +%x -%x", path, (unsigned int)add, (unsigned int)drop);
	say(add & FS_NOATIME_FL ? "set quiet" : "set", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	close(fd);
	say_flags(path);
}

/* An open for writing is no request of a union's: each is followed by what is. */
static void try_writes(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	say("write", fd < 0 ? -1 : write(fd, "w", 1));
	close(fd);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	say("append", fd < 0 ? -1 : write(fd, "a", 1));
	say("grow", fd < 0 ? -1 : fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096));
	close(fd);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	say("O_TRUNC", fd < 0 ? -1 : 0);
	close(fd);
	TRY(truncate(path, 1));
	show(path);
}

static void try_changes(const char *path)
{
	const struct timespec then[2] = { { 5, 5 }, { 5, 5 } };
	char other[100];

	snprintf(other, sizeof(other), "%s2", path);
	TRY(chmod(path, 0600));
	TRY(chown(path, 5, 5));
	TRY(utimensat(AT_FDCWD, path, then, 0));
	TRY(utimensat(AT_FDCWD, path, NULL, 0));
	TRY(setxattr(path, "user.flags", "1", 1, 0));
	TRY(removexattr(path, "user.none"));
	TRY(link(path, other));
	TRY(rename(path, other));
	TRY(rename("flags/victim", path));
	TRY(unlink(path));
	look(path);
}

static void try_in(const char *dir)
{
	char path[100], other[100], third[100];

	snprintf(path, sizeof(path), "%s/x", dir);
	snprintf(other, sizeof(other), "%s/new", dir);
	snprintf(third, sizeof(third), "%s/third", dir);
	TRY(mkdir(other, 0755));
	TRY(rmdir(other));
	TRY(symlink("x", other));
	TRY(mknod(other, S_IFREG | 0600, 0));
	TRY(link("flags/plain", third));
	TRY(rename("flags/plain", third));
	TRY(rename(path, "flags/moved"));
	TRY(rename("flags/moved", path));
	TRY(unlink(path));
	TRY(rmdir(dir));
	look(path);
}

static void do_flags_of_files(void)
{
	say_flags("flags/file");
	chattr("flags/file", FS_APPEND_FL, 0);
	try_writes("flags/file");
	try_changes("flags/file");
	chattr("flags/file", FS_IMMUTABLE_FL, FS_APPEND_FL);
	try_writes("flags/file");
	try_changes("flags/file");
	chattr("flags/file", 0, FS_IMMUTABLE_FL);
	try_writes("flags/file");
	try_changes("flags/file");
	say_flags("flags/fifo");
	chattr("flags/quiet", FS_NOATIME_FL | FS_NODUMP_FL, 0);
}

static void do_flags_of_directories(void)
{
	chattr("flags/dir", FS_APPEND_FL, 0);
	try_in("flags/dir");
	chattr("flags/dir", FS_IMMUTABLE_FL, FS_APPEND_FL);
	try_in("flags/dir");
	chattr("flags/dir", 0, FS_IMMUTABLE_FL);
	try_in("flags/dir");
}

/* Who may: the client's kernel says. */
static void set_flags_as_other(void)
{
	chattr("flags/other", FS_NODUMP_FL, 0);
	chattr("flags/other", FS_IMMUTABLE_FL, 0);
}

static void do_flags_of_others(void)
{
	as(1001, 1001, 0, set_flags_as_other);
	say_flags("flags/other");
}

/* A lower's: no hindrance before the copy-up, which takes them along. */
static void do_flags_of_a_lower(void)
{
	say_flags("flags/low");
	TRY(chmod("flags/low", 0640));
	say_flags("flags/low");
	TRY(chmod("flags/low", 0600));
	chattr("flags/low", 0, FS_IMMUTABLE_FL);
	TRY(chmod("flags/low", 0600));
}

#endif
