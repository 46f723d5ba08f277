/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel overlayfs takes over lowers, upper and work of a native top, and shows the same; and the
 * other way round.
 */
#include "overlaid.h"
#include "snapshot.h"
#include "tap.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

static struct mounted m;

static bool with_index;

static void touch(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void set_flags(const char *name, int flags)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), now;

	CHECK(fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &now) == 0);
	now = (now & ~(FS_IMMUTABLE_FL | FS_APPEND_FL)) | flags;
	CHECK(ioctl(fd, FS_IOC_SETFLAGS, &now) == 0);
	close(fd);
}

static int flags_of(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), now = 0;

	CHECK(fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &now) == 0);
	close(fd);
	return now & (FS_IMMUTABLE_FL | FS_APPEND_FL);
}

/* Some of everything that leaves a mark in the upper. */
static void change(void)
{
	CHECK(chdir(m.point) == 0);
	touch("dir/kept", "more");
	touch("dir/born", "born");
	touch("etc/conf.d/b", "b2");
	CHECK(chmod("etc/conf.d", 0700) == 0 && chown("lib/big", 5, 6) == 0);
	CHECK(unlink("etc/hosts") == 0 && unlink("sym") == 0 && unlink("rmd/x/y") == 0);
	CHECK(rmdir("rmd/x") == 0 && rmdir("rmd") == 0 && mkdir("rmd", 0755) == 0);
	touch("rmd/z", "z");
	CHECK(rename("move/a", "move/a2") == 0 && rename("move/b", "attr/moved") == 0);
	CHECK(mkdir("tree", 0755) == 0 && mkdir("tree/deep", 0711) == 0);
	touch("tree/deep/f", "f");
	CHECK(rename("tree", "move/empty") == 0);
	CHECK(setxattr("xattr/file", "user.color", "red", 3, 0) == 0);
	CHECK(setxattr("attr", "trusted.mark", "1", 1, 0) == 0);
	CHECK(symlink("nowhere", "dangling") == 0 &&
	      mknod("dev/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	CHECK(link("move/c", "move/c2") == 0);
	touch("links/two", "all three");
	/* No bytes, and no copies. */
	CHECK(chmod("lib/object", 0604) == 0 && chown("links2/a", 7, 8) == 0);
	CHECK(rename("lib/object", "attr/object") == 0 && chmod("maps/shared", 0600) == 0);
	CHECK(link("maps/shared", "open/linked") == 0 && rename("maps", "tmp/maps") == 0);
	CHECK(rename("tmp/maps", "tmp/maps2") == 0 && rename("open", "open2") == 0);
	CHECK(rename("tmp/maps2/private", "tmp/private") == 0);
	CHECK(renameat2(AT_FDCWD, "sync", AT_FDCWD, "bin", RENAME_EXCHANGE) == 0);
	CHECK(mkdir("maps", 0711) == 0 && rename("many", "maps/many") == 0);
	CHECK(unlink("maps/many/f0001") == 0);
	touch("dir/fixed", "fixed");
	set_flags("dir/fixed", FS_IMMUTABLE_FL);
	set_flags("xattr/file", FS_APPEND_FL);
	CHECK(chdir("/") == 0);
}

static void same_in_kernel(void)
{
	char *ours, *theirs;

	change();
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(ours && mounted_end(&m) == 0);
	CHECK(overlaid_begin(&m, with_index) == 0);
	theirs = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(theirs && snapshot_same(ours, theirs));
	free(ours);
	free(theirs);
}

/* What overlayfs makes of it now, we show too. */
static void same_as_kernel(void)
{
	char *ours, *theirs;

	CHECK(chdir(m.point) == 0);
	CHECK(flags_of("dir/fixed") == FS_IMMUTABLE_FL && flags_of("xattr/file") == FS_APPEND_FL);
	CHECK_ERRNO(unlink("dir/fixed"), EPERM);
	set_flags("dir/fixed", 0);
	touch("attr/mode", "by overlayfs");
	set_flags("attr/mode", FS_APPEND_FL);
	CHECK(unlink("dir/new") == 0 && unlink("move/c2") == 0);
	CHECK(mkdir("dir/new", 0700) == 0);
	touch("dir/new/file", "file");
	CHECK(rename("attr/moved", "move/b") == 0);
	CHECK(chdir("/") == 0);
	theirs = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(theirs && overlaid_end(&m, with_index) == 0);
	mounted_begin(&m, with_index, UFS_UPPER_NATIVE, 2);
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(ours && snapshot_same(theirs, ours) && chdir(m.point) == 0);
	CHECK(!flags_of("dir/fixed") && flags_of("attr/mode") == FS_APPEND_FL);
	CHECK_ERRNO(unlink("attr/mode"), EPERM);
	CHECK(chdir("/") == 0);
	free(ours);
	free(theirs);
	CHECK(mounted_end(&m) == 0);
}

/* Owner and mode without the bytes, and directories that were moved. */
static void same_as_metacopy(void)
{
	char *ours, *theirs;

	CHECK(overlaid_begin(&m, with_index) == 0 && chdir(m.point) == 0);
	CHECK(chmod("lib/big", 0601) == 0 && rename("lib/big", "attr/big") == 0);
	CHECK(chmod("move/c", 0711) == 0 && rename("lib", "lib2") == 0);
	CHECK(rename("opq", "lib2/opq") == 0 && rename("lib2", "maps/lib3") == 0);
	CHECK(rename("bin", "links/bin") == 0 && rename("maps/many", "many") == 0);
	CHECK(chdir("/") == 0);
	theirs = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(theirs && overlaid_end(&m, with_index) == 0);
	mounted_begin(&m, with_index, UFS_UPPER_NATIVE, 2);
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(ours && snapshot_same(theirs, ours));
	free(ours);
	free(theirs);
	CHECK(mounted_end(&m) == 0);
}

static void run(bool index)
{
	int dir, image, pack;

	with_index = index;
	mounted_dir(&m);
	dir = open(m.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (index) {
		image = mounted_open(&m, "index", O_RDWR | O_CREAT);
		pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
		fixture_index(image, pack);
		close(image);
		close(pack);
	} else {
		fixture_dirs(dir);
	}
	close(dir);
	close(mounted_open(&m, "upper", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "work", O_RDONLY | O_DIRECTORY));
	if (overlaid_begin(&m, index) < 0) {
		printf("# SKIP %s: the kernel cannot mount it: %m\n",
		       index ? "index" : "directories");
	} else {
		overlaid_end(&m, index);
		mounted_begin(&m, index, UFS_UPPER_NATIVE, 2);
		tap_run(index ? "overlayfs over EROFS" : "overlayfs", "shows what the union left",
			same_in_kernel);
		tap_run(index ? "overlayfs over EROFS" : "overlayfs", "leaves what the union shows",
			same_as_kernel);
		tap_run(index ? "overlayfs over EROFS" : "overlayfs",
			"leaves metacopy and redirects", same_as_metacopy);
	}
	/* What a case that failed left. */
	while (umount2(m.point, MNT_DETACH) == 0)
		;
	overlaid_end(&m, true);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	run(false);
	run(true);
	return tap_done();
}
