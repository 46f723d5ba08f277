/* SPDX-License-Identifier: Apache-2.0 */
/* Deeds: who may what, and what changing a file does to its mode. */
#ifndef TESTS_UNIONFS_DEEDS_RIGHTS_H
#define TESTS_UNIONFS_DEEDS_RIGHTS_H

#include "deeds.h"

static void make_in_setgid(void)
{
	umask(0);
	TRY(mkdir("rights/setgid/d", 0775));
	TRY_FD(open("rights/setgid/f", O_WRONLY | O_CREAT | O_CLOEXEC, 02775));
	TRY_FD(open("rights/setgid/g", O_WRONLY | O_CREAT | O_CLOEXEC, 02765));
	TRY(mknod("rights/setgid/p", S_IFIFO | 02775, 0));
	TRY(symlink("x", "rights/setgid/s"));
	TRY(chmod("rights/setgid/f", 02775));
	TRY(mkdir("rights/setgid/d/e", 0700));
	umask(022);
}

static void do_setgid(void)
{
	static const char *const names[] = { "d", "f", "g", "p", "s", "d/e" };
	char path[64];

	as(1001, 1001, 0, make_in_setgid);
	for (int k = 0; k < 3; k++) {
		for (size_t i = 0; i < 6; i++) {
			snprintf(path, sizeof(path), "rights/setgid/%s", names[i]);
			look(path);
			if (i == 5)
				TRY(rmdir(path));
		}
		for (size_t i = 5; i--;) {
			snprintf(path, sizeof(path), "rights/setgid/%s", names[i]);
			TRY(remove(path));
		}
		if (k == 0)
			as(1001, 1001, 2000, make_in_setgid);
		else if (k == 1)
			make_in_setgid();
	}
	TRY(chmod("rights/setgid", 0755));
	make_in_setgid();
	look("rights/setgid/d");
	look("rights/setgid/f");
}

static void take_from_sticky(void)
{
	TRY(unlink("rights/sticky/others"));
	TRY(rename("rights/sticky/others", "rights/sticky/n"));
	TRY(rename("rights/sticky/mine", "rights/sticky/others"));
	TRY(rename("rights/sticky/mine", "rights/sticky/m2"));
	TRY(renameat2(AT_FDCWD, "rights/sticky/m2", AT_FDCWD, "rights/sticky/others",
		      RENAME_EXCHANGE));
	TRY(rmdir("rights/sticky/dir"));
	TRY(link("rights/sticky/others", "rights/sticky/l"));
	TRY(unlink("rights/sticky/m2"));
}

static void do_sticky(void)
{
	as(1001, 1001, 0, take_from_sticky);
	look("rights/sticky/others");
	TRY(unlink("rights/sticky/others"));
	as(1001, 1001, 0, take_from_sticky);
}

static void write_by(const char *path)
{
	int fd = TRY_FD(open(path, O_RDWR | O_CLOEXEC));

	look(path);
	TRY(write(fd, "x", 1));
	look(path);
	close(fd);
}

static const char *set_path; /* of a file that is 06777 in the lower */

static void set_write(void)
{
	write_by(set_path);
}

static void set_truncate(void)
{
	TRY(truncate(set_path, 1));
}

static void set_truncate_same(void)
{
	TRY(truncate(set_path, 4));
}

