/* SPDX-License-Identifier: Apache-2.0 */
/* Deeds: names, directories, links, and what refuses them. */
#ifndef TESTS_UNIONFS_DEEDS_NAMES_H
#define TESTS_UNIONFS_DEEDS_NAMES_H

#include "deeds.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>

static void do_long_names(void)
{
	char name[300], path[4200], target[4200], got[4200];
	struct stat st;
	size_t len;

	memset(name, 'n', sizeof(name));
	memcpy(name, "names/", 6);
	for (len = 255; len <= 256; len++) {
		name[6 + len] = 0;
		say("mkdir of a long name", mkdir(name, 0755));
		say("lstat of a long name", lstat(name, &st));
		say("rename to a long name", rename("names/f", name));
		say("symlink of a long name", symlink("x", name));
		say("rmdir of a long name", rmdir(name));
		name[6 + len] = 'n';
	}
	memset(target, 't', sizeof(target));
	for (len = 4094; len <= 4096; len++) {
		target[len] = 0;
		say("symlink to a long target", symlink(target, "names/long"));
		say("its length", readlink("names/long", got, sizeof(got)));
		say("its size", lstat("names/long", &st) < 0 ? -1 : (long)st.st_size);
		say("stat through it", stat("names/long", &st));
		unlink("names/long");
		target[len] = 't';
	}
	say("symlink to nothing", symlink("", "names/empty"));
	/* "names/" and "./" and a name: 4,095 bytes, then one more. */
	for (len = 4095; len <= 4096; len++) {
		memset(path, '/', sizeof(path));
		memcpy(path, "names", 5);
		path[len - 1] = 'f';
		path[len] = 0;
		say("lstat of a long path", lstat(path, &st));
	}
}

/* As deep as one path reaches, then further by the working directory. */
static void do_deep(void)
{
	char name[201];
	int depth = 0, back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(name, 'd', 200);
	name[200] = 0;
	FIXTURE_MUST(chdir("names") == 0);
	while (depth < 30 && mkdir(name, 0755) == 0 && chdir(name) == 0)
		depth++;
	NOTE("depth %d", depth);
	write_file("leaf", "leaf");
	show("leaf");
	look(".");
	TRY(rename("leaf", "leaf2"));
	TRY(unlink("leaf2"));
	TRY(getcwd(NULL, 0) ? 0 : -1);
	while (depth-- > 0 && chdir("..") == 0) {
		if (rmdir(name) < 0)
			NOTE("rmdir: %s", strerrorname_np(errno));
	}
	FIXTURE_MUST(fchdir(back) == 0);
	close(back);
	look("names");
}

static void do_rename_errors(void)
{
	TRY(rename("names/none", "names/x"));
	TRY(rename("names/f", "names/none/x"));
	TRY(rename("names/f", "names/f/x"));
	TRY(rename("names/f", "names/d"));
	TRY(rename("names/d", "names/f"));
	TRY(rename("names/d", "names/full"));
	TRY(rename("names/full", "names/d"));
	TRY(rename("names/d2", "names/d2/sub"));
	TRY(rename("names/d2", "names/d2"));
	TRY(rename("names/d2/.", "names/x"));
	TRY(rename("names/d2", "names/d2/.."));
	TRY(rename("names/f2", "names/f2"));
	TRY(rename("names/hard1", "names/hard2"));
	look("names/hard1");
	look("names/hard2");
	unlink("names/hard1");
	unlink("names/hard2");
	TRY(rename("names/f2/", "names/x"));
	TRY(rename("names/f2", "names/x/"));
	TRY(rename("names/d2", "names/x/"));
	look("names/x");
	TRY(renameat2(AT_FDCWD, "names/f2", AT_FDCWD, "names/f3", RENAME_NOREPLACE));
	TRY(renameat2(AT_FDCWD, "names/f2", AT_FDCWD, "names/f4", RENAME_NOREPLACE));
	TRY(renameat2(AT_FDCWD, "names/f4", AT_FDCWD, "names/none", RENAME_EXCHANGE));
	TRY(renameat2(AT_FDCWD, "names/f4", AT_FDCWD, "names/full", RENAME_EXCHANGE));
	look("names/f4");
	look("names/full");
	look("names/f4/x");
	TRY(renameat2(AT_FDCWD, "names/f4", AT_FDCWD, "names/full",
		      RENAME_EXCHANGE | RENAME_NOREPLACE));
	TRY(renameat2(AT_FDCWD, "names/f4", AT_FDCWD, "names/f4/x", RENAME_EXCHANGE));
	TRY(renameat2(AT_FDCWD, "names/f3", AT_FDCWD, "names/w", RENAME_WHITEOUT));
	TRY(renameat2(AT_FDCWD, "names/f3", AT_FDCWD, "names/w", 1u << 5));
}

