/* SPDX-License-Identifier: Apache-2.0 */
/* The mark of a file that is copied up, but not under all its names: who has it, who has not. */
#include "direct.h"
#include "fixture.h"
#include "index_of.h"
#include "tap.h"

#include <sys/xattr.h>

#define MARK "user.strata.linking"

static struct direct d;
static int index_fd, pack_fd;

static bool userxattr; /* a native top with marks in user.* */

static void open_union(void)
{
	const struct ufs_lower lower = {
		.kind = UFS_LOWER_INDEX, .fd = index_fd, .packs = &pack_fd, .npacks = 1
	};
	const struct ufs_config cfg = {
		.lowers = &lower,
		.nlowers = 1,
		.upper = userxattr ? UFS_UPPER_NATIVE : UFS_UPPER_MAPPED,
		.userxattr = userxattr,
		.is_volatile = true,
	};

	CHECK(direct_open(&d, &cfg) == 0);
	CHECK(direct_init(&d) == 0);
}

static int chmod_of(const char *name, uint32_t mode)
{
	const struct wire_setattr_in in = { .valid = WIRE_FATTR_MODE, .mode = mode };

	return direct_error(&d, WIRE_SETATTR, direct_lookup(&d, 1, name), &in, sizeof(in));
}

static bool has_both(void)
{
	struct stat one, two;

	return fstatat(d.upper, "f", &one, 0) == 0 && fstatat(d.upper, "f2", &two, 0) == 0 &&
	       one.st_ino == two.st_ino;
}

static int upper_file(const char *name)
{
	int fd = openat(d.upper, name, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* "f" and "f2" are one file of the lower. */
static void begin(void)
{
	CHECK(direct_make(&d) == 0);
	CHECK(linkat(d.lower, "f", d.lower, "f2", 0) == 0);
	CHECK(symlinkat("f", d.lower, "y") == 0 && linkat(d.lower, "y", d.lower, "y2", 0) == 0);
	index_fd = openat(d.fd, "index", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pack_fd = openat(d.fd, "pack", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	index_of(d.lower, index_fd, pack_fd);
	open_union();
	CHECK(chmod_of("f", 0600) == 0);
}

static void end(void)
{
	close(index_fd);
	close(pack_fd);
	direct_end(&d);
}

static void test_gone(void)
{
	int fd;

	begin();
	CHECK(has_both());
	fd = upper_file("f");
	CHECK_ERRNO(fgetxattr(fd, MARK, NULL, 0), ENODATA);
	close(fd);
	end();
}

/* As a server leaves it that is killed behind the first name. */
static void test_left(void)
{
	int fd;

	begin();
	direct_close(&d);
	fd = upper_file("f");
	CHECK(unlinkat(d.upper, "f2", 0) == 0);
	CHECK(fsetxattr(fd, MARK, "y", 1, 0) == 0);
	open_union();
	CHECK(chmod_of("f", 0640) == 0);
	CHECK(has_both());
	CHECK_ERRNO(fgetxattr(fd, MARK, NULL, 0), ENODATA);
	close(fd);
	end();
}

/* More xattrs than are looked through for marks. */
static void test_many_xattrs(void)
{
	char name[256];
	int fd;

	begin();
	direct_close(&d);
	fd = upper_file("f");
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "user.%d%0200d", i, 0);
		CHECK(fsetxattr(fd, name, "", 0, 0) == 0);
	}
	close(fd);
	open_union();
	CHECK(chmod_of("f", 0640) == 0);
	end();
}

/* A symbolic link takes no user.*: it is copied up without a mark. */
static void test_symlink_with_userxattr(void)
{
	const struct wire_setattr_in in = { .valid = WIRE_FATTR_UID, .uid = 7 };
	struct stat one, two;

	userxattr = true;
	begin();
	CHECK(direct_error(&d, WIRE_SETATTR, direct_lookup(&d, 1, "y"), &in, sizeof(in)) == 0);
	CHECK(fstatat(d.upper, "y", &one, AT_SYMLINK_NOFOLLOW) == 0 && one.st_uid == 7);
	CHECK(fstatat(d.upper, "y2", &two, AT_SYMLINK_NOFOLLOW) == 0 &&
	      two.st_ino == one.st_ino);
	end();
	userxattr = false;
}

int main(void)
{
	tap_run("linking", "gone with the last name", test_gone);
	tap_run("linking", "left by a server that was killed", test_left);
	tap_run("linking", "not there, among many xattrs", test_many_xattrs);
	tap_run("linking", "a symbolic link of two names with userxattr",
		test_symlink_with_userxattr);
	return tap_done();
}
