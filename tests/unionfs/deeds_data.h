/* SPDX-License-Identifier: Apache-2.0 */
/* Deeds: bytes, times, attributes, locks. */
#ifndef TESTS_UNIONFS_DEEDS_DATA_H
#define TESTS_UNIONFS_DEEDS_DATA_H

#include "deeds.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>

static void do_parent_times(void)
{
	struct times dir = times_of("data/dir"), other;

	write_file("data/dir/born", "b");
	say_moved("create", &dir, NULL);
	dir = times_of("data/dir");
	write_file("data/dir/lower", "changed");
	say_moved("write of a child", &dir, NULL);
	TRY(chmod("data/dir/lower2", 0600));
	say_moved("chmod of a child", &dir, NULL);
	TRY(setxattr("data/dir/lower3", "user.x", "1", 1, 0));
	say_moved("setxattr of a child", &dir, NULL);
	TRY(link("data/dir/lower2", "data/dir/l"));
	say_moved("link", &dir, NULL);
	dir = times_of("data/dir");
	TRY(unlink("data/dir/l"));
	say_moved("unlink", &dir, NULL);
	dir = times_of("data/dir");
	TRY(unlink("data/dir/lower4"));
	say_moved("unlink of a lower file", &dir, NULL);
	dir = times_of("data/dir");
	TRY(mkdir("data/dir/sub", 0755));
	say_moved("mkdir", &dir, NULL);
	dir = times_of("data/dir");
	TRY(rmdir("data/dir/sub"));
	say_moved("rmdir", &dir, NULL);
	dir = times_of("data/dir");
	other = times_of("data/dir2");
	TRY(rename("data/dir/born", "data/dir2/born"));
	say_moved("rename from", &dir, NULL);
	say_moved("rename to", &other, NULL);
	dir = times_of("data/dir");
	other = times_of("data/dir2");
	TRY(rename("data/dir/lower5", "data/dir2/lower5"));
	say_moved("rename of a lower file from", &dir, NULL);
	say_moved("rename of a lower file to", &other, NULL);
	dir = times_of("data/dir");
	TRY(symlink("x", "data/dir/sym"));
	say_moved("symlink", &dir, NULL);
	dir = times_of("data/dir");
	TRY(mknod("data/dir/fifo", S_IFIFO | 0600, 0));
	say_moved("mknod", &dir, NULL);
	dir = times_of("data/dir");
	other = times_of("data/dir2");
	TRY(renameat2(AT_FDCWD, "data/dir/sym", AT_FDCWD, "data/dir2/born", RENAME_EXCHANGE));
	say_moved("exchange", &dir, NULL);
	say_moved("exchange", &other, NULL);
}

static void do_file_times(void)
{
	struct times t = times_of("data/t");
	int fd;

	TRY(chmod("data/t", 0600));
	say_moved("chmod", &t, NULL);
	t = times_of("data/t");
	TRY(chown("data/t", 3, 4));
	say_moved("chown", &t, NULL);
	t = times_of("data/t");
	TRY(setxattr("data/t", "user.x", "1", 1, 0));
	say_moved("setxattr", &t, NULL);
	t = times_of("data/t");
	TRY(link("data/t", "data/t2"));
	say_moved("link", &t, NULL);
	t = times_of("data/t");
	TRY(rename("data/t2", "data/t3"));
	say_moved("rename", &t, NULL);
	t = times_of("data/t");
	TRY(unlink("data/t3"));
	say_moved("unlink of another name", &t, NULL);
	t = times_of("data/t");
	write_file("data/t", "again");
	say_moved("write", &t, NULL);
	t = times_of("data/t");
	TRY(truncate("data/t", 2));
	say_moved("truncate", &t, NULL);
	t = times_of("data/t");
	TRY(truncate("data/t", 2));
	say_moved("truncate to the same", &t, NULL);
	t = times_of("data/t");
	fd = open("data/t", O_WRONLY | O_TRUNC | O_CLOEXEC);
	say_moved("open with O_TRUNC", &t, NULL);
	TRY(ftruncate(fd, 0));
	say_moved("ftruncate to the same", &t, NULL);
	t = times_of("data/t");
	TRY(write(fd, "", 0));
	say_moved("write of nothing", &t, NULL);
	TRY(fallocate(fd, 0, 0, 10));
	say_moved("fallocate", &t, NULL);
	t = times_of("data/t");
	TRY(utimensat(AT_FDCWD, "data/t", (struct timespec[2]){ { 5, 6 }, { 7, 8 } }, 0));
	say_moved("utimensat", &t, NULL);
	TRY(futimens(fd, (struct timespec[2]){ { 0, UTIME_OMIT }, { 0, UTIME_OMIT } }));
	TRY(futimens(fd, (struct timespec[2]){ { -5, 0 }, { 4000000000, 999999999 } }));
	close(fd);
	t.st = (struct stat){ .st_atim = { -5, 0 }, .st_mtim = { 4000000000, 999999999 } };
	say_moved("times before and long after", &t, NULL);
	TRY(utimensat(AT_FDCWD, "data/t", (struct timespec[2]){ { 0, 1000000000 }, { 0, 0 } }, 0));
	t = times_of("data/sym");
	TRY(lchown("data/sym", 4, 4));
	say_moved("chown of a symbolic link", &t, NULL);
}