static void set_open_trunc(void)
{
	TRY_FD(open(set_path, O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static void set_fallocate(void)
{
	int fd = TRY_FD(open(set_path, O_RDWR | O_CLOEXEC));

	TRY(fallocate(fd, 0, 0, 100));
	close(fd);
}

static void set_copy(void)
{
	int from = open("rights/plain", O_RDONLY | O_CLOEXEC),
	    to = TRY_FD(open(set_path, O_RDWR | O_CLOEXEC));

	TRY(copy_file_range(from, NULL, to, NULL, 3, 0));
	close(from);
	close(to);
}

static void set_map(void)
{
	int fd = TRY_FD(open(set_path, O_RDWR | O_CLOEXEC));
	char *p = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED) {
		p[0] = 'm';
		TRY(msync(p, 4, MS_SYNC));
		munmap(p, 4);
	}
	close(fd);
}

static void set_chmod(void)
{
	TRY(chmod(set_path, 06755));
	look(set_path);
	TRY(chmod(set_path, 01755));
}

static void set_xattr(void)
{
	TRY(setxattr(set_path, "user.x", "y", 1, 0));
}

static void set_utimes(void)
{
	TRY(utimensat(AT_FDCWD, set_path, NULL, 0));
}

static void do_set_id(void)
{
	static const struct {
		const char *path;
		void (*fn)(void);
	} deeds[] = {
		{ "rights/s0", set_write },	    { "rights/s1", set_truncate },
		{ "rights/s2", set_truncate_same }, { "rights/s3", set_open_trunc },
		{ "rights/s4", set_fallocate },	    { "rights/s5", set_copy },
		{ "rights/s6", set_map },	    { "rights/s7", set_chmod },
		{ "rights/s8", set_xattr },	    { "rights/s9", set_utimes },
	};

	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		set_path = deeds[i].path;
		/* Not the owner's, nor one of the group. */
		as(1001, 1001, 0, deeds[i].fn);
		look(set_path);
		TRY(chown(set_path, 1001, 1001));
		look(set_path);
		TRY(chmod(set_path, 06767));
		as(1001, 1001, 0, deeds[i].fn);
		look(set_path);
		TRY(chmod(set_path, 06777));
		deeds[i].fn();
		look(set_path);
	}
}

static void chown_mine(void)
{
	TRY(chown("rights/owned", -1, 1001));
	look("rights/owned");
	TRY(chmod("rights/owned", 06755));
	TRY(chown("rights/owned", -1, 2000));
	look("rights/owned");
	TRY(chown("rights/owned", 1001, -1));
	TRY(chown("rights/owned", 1002, -1));
	TRY(chown("rights/owned", -1, 3000));
	TRY(chown("rights/owned", -1, -1));
	TRY(chown("rights/plain", 1001, -1));
	TRY(chown("rights/plain", -1, 1001));
	look("rights/owned");
}

static void do_chown(void)
{
	as(1001, 1001, 2000, chown_mine);
	TRY(chmod("rights/owned", 06755));
	TRY(chown("rights/owned", 1002, 1002));
	look("rights/owned");
	TRY(chmod("rights/owned", 06745));
	TRY(chown("rights/owned", 1001, 1002));
	look("rights/owned");
	TRY(chown("rights/setgid2", 5, 6));
	look("rights/setgid2");
	TRY(lchown("rights/link", 7, 8));
	look("rights/link");
	look("rights/plain");
	TRY(chown("rights/link", 9, 10));
	look("rights/link");
	look("rights/plain");
}

static void use_group(void)
{
	show("rights/group640");
	TRY_FD(open("rights/group640", O_WRONLY | O_CLOEXEC));
	TRY_FD(open("rights/group660", O_RDWR | O_CLOEXEC));
	TRY(access("rights/group640", R_OK));
	TRY(access("rights/group640", W_OK));
	TRY(mkdir("rights/groupdir/made", 0755));
	look("rights/groupdir/made");
}

static void use_nothing(void)
{
	struct stat st;

	use_group();
	TRY(stat("rights/closed/f", &st));
	TRY(mkdir("rights/n", 0755));
	TRY_FD(open("rights/n", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	TRY(unlink("rights/plain"));
	TRY(rename("rights/plain", "rights/n"));
	TRY(symlink("a", "rights/n"));
	TRY(link("rights/plain", "rights/n"));
	TRY(chmod("rights/plain", 0777));
	TRY(truncate("rights/plain", 0));
	TRY_FD(open("rights/plain", O_RDONLY | O_TRUNC | O_CLOEXEC));
	TRY_FD(open("rights/plain", O_RDONLY | O_NOATIME | O_CLOEXEC));
	TRY(utimensat(AT_FDCWD, "rights/plain", NULL, 0));
	TRY(utimensat(AT_FDCWD, "rights/open", NULL, 0));
	TRY(utimensat(AT_FDCWD, "rights/open", (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, 0));
	TRY(setxattr("rights/plain", "user.x", "1", 1, 0));
	TRY(setxattr("rights/open", "user.x", "1", 1, 0));
	TRY(setxattr("rights/open", "trusted.x", "1", 1, 0));
	TRY(setxattr("rights/open", "security.x", "1", 1, 0));
	TRY(getxattr("rights/open", "trusted.x", NULL, 0));
	TRY(mknod("rights/sticky/dev", S_IFCHR | 0666, makedev(1, 3)));
	TRY(mknod("rights/sticky/fifo", S_IFIFO | 0666, 0));
	TRY(chroot("rights"));
	TRY_FD(open("rights/unreadable", O_RDONLY | O_CLOEXEC));
	TRY_FD(open("rights/unreadable", O_WRONLY | O_CLOEXEC));
}

static void do_groups(void)
{
	as(1001, 1001, 2000, use_group);
	as(1001, 2000, 0, use_group);
	as(1002, 1002, 0, use_nothing);
	look("rights/plain");
	look("rights/open");
}

/* A capability of version 2: cap_net_raw in all sets. */
static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 0x20 };

static void do_capabilities(void)
{
	static const char *const paths[] = { "rights/caps", "rights/newcaps" };
	char value[32];
	int fd;

	write_file("rights/newcaps", "four");
	for (size_t i = 0; i < 2; i++) {
		TRY(setxattr(paths[i], "security.capability", capability, 20, 0));
		TRY(getxattr(paths[i], "security.capability", value, sizeof(value)));
		TRY(chmod(paths[i], 0700));
		TRY(getxattr(paths[i], "security.capability", value, sizeof(value)));
		TRY(chown(paths[i], 5, 5));
		TRY(getxattr(paths[i], "security.capability", value, sizeof(value)));
		TRY(setxattr(paths[i], "security.capability", capability, 20, 0));
		fd = open(paths[i], O_RDWR | O_CLOEXEC);
		TRY(write(fd, "w", 1));
		close(fd);
		TRY(getxattr(paths[i], "security.capability", value, sizeof(value)));
		TRY(setxattr(paths[i], "security.capability", capability, 20, 0));
		TRY(truncate(paths[i], 2));
		TRY(getxattr(paths[i], "security.capability", value, sizeof(value)));
		TRY(setxattr(paths[i], "security.capability", capability, 20, 0));
		set_path = paths[i];
		set_fallocate();
		TRY(getxattr(paths[i], "security.capability", value, sizeof(value)));
	}
}

#endif
