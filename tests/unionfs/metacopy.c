/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes of attributes copy: nothing. What follows before the first write: the bytes, not the
 * holes.
 */
#include "mounted.h"
#include "tap.h"

#define GIB   (1ull << 30)
#define DATA  (32u << 20) /* of the big file, at its beginning; the rest is hole */
#define SPOT  4096u
#define ROOMY 128 /* blocks of 512 bytes that marks and xattrs may take */

static struct mounted m;

static void fill(int fd, off_t at, size_t len, char c)
{
	char *buf = malloc(len);

	FIXTURE_MUST(buf);
	memset(buf, c, len);
	FIXTURE_MUST(pwrite(fd, buf, len, at) == (ssize_t)len);
	free(buf);
}

static void make_lower(void)
{
	int dir = mounted_open(&m, "bottom", O_RDONLY | O_DIRECTORY);
	static const char *const names[] = { "chmod", "chown",	"times",  "xattr",
					     "link",  "rename", "unlink", "trunc" };
	int fd = openat(dir, "big", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	FIXTURE_MUST(ftruncate(fd, GIB) == 0);
	fill(fd, 0, DATA, 'b');
	close(fd);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fd = openat(dir, names[i], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		FIXTURE_MUST(fd >= 0 && ftruncate(fd, GIB) == 0);
		fill(fd, 0, 1u << 20, 'd');
		close(fd);
	}
	FIXTURE_MUST(mkdirat(dir, "sub", 0755) == 0);
	FIXTURE_MUST(linkat(dir, "unlink", dir, "stays", 0) == 0);
	fd = openat(dir, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	FIXTURE_MUST(ftruncate(fd, 5 * GIB) == 0);
	fill(fd, 1u << 20, SPOT, 's');
	fill(fd, 4 * GIB + 4096, SPOT, 's');
	close(fd);
	close(dir);
}

static struct stat in_upper(const char *name)
{
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/upper/%s", m.dir, name);
	CHECK(lstat(path, &st) == 0);
	return st;
}

static blkcnt_t upper_blocks(const char *name)
{
	return in_upper(name).st_blocks;
}

static char byte_at(const char *name, off_t at)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char c = 0;

	CHECK(fd >= 0 && pread(fd, &c, 1, at) == 1);
	close(fd);
	return c;
}

static void attributes_copy_nothing(void)
{
	const struct timespec t[2] = { { 1, 0 }, { 2, 0 } };
	static const char *const copied[] = { "big",  "chmod",	 "chown", "times", "xattr",
					      "link", "renamed", "stays", "linked" };
	struct stat before, after;

	CHECK(chdir(m.point) == 0 && stat("big", &before) == 0);
	CHECK(chmod("big", 0600) == 0 && chmod("chmod", 0700) == 0 && chown("chown", 5, 6) == 0);
	CHECK(utimensat(AT_FDCWD, "times", t, 0) == 0);
	CHECK(setxattr("xattr", "user.color", "red", 3, 0) == 0);
	CHECK(link("link", "linked") == 0 && rename("rename", "renamed") == 0);
	CHECK(unlink("unlink") == 0);
	CHECK(stat("big", &after) == 0 && after.st_ino == before.st_ino);
	/* The client sees what it takes on the whole; its times are its own. */
	CHECK(after.st_blocks == before.st_blocks && after.st_size == before.st_size);
	CHECK(after.st_mtim.tv_sec == before.st_mtim.tv_sec);
	CHECK(byte_at("big", DATA - 1) == 'b' && byte_at("renamed", 5) == 'd');
	CHECK(byte_at("linked", 5) == 'd' && stat("stays", &after) == 0 && after.st_nlink == 1);
	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
		CHECK(upper_blocks(copied[i]) <= ROOMY);
	CHECK(chdir("/") == 0);
}

static void first_write_brings_the_bytes(void)
{
	int fd;
	struct stat st;

	CHECK(chdir(m.point) == 0);
	CHECK(chmod("big", 04755) == 0);
	fd = open("big", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && fsync(fd) == 0 && upper_blocks("big") <= ROOMY);
	close(fd);
	fd = open("linked", O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, "X", 1, 7) == 1);
	close(fd);
	CHECK(byte_at("link", 7) == 'X' && byte_at("link", 8) == 'd' &&
	      byte_at("link", GIB - 1) == 0);
	CHECK(upper_blocks("link") >= (1 << 20) / 512);
	CHECK(upper_blocks("link") <= 2 * (1 << 20) / 512);
	/* Truncating copies what stays, and no more. */
	CHECK(truncate("big", 1u << 20) == 0 && stat("big", &st) == 0 && st.st_size == 1 << 20);
	CHECK(byte_at("big", (1 << 20) - 1) == 'b' && upper_blocks("big") <= 2 * (1 << 20) / 512);
	CHECK(chmod("trunc", 0600) == 0 && truncate("trunc", 0) == 0);
	CHECK(stat("trunc", &st) == 0 && st.st_size == 0 && upper_blocks("trunc") <= ROOMY);
	CHECK(truncate("trunc", 10) == 0 && byte_at("trunc", 3) == 0);
	CHECK(chdir("/") == 0);
}

static void holes_stay_holes(void)
{
	int fd;

	CHECK(chdir(m.point) == 0 && chmod("sparse", 0600) == 0);
	fd = open("sparse", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, "X", 1, 4 * GIB) == 1);
	CHECK(lseek(fd, 0, SEEK_DATA) == 1 << 20);
	close(fd);
	CHECK(byte_at("sparse", (1 << 20) + 5) == 's' && byte_at("sparse", 4 * GIB + 4097) == 's');
	CHECK(in_upper("sparse").st_size == 5 * GIB && upper_blocks("sparse") <= ROOMY);
	CHECK(chdir("/") == 0);
}

/* Off: chmod copies, and a rename of a lower directory is refused. */
static void off(void)
{
	CHECK(mounted_end(&m) == 0);
	m.off = true;
	mounted_begin(&m, false, m.mode, 2);
	CHECK(chdir(m.point) == 0 && chmod("xattr", 0700) == 0);
	CHECK(upper_blocks("xattr") <= ROOMY); /* copied before, and still read */
	CHECK(byte_at("xattr", 1) == 'd');
	CHECK_ERRNO(rename("sub", "sub2"), EXDEV);
	CHECK(rename("xattr", "xattr2") == 0 && upper_blocks("xattr2") >= (1 << 20) / 512);
	CHECK(chdir("/") == 0);
}

static void run(enum ufs_upper_mode mode)
{
	const char *prefix = mode == UFS_UPPER_NATIVE ? "native" : "mapped";

	m = (struct mounted){ .mode = mode };
	mounted_dir(&m);
	close(mounted_open(&m, "top", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "upper", O_RDONLY | O_DIRECTORY));
	make_lower();
	mounted_begin(&m, false, mode, 2);
	tap_run(prefix, "attributes copy nothing", attributes_copy_nothing);
	tap_run(prefix, "the first write brings the bytes", first_write_brings_the_bytes);
	tap_run(prefix, "holes stay holes", holes_stay_holes);
	tap_run(prefix, "off", off);
	CHECK(mounted_end(&m) == 0);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	run(UFS_UPPER_NATIVE);
	run(UFS_UPPER_MAPPED);
	return tap_done();
}