static void do_sparse(void)
{
	const off_t far = 5ll << 30;
	int fd = TRY_FD(open("data/sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	char c[4] = "";

	TRY(ftruncate(fd, far + 4096) < 0 ? -1 : 0);
	TRY(pwrite(fd, "far", 3, far));
	TRY(pread(fd, c, 3, far));
	NOTE("far: %.3s", c);
	say("data", lseek(fd, 0, SEEK_DATA));
	say("hole", lseek(fd, far, SEEK_HOLE));
	say("data behind", lseek(fd, far + 4096, SEEK_DATA));
	say("hole at the end", lseek(fd, far + 4096, SEEK_HOLE));
	say("data in a hole", lseek(fd, 8192, SEEK_HOLE));
	say("negative", lseek(fd, -1, SEEK_DATA));
	say("end", lseek(fd, 0, SEEK_END));
	close(fd);
	fd = TRY_FD(
		open("data/wide", O_RDONLY | O_CLOEXEC)); /* a lower file with a hole of 5 GiB */
	say("data of a lower file", lseek(fd, 0, SEEK_DATA));
	say("hole of a lower file", lseek(fd, 0, SEEK_HOLE));
	TRY(pread(fd, c, 3, far));
	NOTE("far: %.3s", c);
	close(fd);
	fd = TRY_FD(open("data/wide", O_RDWR | O_CLOEXEC));
	TRY(pwrite(fd, "FAR", 3, far + 1));
	TRY(pread(fd, c, 3, far));
	NOTE("far: %.3s", c);
	close(fd);
	look("data/wide");
	TRY(unlink("data/wide"));
	TRY(unlink("data/sparse"));
}

static void show_fd(int fd)
{
	char buf[64] = "";
	ssize_t n = pread(fd, buf, sizeof(buf), 0);

	for (ssize_t i = 0; i < n; i++)
		buf[i] = buf[i] ? buf[i] : '.';
	NOTE("%zd bytes: %.*s", n, (int)MIN((size_t)n, sizeof(buf)), buf);
}

static void do_fallocate(void)
{
	int fd = TRY_FD(open("data/alloc", O_RDWR | O_CLOEXEC)), ro, dir;

	TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100));
	look("data/alloc");
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
	show_fd(fd);
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 2, 3));
	TRY(fallocate(fd, FALLOC_FL_ZERO_RANGE, 8, 12));
	look("data/alloc");
	show_fd(fd);
	TRY(fallocate(fd, 0, 0, 30));
	look("data/alloc");
	TRY(fallocate(fd, 0, -1, 3));
	TRY(fallocate(fd, 0, 0, 0));
	TRY(fallocate(fd, 0, INT64_MAX - 1, 100));
	TRY(fallocate(fd, 1 << 20, 0, 100));
	TRY(posix_fallocate(fd, 0, 40) ? -1 : 0);
	close(fd);
	ro = open("data/alloc2", O_RDONLY | O_CLOEXEC);
	TRY(fallocate(ro, 0, 0, 100));
	close(ro);
	dir = open("data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	TRY(fallocate(dir, 0, 0, 100));
	close(dir);
	look("data/alloc2");
}

static void do_copy(void)
{
	int in = open("data/src", O_RDONLY | O_CLOEXEC), out, app;
	off_t a = 2, b = 5;

	out = TRY_FD(open("data/dst", O_RDWR | O_CLOEXEC));
	TRY(copy_file_range(in, &a, out, &b, 6, 0));
	show_fd(out);
	a = 1000;
	TRY(copy_file_range(in, &a, out, &b, 6, 0));
	TRY(copy_file_range(in, NULL, out, NULL, 4, 1));
	TRY(copy_file_range(out, NULL, in, NULL, 4, 0));
	a = 0;
	b = 2;
	TRY(copy_file_range(out, &a, out, &b, 4, 0));
	b = 6;
	TRY(copy_file_range(out, &a, out, &b, 4, 0));
	show_fd(out);
	app = TRY_FD(open("data/dst", O_WRONLY | O_APPEND | O_CLOEXEC));
	TRY(copy_file_range(in, NULL, app, NULL, 4, 0));
	TRY(write(app, "end", 3));
	TRY(pwrite(app, "too", 3, 0));
	show_fd(out);
	TRY(ioctl(out, FICLONE, out));
	close(in);
	close(out);
	close(app);
}

