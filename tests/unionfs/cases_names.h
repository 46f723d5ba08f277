/* SPDX-License-Identifier: Apache-2.0 */
/* The union suite: what becomes of names. */
#ifndef TESTS_UNIONFS_CASES_NAMES_H
#define TESTS_UNIONFS_CASES_NAMES_H

#include "paths.h"

static void case_create(void)
{
	struct stat st;
	mode_t old = umask(027);

	CHECK(mkdir("made", 0777) == 0);
	umask(022);
	CHECK((st_of("made").st_mode & 07777) == 0750);
	put("made/file", "text", O_CREAT | O_EXCL);
	CHECK_ERRNO(open("made/file", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	CHECK(holds("made/file", "text"));
	CHECK((st_of("made/file").st_mode & 07777) == 0644);
	CHECK(symlink("file", "made/sym") == 0 && holds("made/sym", "text"));
	CHECK(mkfifo("made/fifo", 0600) == 0 && S_ISFIFO(st_of("made/fifo").st_mode));
	CHECK(mknod("made/dev", S_IFCHR | 0600, makedev(1, 3)) == 0);
	CHECK(st_of("made/dev").st_rdev == makedev(1, 3) && S_ISCHR(st_of("made/dev").st_mode));
	CHECK_ERRNO(mknod("made/wh", S_IFCHR | 0600, 0), EPERM);
	CHECK_ERRNO(lstat("made/none", &st), ENOENT);
	put("made/none", "", O_CREAT);
	CHECK(st_of("made/none").st_size == 0);
	CHECK(chmod("made", 02775) == 0 && chown("made", 0, 55) == 0 && chmod("made", 02775) == 0);
	CHECK(mkdir("made/sub", 0755) == 0);
	CHECK(st_of("made/sub").st_gid == 55 && (st_of("made/sub").st_mode & S_ISGID));
	CHECK(rmdir("made/sub") == 0);
	CHECK(st_of("made").st_nlink == 2);
	umask(old);
}

static void case_remove(void)
{
	struct stat st;

	CHECK_ERRNO(rmdir("rmd"), ENOTEMPTY);
	CHECK_ERRNO(unlink("rmd"), EISDIR);
	CHECK_ERRNO(rmdir("rmd/x/y"), ENOTDIR);
	CHECK(unlink("rmd/x/y") == 0);
	CHECK_ERRNO(lstat("rmd/x/y", &st), ENOENT);
	CHECK(count_names("rmd/x") == 2);
	CHECK(rmdir("rmd/x") == 0 && rmdir("rmd") == 0);
	CHECK_ERRNO(lstat("rmd", &st), ENOENT);
	CHECK(!lists(".", "rmd"));
	/* Made again: what was there does not come back. */
	CHECK(mkdir("rmd", 0700) == 0);
	CHECK(count_names("rmd") == 2);
	CHECK(mkdir("rmd/x", 0700) == 0 && count_names("rmd/x") == 2);
	put("rmd/x/y", "anew", O_CREAT | O_EXCL);
	CHECK(holds("rmd/x/y", "anew"));
	CHECK(unlink("dir/new") == 0);
	put("dir/new", "2", O_CREAT | O_EXCL);
	CHECK(holds("dir/new", "2") && unlink("dir/new") == 0 && !lists("dir", "new"));
	CHECK(mkdir("dir/new", 0755) == 0 && rmdir("dir/new") == 0);
}

static void case_working_directory(void)
{
	char buf[64];
	struct stat st;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), there;

	CHECK(mkdir("cwd", 0755) == 0);
	there = open("cwd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(there >= 0 && chdir("cwd") == 0);
	CHECK(rmdir("../cwd") == 0);
	CHECK(fstat(there, &st) == 0);
	CHECK_ERRNO(open("file", O_CREAT | O_WRONLY, 0644), ENOENT);
	CHECK(!getcwd(buf, sizeof(buf)));
	CHECK(fchdir(here) == 0);
	close(here);
	close(there);
}

static void case_rename(void)
{
	struct stat a = st_of("move/a"), st;

	CHECK(rename("move/a", "move/a2") == 0);
	CHECK_ERRNO(lstat("move/a", &st), ENOENT);
	CHECK(holds("move/a2", "move a\n") && st_of("move/a2").st_ino == a.st_ino);
	CHECK(!lists("move", "a") && lists("move", "a2"));
	/* Over a lower file; back over the whiteout. */
	CHECK(rename("move/a2", "move/b") == 0 && holds("move/b", "move a\n"));
	CHECK(rename("move/b", "move/a") == 0 && holds("move/a", "move a\n"));
	CHECK_ERRNO(lstat("move/b", &st), ENOENT);
	CHECK(renameat2(AT_FDCWD, "move/a", AT_FDCWD, "move/c", RENAME_NOREPLACE) < 0 &&
	      errno == EEXIST);
	CHECK(renameat2(AT_FDCWD, "move/a", AT_FDCWD, "move/c", RENAME_EXCHANGE) == 0);
	CHECK(holds("move/a", "move c\n") && holds("move/c", "move a\n"));
	CHECK(st_of("move/c").st_ino == a.st_ino);
	/* Replacing a file that is open. */
	put("move/new", "new", O_CREAT);
	int fd = open("move/new", O_RDONLY | O_CLOEXEC);
	char c;

	CHECK(rename("move/a", "move/new") == 0 && pread(fd, &c, 1, 0) == 1 && c == 'n');
	CHECK(holds("move/new", "move c\n"));
	close(fd);
}

static void case_rename_dirs(void)
{
	struct stat st;

	CHECK(mkdir("move/d1", 0755) == 0 && mkdir("move/d1/e", 0755) == 0);
	put("move/d1/e/f", "f", O_CREAT);
	CHECK(rename("move/d1", "move/d2") == 0);
	CHECK(holds("move/d2/e/f", "f"));
	CHECK_ERRNO(lstat("move/d1", &st), ENOENT);
	CHECK(rename("move/d2/e", "made-e") == 0 && holds("made-e/f", "f"));
	CHECK(count_names("move/d2") == 2);
	CHECK_ERRNO(rename("made-e", "move/dir"), ENOTEMPTY);
	/* Over an empty directory of a lower. */
	CHECK(rename("made-e", "move/empty") == 0 && holds("move/empty/f", "f"));
	CHECK(count_names("move/empty") == 3);
	/* Over a merged one that was emptied. */
	CHECK(unlink("move/dir/x") == 0);
	CHECK(rename("move/empty", "move/dir") == 0);
	CHECK(holds("move/dir/f", "f") && count_names("move/dir") == 3);
	CHECK_ERRNO(lstat("move/empty", &st), ENOENT);
	CHECK_ERRNO(rename("move/dir", "move/dir/sub"), EINVAL);
	/* Into the place of something that a lower has, removed before. */
	CHECK(unlink("bin/tool") == 0 && mkdir("d3", 0755) == 0 && rename("d3", "bin/tool") == 0);
	CHECK(count_names("bin/tool") == 2);
	CHECK(rename("dev", "dev2") == 0 && lstat("dev2/fifo", &st) == 0);
	CHECK_ERRNO(lstat("dev", &st), ENOENT);
	CHECK(rename("dev2", "dev") == 0 && count_names("dev") == 3);
}

#endif
