/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The union suite: what a client sees of the fixture (fixture.h) through a union, whatever carries
 * the requests. Runs with the union's root as the working directory, once on a fresh top, in the
 * order of the table at the end.
 */
#ifndef TESTS_UNIONFS_CASES_H
#define TESTS_UNIONFS_CASES_H

#include "fixture.h"
#include "tap.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/wait.h>

static struct stat st_of(const char *path)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	return st;
}

/* Whether the whole file is @text, as a new open reads it. */
static bool holds(const char *path, const char *text)
{
	char buf[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n) != 0) {
		printf("# %s: %zd bytes: %.*s\n", path, n, n > 0 ? (int)n : 0, buf);
		return false;
	}
	return true;
}

static void put(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

static bool lists(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int found = 0;

	CHECK(d);
	while ((e = readdir(d)))
		found += strcmp(e->d_name, name) == 0;
	closedir(d);
	CHECK(found <= 1);
	return found;
}

static int count_names(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- reading ---- */

static bool is_big(const char *path)
{
	char *big = fixture_big(), *got = malloc(FIXTURE_BIG);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool same;

	CHECK(fd >= 0 && big && got);
	CHECK(pread(fd, got, 4096, FIXTURE_BIG - 10) == 10);
	CHECK(memcmp(big + FIXTURE_BIG - 10, got, 10) == 0);
	CHECK(pread(fd, got, 10, FIXTURE_BIG + 5) == 0);
	same = read(fd, got, FIXTURE_BIG) == FIXTURE_BIG && memcmp(big, got, FIXTURE_BIG) == 0;
	close(fd);
	free(big);
	free(got);
	return same;
}

static void case_contents(void)
{
	CHECK(is_big("lib/big") && is_big("lib/object"));
	CHECK(holds("lib/small", "s"));
	CHECK(holds("lib/empty", ""));
	CHECK(holds("etc/hosts", "top hosts\n"));
	CHECK(holds("sym", "top hosts\n"));
}

static void case_attributes(void)
{
	for (size_t i = 0; i < FIXTURE_ITEMS; i++) {
		const struct fixture_item *it = &fixture_items[i];
		struct stat st;

		if (it->hidden || (it->layer == BOTTOM && S_ISDIR(it->mode)))
			continue;
		st = st_of(it->path);
		CHECK(st.st_mode == it->mode);
		CHECK(st.st_uid == it->uid && st.st_gid == it->gid);
		CHECK(st.st_mtim.tv_sec == FIXTURE_TIME && st.st_mtim.tv_nsec == 5);
		if (S_ISREG(it->mode) && it->text && it->text[0] != '=')
			CHECK(st.st_size == (off_t)strlen(it->text));
	}
	CHECK(st_of("links/one").st_nlink == 3);
	CHECK(st_of("links/one").st_ino == st_of("links/sub/three").st_ino);
	CHECK(st_of("lib/small").st_nlink == 1);
}

static void case_hidden(void)
{
	struct stat st;

	CHECK_ERRNO(lstat("dir/gone", &st), ENOENT);
	CHECK_ERRNO(lstat("dir/gone", &st), ENOENT);
	CHECK_ERRNO(lstat("opq/hidden", &st), ENOENT);
	CHECK(!lists("dir", "gone") && lists("dir", "kept") && lists("dir", "new"));
	CHECK(!lists("opq", "hidden") && lists("opq", "shown"));
	CHECK(lists("dir", ".") && lists("dir", ".."));
}

static void case_readlink(void)
{
	char buf[64];

	CHECK(readlink("sym", buf, sizeof(buf)) == 9 && memcmp(buf, "etc/hosts", 9) == 0);
	CHECK(readlink("sym", buf, sizeof(buf)) == 9);
	CHECK_ERRNO(readlink("dir", buf, sizeof(buf)), EINVAL);
	CHECK(lchown("sym2", 7, 8) == 0);
	CHECK(st_of("sym2").st_uid == 7 && S_ISLNK(st_of("sym2").st_mode));
	CHECK(readlink("sym2", buf, sizeof(buf)) == 9 && memcmp(buf, "lib/small", 9) == 0);
}

static void case_statfs(void)
{
	struct statfs fs;

	CHECK(statfs(".", &fs) == 0);
	CHECK(fs.f_namelen == 255 && fs.f_bsize && fs.f_blocks);
}

/* ---- copy-up ---- */

static void case_write(void)
{
	struct stat before = st_of("dir/kept"), dir = st_of("dir"), after;

	put("dir/kept", "more\n", O_APPEND);
	CHECK(holds("dir/kept", "kept\nmore\n"));
	after = st_of("dir/kept");
	CHECK(after.st_ino == before.st_ino && after.st_size == 10 &&
	      after.st_mode == before.st_mode);
	CHECK(after.st_mtim.tv_sec != FIXTURE_TIME);
	/* The directory is not changed by that. */
	CHECK(st_of("dir").st_ino == dir.st_ino);
	CHECK(st_of("dir").st_mtim.tv_sec == FIXTURE_TIME);
	put("dir/kept", "KE", 0);
	CHECK(holds("dir/kept", "KEpt\nmore\n"));
	put("dir/kept", "new", O_TRUNC);
	CHECK(holds("dir/kept", "new"));
	CHECK(lists("dir", "kept") && !lists("dir", "gone"));
}

static void case_deep_write(void)
{
	struct stat d = st_of("etc/conf.d");

	put("etc/conf.d/a", "A", 0);
	CHECK(holds("etc/conf.d/a", "A\n") && holds("etc/conf.d/b", "b\n"));
	CHECK(st_of("etc/conf.d").st_ino == d.st_ino);
	CHECK((st_of("etc/conf.d").st_mode & 07777) == 0750);
	CHECK(st_of("etc/conf.d").st_uid == 10 && st_of("etc/conf.d").st_gid == 20);
	CHECK(count_names("etc/conf.d") == 4);
}

static void case_big_copy_up(void)
{
	CHECK(chmod("lib/object", 0600) == 0 && is_big("lib/object"));
	CHECK(chmod("lib/big", 0640) == 0 && is_big("lib/big"));
	CHECK(st_of("lib/big").st_mode == (S_IFREG | 0640) &&
	      st_of("lib/big").st_size == FIXTURE_BIG);
	CHECK(truncate("lib/object", 1000) == 0 && st_of("lib/object").st_size == 1000);
}

static void case_truncate(void)
{
	int fd;

	CHECK(truncate("attr/trunc", 4) == 0);
	CHECK(holds("attr/trunc", "0123"));
	CHECK(truncate("attr/trunc", 6) == 0);
	CHECK(st_of("attr/trunc").st_size == 6);
	fd = open("attr/trunc", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(ftruncate(fd, 1) == 0 && st_of("attr/trunc").st_size == 1);
	CHECK(posix_fallocate(fd, 0, 8192) == 0 && st_of("attr/trunc").st_size == 8192);
	CHECK(lseek(fd, 0, SEEK_DATA) >= 0);
	CHECK(lseek(fd, 0, SEEK_HOLE) >= 1);
	CHECK_ERRNO(lseek(fd, 9000, SEEK_DATA), ENXIO);
	close(fd);
	fd = open("lib/big", O_RDONLY | O_CLOEXEC);
	CHECK(lseek(fd, 5, SEEK_DATA) == 5 && lseek(fd, 5, SEEK_HOLE) == FIXTURE_BIG);
	close(fd);
}

static void case_hard_links(void)
{
	struct stat st = st_of("links/two"), now;

	put("links/two", "LINK", 0);
	CHECK(holds("links/one", "LINKed\n") && holds("links/two", "LINKed\n") &&
	      holds("links/sub/three", "LINKed\n"));
	now = st_of("links/sub/three");
	CHECK(now.st_ino == st.st_ino && now.st_nlink == 3);
	CHECK(unlink("links/one") == 0);
	CHECK(st_of("links/two").st_nlink == 2);
	put("links/sub/three", "link", 0);
	CHECK(holds("links/two", "linked\n"));
	CHECK(link("links/two", "links/four") == 0);
	CHECK(st_of("links/four").st_ino == st.st_ino && st_of("links/sub/three").st_nlink == 3);
	CHECK(rename("links/two", "links/sub/five") == 0);
	CHECK(holds("links/sub/five", "linked\n") && st_of("links/sub/five").st_ino == st.st_ino);
	put("links/four", "all", 0);
	CHECK(holds("links/sub/five", "allked\n") && holds("links/sub/three", "allked\n"));
	/* One name goes before anything was written. */
	CHECK(unlink("links2/a") == 0);
	CHECK(st_of("links2/b").st_nlink == 1 && holds("links2/b", "second\n"));
}

static void case_link_lower(void)
{
	ino_t ino = st_of("etc/passwd").st_ino;

	CHECK(link("etc/passwd", "etc/passwd-") == 0);
	CHECK(st_of("etc/passwd-").st_ino == ino && st_of("etc/passwd").st_nlink == 2);
	CHECK(st_of("etc/passwd-").st_uid == 1000);
	put("etc/passwd", "ROOT", 0);
	CHECK(holds("etc/passwd-", "ROOT\n"));
	CHECK_ERRNO(link("dir", "dir2"), EPERM);
	CHECK_ERRNO(link("etc/passwd", "etc/hosts"), EEXIST);
}

/* ---- coherence ---- */

static void case_descriptors(void)
{
	char buf[32];
	int ro = open("open/ro", O_RDONLY | O_CLOEXEC), rw;

	CHECK(ro >= 0 && pread(ro, buf, 4, 0) == 4 && memcmp(buf, "read", 4) == 0);
	rw = open("open/ro", O_RDWR | O_CLOEXEC);
	CHECK(rw >= 0 && pwrite(rw, "WRITE", 5, 0) == 5);
	CHECK(pread(ro, buf, 9, 0) == 9 && memcmp(buf, "WRITEonly", 9) == 0);
	CHECK(pwrite(rw, "end", 3, 100) == 3);
	CHECK(pread(ro, buf, 10, 100) == 3 && memcmp(buf, "end", 3) == 0);
	close(ro);
	close(rw);
}

static void case_maps(void)
{
	int ro = open("maps/private", O_RDONLY | O_CLOEXEC), rw;
	volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ro, 0), *s;

	CHECK(p != MAP_FAILED && p[3] == '3');
	put("maps/private", "ABCDEF", 0);
	CHECK(p[3] == 'D' && p[6] == '6');
	munmap((void *)p, 4096);
	close(ro);
	rw = open("maps/shared", O_RDWR | O_CLOEXEC);
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
	CHECK(s != MAP_FAILED);
	s[2] = 'X';
	CHECK(msync((void *)s, 4096, MS_SYNC) == 0);
	CHECK(holds("maps/shared", "01X3456789abcdef"));
	munmap((void *)s, 4096);
	close(rw);
	CHECK(holds("maps/shared", "01X3456789abcdef"));
}

static void case_unlinked(void)
{
	char buf[32];
	int lower = open("open/rw", O_RDWR | O_CLOEXEC),
	    born = open("open/born", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	CHECK(lower >= 0 && born >= 0 && write(born, "born", 4) == 4);
	CHECK(unlink("open/rw") == 0 && unlink("open/born") == 0);
	CHECK(fstat(born, &st) == 0 && st.st_nlink == 0);
	CHECK(pread(lower, buf, 4, 0) == 4 && memcmp(buf, "read", 4) == 0);
	CHECK(pwrite(lower, "WR", 2, 0) == 2);
	CHECK(pread(lower, buf, 4, 0) == 4 && memcmp(buf, "WRad", 4) == 0);
	CHECK(pwrite(born, "BO", 2, 0) == 2 && pread(born, buf, 4, 0) == 4 &&
	      memcmp(buf, "BOrn", 4) == 0);
	CHECK(fchmod(born, 0640) == 0 && fstat(born, &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(!lists("open", "rw") && !lists("open", "born"));
	put("open/born", "again", O_CREAT | O_EXCL);
	CHECK(pread(born, buf, 4, 0) == 4 && memcmp(buf, "BOrn", 4) == 0);
	close(born);
	close(lower);
	CHECK(holds("open/born", "again"));
}

/* ---- names ---- */

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
	CHECK_ERRNO(rename("etc", "etc2"), EXDEV);
	CHECK_ERRNO(rename("dev", "dev2"), EXDEV);
}

/* ---- attributes ---- */

static void case_chmod(void)
{
	ino_t ino = st_of("attr/mode").st_ino;

	CHECK(chmod("attr/mode", 0751) == 0);
	CHECK(st_of("attr/mode").st_mode == (S_IFREG | 0751) && st_of("attr/mode").st_ino == ino);
	CHECK(holds("attr/mode", "m\n"));
	CHECK(st_of("attr/mode").st_mtim.tv_sec == FIXTURE_TIME);
	CHECK(chmod("attr/dir", 01777) == 0 && st_of("attr/dir").st_mode == (S_IFDIR | 01777));
	CHECK(chown("attr/owner", 12, 13) == 0);
	CHECK(st_of("attr/owner").st_uid == 12 && st_of("attr/owner").st_gid == 13);
	CHECK(st_of("attr/owner").st_mode == (S_IFREG | 0755));
	CHECK(chmod("attr/owner", 04711) == 0 && st_of("attr/owner").st_mode == (S_IFREG | 04711));
}

static void case_times(void)
{
	const struct timespec t[2] = { { 111, 222 }, { 333, 444 } },
			      omit[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct stat st;

	CHECK(utimensat(AT_FDCWD, "attr/time", t, 0) == 0);
	st = st_of("attr/time");
	CHECK(st.st_atim.tv_sec == 111 && st.st_mtim.tv_sec == 333 && st.st_mtim.tv_nsec == 444);
	CHECK(utimensat(AT_FDCWD, "attr/time", omit, 0) == 0);
	st = st_of("attr/time");
	CHECK(st.st_atim.tv_sec == 111 && st.st_mtim.tv_sec > FIXTURE_TIME);
	CHECK(utimensat(AT_FDCWD, ".", t, 0) == 0 && st_of(".").st_mtim.tv_sec == 333);
}

static void case_killpriv(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		int fd;

		if (setgid(1234) < 0 || setuid(1234) < 0)
			_exit(2);
		fd = open("attr/suid", O_WRONLY | O_CLOEXEC);
		_exit(fd < 0 || write(fd, "S", 1) != 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(st_of("attr/suid").st_mode == (S_IFREG | 0777));
	CHECK(holds("attr/suid", "S\n"));
}

static void case_xattrs(void)
{
	char buf[256];
	ssize_t n;

	CHECK(getxattr("xattr/file", "user.color", buf, sizeof(buf)) == 4 &&
	      memcmp(buf, "blue", 4) == 0);
	CHECK(getxattr("xattr/file", "trusted.secret", buf, sizeof(buf)) == 1);
	CHECK(setxattr("xattr/file", "user.size", "big", 3, 0) == 0);
	CHECK(setxattr("xattr/file", "trusted.more", "1", 1, XATTR_CREATE) == 0);
	CHECK(setxattr("xattr/file", "security.test", "2", 1, 0) == 0);
	CHECK_ERRNO(setxattr("xattr/file", "user.color", "red", 3, XATTR_CREATE), EEXIST);
	CHECK(getxattr("xattr/file", "user.color", NULL, 0) == 4);
	CHECK_ERRNO(getxattr("xattr/file", "user.color", buf, 2), ERANGE);
	CHECK(getxattr("xattr/file", "security.test", buf, sizeof(buf)) == 1);
	n = listxattr("xattr/file", buf, sizeof(buf));
	CHECK(n == (ssize_t)sizeof(
			   "user.color\0trusted.secret\0user.size\0trusted.more\0security.test"));
	CHECK(listxattr("xattr/file", NULL, 0) == n);
	CHECK(removexattr("xattr/file", "user.color") == 0);
	CHECK_ERRNO(getxattr("xattr/file", "user.color", buf, sizeof(buf)), ENODATA);
	CHECK_ERRNO(removexattr("xattr/file", "user.color"), ENODATA);
	CHECK_ERRNO(removexattr("lib/small", "user.color"), ENODATA);
	CHECK_ERRNO(getxattr("dir", "trusted.overlay.impure", buf, sizeof(buf)), ENODATA);
	CHECK_ERRNO(setxattr("dir", "trusted.overlay.opaque", "y", 1, 0), EPERM);
	CHECK_ERRNO(setxattr("dir", "trusted.strata.origin", "y", 1, 0), EPERM);
	CHECK(listxattr("dir", buf, sizeof(buf)) == 0);
	CHECK(setxattr("xattr", "user.dir", "d", 1, 0) == 0 &&
	      getxattr("xattr", "user.dir", buf, 9) == 1);
	CHECK(holds("xattr/file", "x\n"));
}

/*
 * user::rwx, user:1234:rw-, group::r-x, mask::rwx, other::--- as <linux/posix_acl_xattr.h> writes
 * it.
 */
static const unsigned char acl_value[] = {
	2, 0,	 0,    0,    1,	   0,	 7,  0, 0xff, 0xff, 0xff, 0xff, 2,    0,    6,
	0, 0xd2, 4,    0,    0,	   4,	 0,  5, 0,    0xff, 0xff, 0xff, 0xff, 16,   0,
	7, 0,	 0xff, 0xff, 0xff, 0xff, 32, 0, 0,    0,    0xff, 0xff, 0xff, 0xff,
};

static void case_acl(void)
{
	unsigned char buf[128];

	put("made/acl", "acl", O_CREAT);
	CHECK(setxattr("made/acl", "system.posix_acl_access", acl_value, sizeof(acl_value), 0) ==
	      0);
	CHECK(st_of("made/acl").st_mode == (S_IFREG | 0770));
	CHECK(getxattr("made/acl", "system.posix_acl_access", buf, sizeof(buf)) ==
	      sizeof(acl_value));
	CHECK(memcmp(buf, acl_value, sizeof(acl_value)) == 0);
	CHECK(chmod("made/acl", 0640) == 0);
	CHECK(getxattr("made/acl", "system.posix_acl_access", buf, sizeof(buf)) ==
	      sizeof(acl_value));
	CHECK(buf[30] == 4 && buf[6] == 6); /* the mask, the owner */
	CHECK(setxattr("made", "system.posix_acl_default", acl_value, sizeof(acl_value), 0) == 0);
	put("made/inherits", "", O_CREAT | O_EXCL);
	CHECK((st_of("made/inherits").st_mode & 0777) == 0640);
	CHECK(getxattr("made/inherits", "system.posix_acl_access", buf, sizeof(buf)) ==
	      sizeof(acl_value));
	CHECK(mkdir("made/dir", 0777) == 0 && (st_of("made/dir").st_mode & 0777) == 0770);
	CHECK(getxattr("made/dir", "system.posix_acl_default", buf, sizeof(buf)) ==
	      sizeof(acl_value));
	CHECK(removexattr("made", "system.posix_acl_default") == 0);
}

/* ---- the rest ---- */

static void case_sync(void)
{
	int fd = open("sync/f", O_RDWR | O_CLOEXEC),
	    dir = open("sync", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0 && dir >= 0 && fsync(fd) == 0);
	CHECK(pwrite(fd, "TO", 2, 0) == 2);
	CHECK(fdatasync(fd) == 0 && fsync(fd) == 0 && fsync(dir) == 0);
	CHECK(syncfs(fd) == 0);
	close(fd);
	close(dir);
	CHECK(holds("sync/f", "TO be synced\n"));
}

static void case_copy_range(void)
{
	int in = open("lib/big", O_RDONLY | O_CLOEXEC),
	    out = open("copied", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char *big = fixture_big(), *got = malloc(FIXTURE_BIG);
	off_t from = 0;
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = copy_file_range(in, &from, out, NULL, FIXTURE_BIG, 0)) > 0)
		;
	CHECK(n == 0 && from == FIXTURE_BIG);
	CHECK(pread(out, got, FIXTURE_BIG, 0) == FIXTURE_BIG && memcmp(big, got, FIXTURE_BIG) == 0);
	close(in);
	close(out);
	free(big);
	free(got);
}

static void case_big_write(void)
{
	char *p = malloc(3 << 20), *q = malloc(3 << 20);
	int fd = open("bigwrite", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	CHECK(p && q && fd >= 0);
	for (int i = 0; i < 3 << 20; i++)
		p[i] = (char)(i * 31 + i / 1000);
	CHECK(pwrite(fd, p, 3 << 20, 12345) == 3 << 20);
	CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	CHECK(pread(fd, q, 3 << 20, 12345) == 3 << 20 && memcmp(p, q, 3 << 20) == 0);
	CHECK(st_of("bigwrite").st_size == (3 << 20) + 12345);
	close(fd);
	free(p);
	free(q);
}

/* Names come and go while a directory is being read: every other name is seen exactly once. */
static void case_readdir(void)
{
	bool seen[FIXTURE_MANY] = { false };
	int removed = 0, added = 0, n = 0, i;
	char name[32];
	struct dirent *e;
	long place = -1, next = -1;
	DIR *d = opendir("many");

	CHECK(d);
	while ((e = readdir(d))) {
		if (sscanf(e->d_name, "f%d", &i) != 1 || i >= FIXTURE_MANY)
			continue;
		/* One that was just removed may still be in the C library's buffer. */
		CHECK(!seen[i] || i > FIXTURE_MANY - 1 - removed);
		seen[i] = true;
		if (++n == 100)
			place = telldir(d);
		else if (n == 101)
			next = i;
		if (n % 10 == 0 && !seen[FIXTURE_MANY - 1 - removed]) {
			snprintf(name, sizeof(name), "many/f%04d", FIXTURE_MANY - 1 - removed);
			CHECK(unlink(name) == 0);
			seen[FIXTURE_MANY - 1 - removed++] = true;
		}
		if (n % 50 == 0) {
			snprintf(name, sizeof(name), "many/added%d", added++);
			put(name, "", O_CREAT | O_EXCL);
		}
	}
	for (i = 0; i < FIXTURE_MANY; i++)
		CHECK(seen[i]);
	seekdir(d, place);
	e = readdir(d);
	CHECK(e && sscanf(e->d_name, "f%d", &i) == 1 && i == next);
	closedir(d);
	CHECK(count_names("many") == 2 + FIXTURE_MANY - removed + added);
	for (i = 0; i < added; i++) {
		snprintf(name, sizeof(name), "many/added%d", i);
		CHECK(lists("many", name + 5));
		CHECK(unlink(name) == 0);
	}
	CHECK(count_names("many") == 2 + FIXTURE_MANY - removed);
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
	{ "contents", case_contents },
	{ "attributes", case_attributes },
	{ "whiteouts and opaque directories hide", case_hidden },
	{ "symbolic links", case_readlink },
	{ "statfs", case_statfs },
	{ "a write copies up", case_write },
	{ "a write copies parents up", case_deep_write },
	{ "copy-up of big files", case_big_copy_up },
	{ "truncate, fallocate, lseek", case_truncate },
	{ "hard links stay links", case_hard_links },
	{ "link of a lower file", case_link_lower },
	{ "descriptors opened before a copy-up", case_descriptors },
	{ "maps made before a copy-up", case_maps },
	{ "files without a name", case_unlinked },
	{ "create", case_create },
	{ "remove", case_remove },
	{ "a removed working directory", case_working_directory },
	{ "rename", case_rename },
	{ "rename of directories", case_rename_dirs },
	{ "chmod and chown", case_chmod },
	{ "times", case_times },
	{ "a write takes set-user-id away", case_killpriv },
	{ "xattrs", case_xattrs },
	{ "ACLs", case_acl },
	{ "sync", case_sync },
	{ "copy_file_range", case_copy_range },
	{ "big writes and reads", case_big_write },
	{ "readdir while names change", case_readdir },
};

#define NCASES (sizeof(cases) / sizeof(cases[0]))

__attribute__((unused)) static void run_cases(const char *prefix)
{
	for (size_t i = 0; i < NCASES; i++)
		tap_run(prefix, cases[i].name, cases[i].fn);
}

#endif