static void do_remove_errors(void)
{
	TRY(unlink("names/none"));
	TRY(unlink("names/d3"));
	TRY(unlink("names/f3/x"));
	TRY(rmdir("names/none"));
	TRY(rmdir("names/f3"));
	TRY(rmdir("names/full2"));
	TRY(rmdir("names/d3/."));
	TRY(rmdir("names/d3/.."));
	TRY(unlink("names/full2/x"));
	TRY(rmdir("names/full2"));
	TRY(rmdir("names/full2"));
	TRY(mkdir("names/full2", 0755));
	look("names/full2/x");
	TRY(unlink("names/link/"));
	TRY(unlink("names/link"));
	TRY(mkdir("names/f3", 0755));
	TRY(mkdir("names/d3", 0755));
	TRY(mkdir("names/d3/", 0755));
	TRY(mkdir("names/new/", 0755));
	TRY(mkdir("names/none/x", 0755));
	TRY(mkdir("names/f3/x", 0755));
	TRY(mkdir("", 0755));
	TRY(mknod("names/wh", S_IFCHR, 0));
	TRY(mknod("names/null", S_IFCHR | 0666, makedev(1, 3)));
	TRY(mknod("names/blk", S_IFBLK | 0600, makedev(259, 300000)));
	TRY(mknod("names/bad", S_IFDIR | 0600, 0));
	TRY(mknod("names/reg", S_IFREG | 04644, 0));
	look("names/null");
	look("names/blk");
	look("names/reg");
}