static void do_maps(void)
{
	int ro = open("data/map", O_RDONLY | O_CLOEXEC), rw;
	char *r = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0), *w, *p;

	NOTE("before: %.4s", r);
	rw = open("data/map", O_RDWR | O_CLOEXEC);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
	p[0] = 'P';
	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
	w[1] = 'W';
	TRY(msync(w, 4096, MS_SYNC));
	show_fd(rw);
	NOTE("private: %.4s", p);
	TRY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED ? -1 : 0);
	munmap(r, 4096);
	munmap(w, 4096);
	munmap(p, 4096);
	close(ro);
	close(rw);
}

static void lock_as_another(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = 0, .l_len = 10 };
	pid_t pid;

	fflush(said);
	pid = fork();
	if (!pid) {
		int own = open("data/lock", O_RDWR | O_CLOEXEC);

		TRY(fcntl(own, F_SETLK, &l));
		TRY(fcntl(own, F_GETLK, &l));
		NOTE("held: type %d from %ld", l.l_type, (long)l.l_start);
		l = (struct flock){ .l_type = F_RDLCK, .l_start = 20, .l_len = 1 };
		TRY(fcntl(own, F_SETLK, &l));
		l = (struct flock){ .l_type = F_WRLCK, .l_start = 5, .l_len = 1 };
		TRY(fcntl(own, F_OFD_SETLK, &l));
		TRY(flock(own, LOCK_EX | LOCK_NB));
		TRY(flock(fd, LOCK_EX | LOCK_NB));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void do_locks(void)
{
	int fd = open("data/lock", O_RDWR | O_CLOEXEC),
	    ro = open("data/lock", O_RDONLY | O_CLOEXEC);
	struct flock l = { .l_type = F_WRLCK, .l_start = 0, .l_len = 10 };

	TRY(fcntl(fd, F_SETLK, &l));
	TRY(flock(fd, LOCK_EX | LOCK_NB));
	lock_as_another(fd);
	TRY(flock(ro, LOCK_SH | LOCK_NB));
	TRY(write(fd, "x", 1));
	TRY(fcntl(ro, F_SETLK, &l));
	close(ro); /* ends the POSIX lock */
	TRY(flock(fd, LOCK_UN));
	lock_as_another(fd);
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 0, .l_len = 10 };
	TRY(fcntl(fd, F_OFD_SETLK, &l));
	lock_as_another(fd);
	TRY(fcntl(fd, F_SETLEASE, F_RDLCK));
	close(fd);
}

static void do_xattr_limits(void)
{
	static char big[70000];
	char name[300] = "user.";

	memset(name + 5, 'n', 260);
	name[255] = 0;
	say("a name of 255", setxattr("data/x", name, "v", 1, 0));
	name[255] = 'n';
	name[256] = 0;
	say("a name of 256", setxattr("data/x", name, "v", 1, 0));
	TRY(setxattr("data/x", "user.v", big, 65537, 0));
	TRY(setxattr("data/x", "user.v", big, 0, 0));
	TRY(getxattr("data/x", "user.v", NULL, 0));
	TRY(setxattr("data/x", "user.v", "12", 2, XATTR_REPLACE));
	TRY(setxattr("data/x", "user.none", "12", 2, XATTR_REPLACE));
	TRY(setxattr("data/x", "user.v", "12", 2, XATTR_CREATE));
	TRY(setxattr("data/x", "user.", "12", 2, 0));
	TRY(setxattr("data/x", "odd.v", "12", 2, 0));
	TRY(getxattr("data/x", "odd.v", NULL, 0));
	TRY(removexattr("data/x", "odd.v"));
	TRY(removexattr("data/x", "user.none"));
	TRY(removexattr("data/lowx", "user.low"));
	TRY(getxattr("data/lowx", "user.low", NULL, 0));
	TRY(lsetxattr("data/sym", "user.v", "1", 1, 0));
	TRY(lsetxattr("data/sym", "trusted.v", "1", 1, 0));
	TRY(lgetxattr("data/sym", "trusted.v", NULL, 0));
	TRY(setxattr("data/fifo", "user.v", "1", 1, 0));
	TRY(setxattr("data/fifo", "trusted.v", "1", 1, 0));
	TRY(getxattr("data/fifo", "user.v", NULL, 0));
	TRY(listxattr("data/x", big, 10));
	TRY(listxattr("data/lowx", big, sizeof(big)));
}

