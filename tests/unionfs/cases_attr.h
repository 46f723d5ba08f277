/* SPDX-License-Identifier: Apache-2.0 */
/* The union suite: modes, owners, times, xattrs, ACLs. */
#ifndef TESTS_UNIONFS_CASES_ATTR_H
#define TESTS_UNIONFS_CASES_ATTR_H

#include "paths.h"

#include <sys/wait.h>

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
	/* A client's own, of an overlay that it mounts here: without effect on this one. */
	CHECK(setxattr("dir", "trusted.overlay.opaque", "y", 1, 0) == 0);
	CHECK(getxattr("dir", "trusted.overlay.opaque", buf, sizeof(buf)) == 1 && *buf == 'y');
	CHECK(listxattr("dir", buf, sizeof(buf)) == sizeof("trusted.overlay.opaque"));
	CHECK(lists("dir", "kept"));
	CHECK(removexattr("dir", "trusted.overlay.opaque") == 0);
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

#endif