static void do_link_errors(void)
{
	struct stat st;

	TRY(link("names/none", "names/l"));
	TRY(link("names/d3", "names/l"));
	TRY(link("names/f3", "names/d3"));
	TRY(link("names/f3", "names/l"));
	look("names/f3");
	TRY(link("names/sym", "names/l2"));
	TRY(linkat(AT_FDCWD, "names/sym", AT_FDCWD, "names/l3", AT_SYMLINK_FOLLOW));
	look("names/l2");
	look("names/l3");
	TRY(unlink("names/f3"));
	look("names/l");
	TRY(link("names/fifo", "names/fifo2"));
	look("names/fifo2");
	TRY(symlink("a", "names/l"));
	TRY(readlink("names/l", (char[9]){ 0 }, 8));
	TRY(readlink("names/sym", (char[9]){ 0 }, 2));
	TRY(stat("names/loop", &st));
	TRY_FD(open("names/sym", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
	TRY_FD(open("names/sym", O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

static void do_open_errors(void)
{
	int fd;

	TRY_FD(open("names/none", O_RDONLY | O_CLOEXEC));
	TRY_FD(open("names/d2x/x", O_RDONLY | O_CLOEXEC));
	TRY_FD(open("names/f5", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	TRY_FD(open("names/f5", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	TRY_FD(open("names/full", O_RDWR | O_CLOEXEC));
	TRY_FD(open("names/d3", O_WRONLY | O_CLOEXEC));
	TRY_FD(open("names/d3", O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
	TRY_FD(open("names/d3/", O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
	TRY_FD(open("names/new5/", O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
	TRY_FD(open("names/f5/", O_RDONLY | O_CLOEXEC));
	TRY_FD(open("names/dangling", O_WRONLY | O_CREAT | O_CLOEXEC, 0604));
	look("names/target");
	TRY_FD(open("names/dangling2", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0604));
	TRY_FD(open("names/fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC));
	fd = TRY_FD(open("names/fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	TRY(write(fd, "p", 1));
	close(fd);
	fd = TRY_FD(open("names/f5", O_RDONLY | O_CLOEXEC));
	TRY(write(fd, "x", 1));
	TRY(ftruncate(fd, 1));
	TRY(fsync(fd));
	close(fd);
	fd = TRY_FD(open("names/f5", O_WRONLY | O_CLOEXEC));
	TRY(read(fd, (char[9]){ 0 }, 8));
	TRY(pwrite(fd, "x", 1, -1));
	TRY(ftruncate(fd, -1));
	close(fd);
	fd = open("names/d3", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	TRY(read(fd, (char[9]){ 0 }, 8));
	TRY(ftruncate(fd, 0));
	TRY(fsync(fd));
	TRY(fdatasync(fd));
	close(fd);
	TRY(truncate("names/d3", 0));
	TRY(truncate("names/fifo", 0));
	TRY(truncate("names/none", 0));
	TRY(chmod("names/none", 0));
}

static void links_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		NOTE("%s: %s", path, strerrorname_np(errno));
	else
		NOTE("%s: %ld links, %s", path, (long)st.st_nlink,
		     st.st_size ? "a size" : "no size");
}

/* Reads on from a place that was told before names went and came. */
static void seek_in(const char *path)
{
	char seen[128] = { 0 }, name[64];
	struct dirent *e;
	DIR *d = opendir(path);
	long at = -1;
	int n = 0, twice = 0, stayed = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		seen[strtol(e->d_name + 1, NULL, 10)]++;
		if (++n == 30)
			at = telldir(d);
		if (n == 60)
			break;
	}
	for (int i = 0; i < 100; i += 7) {
		snprintf(name, sizeof(name), "%s/f%d", path, i);
		unlink(name);
	}
	snprintf(name, sizeof(name), "%s/f120", path);
	write_file(name, "new");
	if (d)
		seekdir(d, at);
	memset(seen, 0, sizeof(seen));
	for (n = 0; d && (e = readdir(d)); n++) {
		if (e->d_name[0] != '.')
			seen[strtol(e->d_name + 1, NULL, 10)]++;
	}
	for (int i = 0; i < 128; i++) {
		twice += seen[i] > 1;
		stayed += seen[i] && i < 100 && i % 7;
	}
	NOTE("twice %d, enough %d", twice, stayed >= 50);
	if (d)
		rewinddir(d);
	for (n = 0; d && readdir(d); n++)
		;
	NOTE("%d after rewinddir", n);
	if (d)
		closedir(d);
}

static void do_directories(void)
{
	char name[64];

	links_of("names/nest");
	links_of("names/nest/a");
	TRY(mkdir("names/nest/c", 0755));
	links_of("names/nest");
	TRY(rmdir("names/nest/b"));
	links_of("names/nest");
	TRY(mkdir("names/born", 0755));
	links_of("names/born");
	TRY(mkdir("names/born/a", 0755));
	TRY(mkdir("names/born/b", 0755));
	links_of("names/born");
	TRY(rename("names/born/b", "names/nest/b"));
	links_of("names/born");
	links_of("names/nest/b");
	TRY(mkdir("names/many", 0755));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "names/many/f%d", i);
		FIXTURE_MUST(mknod(name, S_IFREG | 0644, 0) == 0);
	}
	seek_in("names/many");
}

static void do_sockets(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "names/sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	TRY(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	look("names/sock");
	TRY(listen(fd, 1));
	TRY(connect(other, (struct sockaddr *)&a, sizeof(a)));
	TRY(rename("names/sock", "names/sock2"));
	close(other);
	other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(a.sun_path, "names/sock2", sizeof("names/sock2"));
	TRY(connect(other, (struct sockaddr *)&a, sizeof(a)));
	TRY(bind(other, (struct sockaddr *)&a, sizeof(a)));
	TRY_FD(open("names/sock2", O_RDONLY | O_CLOEXEC));
	close(fd);
	close(other);
	TRY(connect(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&a,
		    sizeof(a)));
	TRY(unlink("names/sock2"));
}

static void show_working_directory(void)
{
	char *s = getcwd(NULL, 0);

	NOTE("getcwd: %s", s ? "a path" : strerrorname_np(errno));
	free(s);
	look(".");
	TRY(mkdir("inside", 0755));
	TRY_FD(open("inside", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	TRY(rename("../f5", "inside"));
	TRY_FD(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	TRY_FD(open("..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void do_removed_directory(void)
{
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;
	DIR *d;

	FIXTURE_MUST(chdir("names/gone") == 0);
	TRY(rmdir("../gone"));
	show_working_directory();
	FIXTURE_MUST(fchdir(back) == 0);
	TRY(mkdir("names/gone2", 0755));
	dir = open("names/gone2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FIXTURE_MUST(fchdir(dir) == 0);
	TRY(rmdir("../gone2"));
	show_working_directory();
	d = fdopendir(dir);
	NOTE("a removed directory lists %s", readdir(d) ? "something" : "nothing");
	closedir(d);
	FIXTURE_MUST(fchdir(back) == 0);
	close(back);
}

#endif