/* The namespace of overlayfs itself is open to who mounts an overlay here. */
static void do_overlay_xattrs(void)
{
	static const char *const names[] = {
		"trusted.overlay.opaque", "trusted.overlay.foo", "trusted.overlay.overlay.foo",
		"user.overlay.foo",	  "trusted.overlay.",	 "trusted.overlay"
	};
	char list[512], value[64];
	ssize_t n;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		say(names[i], setxattr("data/ov", names[i], "value", 5, 0));
		say("get", getxattr("data/ov", names[i], value, sizeof(value)));
		say("set of a directory", setxattr("data/ovdir", names[i], "y", 1, 0));
	}
	n = listxattr("data/ov", list, sizeof(list));
	say("list", n);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		NOTE("%s %s", names[i],
		     n > 0 && memmem(list, (size_t)n, names[i], strlen(names[i]) + 1) ?
			     "listed" :
			     "not listed");
	TRY(removexattr("data/ov", "trusted.overlay.foo"));
	TRY(removexattr("data/ov", "trusted.overlay.foo"));
	TRY(removexattr("data/ov", "trusted.overlay.metacopy"));
	look("data/ovdir/f");
	TRY(rename("data/ovdir", "data/ovdir2"));
	look("data/ovdir2/f");
	TRY(getxattr("data/ovdir2", "trusted.overlay.redirect", NULL, 0));
}

static void do_statx(void)
{
	static const char *const paths[] = { "data/born", "data/x", "data" };
	struct statx sx;

	write_file("data/born", "b");
	for (size_t i = 0; i < 3; i++) {
		memset(&sx, 0, sizeof(sx));
		TRY(statx(AT_FDCWD, paths[i], 0, STATX_BASIC_STATS | STATX_BTIME, &sx));
		NOTE("btime of %s: %s", paths[i],
		     !(sx.stx_mask & STATX_BTIME)     ? "none" :
		     sx.stx_btime.tv_sec > 1600000000 ? "a time" :
							"odd");
	}
}

static void do_tmpfile(void)
{
	char path[64];
	int fd = TRY_FD(open("data/dir2", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640)), excl;
	struct stat st;

	TRY(write(fd, "tmp", 3));
	say("links", fstat(fd, &st) < 0 ? -1 : (long)st.st_nlink);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say("link", linkat(AT_FDCWD, path, AT_FDCWD, "data/dir2/named", AT_SYMLINK_FOLLOW));
	look("data/dir2/named");
	show("data/dir2/named");
	TRY(write(fd, "more", 4));
	show("data/dir2/named");
	close(fd);
	excl = TRY_FD(open("data/dir2", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0640));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", excl);
	say("link of one with O_EXCL",
	    linkat(AT_FDCWD, path, AT_FDCWD, "data/dir2/named2", AT_SYMLINK_FOLLOW));
	close(excl);
}

static void do_direct(void)
{
	void *buf = aligned_alloc(4096, 8192);
	int fd = TRY_FD(open("data/direct", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644));

	memset(buf, 'd', 8192);
	TRY(pwrite(fd, buf, 8192, 0));
	TRY(pread(fd, buf, 4096, 4096));
	TRY(ftruncate(fd, 5000));
	TRY(pread(fd, buf, 8192, 0));
	close(fd);
	fd = TRY_FD(open("data/src", O_RDONLY | O_DIRECT | O_CLOEXEC));
	TRY(pread(fd, buf, 4096, 0));
	close(fd);
	look("data/direct");
	free(buf);
}

static void do_unlinked(void)
{
	int fd = open("data/open", O_RDWR | O_CLOEXEC);
	struct stat st;

	TRY(unlink("data/open"));
	say("links", fstat(fd, &st) < 0 ? -1 : (long)st.st_nlink);
	TRY(write(fd, "after", 5));
	show_fd(fd);
	TRY(fchmod(fd, 0600));
	TRY(fchown(fd, 3, 3));
	TRY(fsetxattr(fd, "user.x", "1", 1, 0));
	TRY(ftruncate(fd, 2));
	say("size", fstat(fd, &st) < 0 ? -1 : (long)st.st_size);
	say("mode", fstat(fd, &st) < 0 ? -1 : (long)st.st_mode);
	say("link", linkat(fd, "", AT_FDCWD, "data/back", AT_EMPTY_PATH));
	close(fd);
}

#endif
