/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain top over /dev/fuse: a directory as it is, which this test changes from the other side
 * too. Needs root and /dev/fuse.
 */
#include "base/fd.h"
#include "mounted.h"
#include "tap.h"

#include <dirent.h>
#include <sys/resource.h>

static struct mounted m;
static int host = -1; /* the directory itself; the working directory is the union */

static void begin(bool rdonly)
{
	struct ufs_config cfg = { .upper = UFS_UPPER_PLAIN, .work_fd = -1, .rdonly = rdonly };
	int fuse, mnt;

	fflush(stdout);
	cfg.upper_fd = mounted_open(&m, "plain", O_RDONLY | O_DIRECTORY);
	FIXTURE_MUST(ufs_mount("strata-test", false, &fuse, &mnt) == 0);
	FIXTURE_MUST(move_mount(mnt, "", AT_FDCWD, m.point, MOVE_MOUNT_F_EMPTY_PATH) == 0);
	close(mnt);
	m.server = fork();
	FIXTURE_MUST(m.server >= 0);
	if (!m.server)
		exit(mounted_serve(&cfg, fuse, 2, NULL, NULL));
	close(fuse);
	FIXTURE_MUST(chdir(m.point) == 0);
	if (host >= 0)
		close(host);
	host = cfg.upper_fd;
}

static void end(void)
{
	FIXTURE_MUST(chdir("/") == 0);
	CHECK(mounted_end(&m) == 0);
}

static void put(int dir, const char *path, const char *text, int flags)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | flags, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static bool holds(int dir, const char *path, const char *text)
{
	char buf[64];
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static int count(int dirfd, const char *path)
{
	DIR *d = fdopendir(openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static struct stat st_of(int dir, const char *path)
{
	struct stat st;

	CHECK(fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
	return st;
}

static void case_make(void)
{
	umask(022);
	put(AT_FDCWD, "file", "one", O_CREAT | O_EXCL);
	CHECK(holds(host, "file", "one"));
	CHECK_ERRNO(open("file", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	CHECK(mkdir("dir", 0750) == 0 && (st_of(host, "dir").st_mode & 07777) == 0750);
	CHECK(symlink("file", "sym") == 0 && holds(AT_FDCWD, "sym", "one"));
	CHECK(mkfifo("fifo", 0600) == 0 && S_ISFIFO(st_of(host, "fifo").st_mode));
	CHECK_ERRNO(mknod("null", S_IFCHR | 0600, makedev(1, 3)), EPERM);
	CHECK_ERRNO(mknod("wh", S_IFCHR | 0600, 0), EPERM);
	CHECK(link("file", "dir/link") == 0 && st_of(AT_FDCWD, "file").st_nlink == 2);
	CHECK(st_of(host, "file").st_ino == st_of(host, "dir/link").st_ino);
	CHECK(count(AT_FDCWD, ".") == count(host, ".") && count(host, ".") == 4);
}

static void case_rename(void)
{
	int fd;
	char c;

	put(AT_FDCWD, "old", "old", O_CREAT);
	fd = open("old", O_RDONLY | O_CLOEXEC);
	CHECK(rename("file", "old") == 0 && holds(host, "old", "one"));
	CHECK(pread(fd, &c, 1, 0) == 1 && c == 'o');
	close(fd);
	CHECK(mkdir("into", 0755) == 0 && rename("dir", "into") == 0);
	CHECK(holds(AT_FDCWD, "into/link", "one") && holds(host, "into/link", "one"));
	CHECK(mkdir("full", 0755) == 0);
	CHECK_ERRNO(rename("full", "into"), ENOTEMPTY);
	CHECK(renameat2(AT_FDCWD, "full", AT_FDCWD, "old", RENAME_EXCHANGE) == 0);
	CHECK(holds(host, "full", "one") && S_ISDIR(st_of(host, "old").st_mode));
	CHECK(rmdir("old") == 0 && unlink("full") == 0 && unlink("into/link") == 0);
	CHECK_ERRNO(unlink("into"), EISDIR);
	CHECK(rmdir("into") == 0 && unlink("sym") == 0 && unlink("fifo") == 0);
	CHECK(count(host, ".") == 0);
}

static void case_unlinked(void)
{
	int fd = open("gone", O_RDWR | O_CREAT | O_CLOEXEC, 0600), other;
	struct stat st;
	char buf[8];

	CHECK(fd >= 0 && write(fd, "gone", 4) == 4 && unlink("gone") == 0);
	CHECK(count(host, ".") == 0);
	put(AT_FDCWD, "gone", "new", O_CREAT | O_EXCL);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 4);
	CHECK(pwrite(fd, "GO", 2, 0) == 2 && pread(fd, buf, 4, 0) == 4 &&
	      memcmp(buf, "GOne", 4) == 0);
	CHECK(fchmod(fd, 0640) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0640);
	CHECK(ftruncate(fd, 1) == 0 && fsync(fd) == 0);
	close(fd);
	/* One name of two goes, and the other one is found again. */
	CHECK(link("gone", "more") == 0);
	fd = open("gone", O_RDWR | O_CLOEXEC);
	CHECK(unlink("gone") == 0 && pwrite(fd, "N", 1, 0) == 1);
	other = open("more", O_RDONLY | O_CLOEXEC);
	CHECK(other >= 0 && pread(other, buf, 8, 0) == 3 && memcmp(buf, "New", 3) == 0);
	CHECK(st_of(AT_FDCWD, "more").st_nlink == 1 && rename("more", "most") == 0);
	CHECK(holds(AT_FDCWD, "most", "New") && unlink("most") == 0);
	close(fd);
	close(other);
	CHECK(mkdir("cwd", 0755) == 0);
	fd = open("cwd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(rmdir("cwd") == 0 && fstat(fd, &st) == 0);
	CHECK_ERRNO(openat(fd, "x", O_CREAT | O_WRONLY, 0600), ENOENT);
	close(fd);
}

static void case_owners(void)
{
	put(host, "theirs", "x", O_CREAT);
	CHECK(fchownat(host, "theirs", 1234, 1234, 0) == 0);
	CHECK(st_of(AT_FDCWD, "theirs").st_uid == 65534 &&
	      st_of(AT_FDCWD, "theirs").st_gid == 65534);
	put(AT_FDCWD, "ours", "x", O_CREAT);
	CHECK(st_of(AT_FDCWD, "ours").st_uid == 0);
	CHECK(chown("ours", 0, 0) == 0);
	CHECK_ERRNO(chown("ours", 7, 7), EPERM);
	CHECK(chmod("ours", 06711) == 0 && (st_of(host, "ours").st_mode & 07777) == 0711);
	CHECK(fchmodat(host, "ours", 04755, 0) == 0);
	CHECK((st_of(AT_FDCWD, "ours").st_mode & 07777) == 0755);
	CHECK(unlink("ours") == 0 && unlink("theirs") == 0);
}

static void case_xattrs(void)
{
	char buf[64];
	int fd;

	put(AT_FDCWD, "x", "", O_CREAT);
	CHECK(setxattr("x", "user.color", "red", 3, 0) == 0);
	fd = openat(host, "x", O_RDONLY | O_CLOEXEC);
	CHECK(fgetxattr(fd, "user.color", buf, sizeof(buf)) == 3);
	CHECK(fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) == 0);
	CHECK(fsetxattr(fd, "trusted.secret", "s", 1, 0) == 0);
	CHECK(listxattr("x", buf, sizeof(buf)) == sizeof("user.color"));
	CHECK_ERRNO(getxattr("x", "user.overlay.opaque", buf, sizeof(buf)), ENODATA);
	CHECK(setxattr("x", "user.overlay.redirect", "/etc", 4, 0) < 0);
	CHECK(setxattr("x", "trusted.overlay.redirect", "/etc", 4, 0) < 0);
	CHECK(setxattr("x", "security.capability", "s", 1, 0) < 0);
	CHECK(removexattr("x", "user.color") == 0 && unlink("x") == 0);
	close(fd);
}

/* What others do shows at once. */
static void case_others(void)
{
	int fd;

	put(host, "a", "one", O_CREAT);
	CHECK(holds(AT_FDCWD, "a", "one"));
	put(host, "a", "longer", O_TRUNC);
	CHECK(holds(AT_FDCWD, "a", "longer"));
	CHECK(renameat(host, "a", host, "b") == 0 && holds(AT_FDCWD, "b", "longer"));
	CHECK(access("a", F_OK) < 0 && count(AT_FDCWD, ".") == 1);
	put(AT_FDCWD, "b", "mine", O_TRUNC);
	CHECK(holds(host, "b", "mine"));
	/* Directories change places, and an old way leads into its own end. */
	CHECK(mkdir("p", 0755) == 0 && mkdir("p/q", 0755) == 0);
	fd = open("p/q", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0 && renameat(host, "p/q", host, "q") == 0 &&
	      renameat(host, "p", host, "q/p") == 0);
	openat(fd, "p", O_RDONLY | O_CLOEXEC);
	put(AT_FDCWD, "q/p/f", "f", O_CREAT);
	CHECK(holds(host, "q/p/f", "f"));
	close(fd);
	/* A file becomes a directory; a device of an overlay's top is none of our whiteouts. */
	CHECK(unlinkat(host, "b", 0) == 0 && mkdirat(host, "b", 0755) == 0);
	CHECK(S_ISDIR(st_of(AT_FDCWD, "b").st_mode) && rmdir("b") == 0);
	CHECK(mknodat(host, "dev", S_IFCHR, 0) == 0);
	CHECK(S_ISCHR(st_of(AT_FDCWD, "dev").st_mode) && unlink("dev") == 0);
	CHECK(unlink("q/p/f") == 0 && rmdir("q/p") == 0 && rmdir("q") == 0);
}

/* A link is text for the client to follow: the server follows none. */
static void case_escape(void)
{
	char buf[64];

	CHECK(mkdirat(host, "d", 0755) == 0);
	put(host, "d/f", "in", O_CREAT);
	CHECK(count(AT_FDCWD, "d") == 1);
	CHECK(renameat(host, "d", host, "e") == 0 && symlinkat("/", host, "d") == 0);
	CHECK(readlink("d", buf, sizeof(buf)) == 1 && buf[0] == '/');
	CHECK(S_ISLNK(st_of(AT_FDCWD, "d").st_mode));
	CHECK_ERRNO(open("d", O_RDONLY | O_NOFOLLOW | O_CLOEXEC), ELOOP);
	CHECK(st_of(AT_FDCWD, "e/..").st_ino == st_of(host, ".").st_ino);
	CHECK(unlink("d") == 0 && unlink("e/f") == 0 && rmdir("e") == 0);
}

static void case_rdonly(void)
{
	put(host, "r", "ro", O_CREAT);
	CHECK(holds(AT_FDCWD, "r", "ro"));
	CHECK_ERRNO(open("r", O_WRONLY | O_TRUNC | O_CLOEXEC), EROFS);
	CHECK_ERRNO(unlink("r"), EROFS);
	CHECK_ERRNO(mkdir("no", 0755), EROFS);
	CHECK(unlinkat(host, "r", 0) == 0);
}

/* More names than the server may have descriptors. */
static void case_many(void)
{
	char name[32];

	CHECK(mkdir("many", 0755) == 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		put(AT_FDCWD, name, "x", O_CREAT | O_EXCL);
	}
	CHECK(count(AT_FDCWD, "many") == 3000);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		CHECK(unlink(name) == 0);
	}
	CHECK(rmdir("many") == 0);
}

int main(void)
{
	const struct rlimit few = { 256, 256 };
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	setrlimit(RLIMIT_NOFILE, &few);
	mounted_dir(&m);
	begin(false);
	tap_run("plain", "things are made in their place", case_make);
	tap_run("plain", "rename and remove", case_rename);
	tap_run("plain", "what is unlinked stays while it is used", case_unlinked);
	tap_run("plain", "owners and modes", case_owners);
	tap_run("plain", "xattrs", case_xattrs);
	tap_run("plain", "what others change", case_others);
	tap_run("plain", "no way out", case_escape);
	tap_run("plain", "more files than descriptors", case_many);
	tap_run("plain", "the server ends well", end);
	begin(true);
	tap_run("plain, read-only", "nothing changes", case_rdonly);
	tap_run("plain, read-only", "the server ends well", end);
	mounted_remove(&m);
	return tap_done();
}
