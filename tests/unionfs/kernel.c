/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel overlayfs takes over lowers, upper and work of a native top, and shows the same; and the
 * other way round.
 */
#include "mounted.h"
#include "snapshot.h"
#include "tap.h"

static struct mounted m;

static int mount_with(const char *more)
{
	char options[512];

	snprintf(
		options, sizeof(options),
		"lowerdir=%s/top:%s/bottom,upperdir=%s/upper,workdir=%s/work,index=off,%s",
		m.dir, m.dir, m.dir, m.dir, more);
	return mount("overlay", m.point, "overlay", 0, options);
}

static int mount_overlay(void)
{
	return mount_with("redirect_dir=off");
}

static void touch(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
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
	CHECK(chdir("/") == 0);
}

static void same_in_kernel(void)
{
	char *ours, *theirs;

	change();
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(ours && mounted_end(&m) == 0);
	CHECK(mount_overlay() == 0);
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
	touch("attr/mode", "by overlayfs");
	CHECK(unlink("dir/new") == 0 && unlink("move/c2") == 0);
	CHECK(mkdir("dir/new", 0700) == 0);
	touch("dir/new/file", "file");
	CHECK(rename("attr/moved", "move/b") == 0);
	CHECK(chdir("/") == 0);
	theirs = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(theirs && umount2(m.point, 0) == 0);
	mounted_begin(&m, false, UFS_UPPER_NATIVE, 2);
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(ours && snapshot_same(theirs, ours));
	free(ours);
	free(theirs);
	CHECK(mounted_end(&m) == 0);
}

/* Owner and mode without the bytes, and a directory that was moved. */
static void same_as_metacopy(void)
{
	char *ours, *theirs;

	CHECK(mount_with("metacopy=on,redirect_dir=on") == 0 && chdir(m.point) == 0);
	CHECK(chmod("lib/object", 0601) == 0 && rename("lib/object", "attr/object") == 0);
	CHECK(chmod("move/c", 0711) == 0 && rename("lib", "lib2") == 0);
	CHECK(chdir("/") == 0);
	theirs = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(theirs && umount2(m.point, 0) == 0);
	mounted_begin(&m, false, UFS_UPPER_NATIVE, 2);
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(ours && snapshot_same(theirs, ours));
	free(ours);
	free(theirs);
	CHECK(mounted_end(&m) == 0);
}

int main(void)
{
	const char *missing = mounted_missing();
	int dir;

	if (missing)
		return tap_skip(missing);
	mounted_dir(&m);
	dir = open(m.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture_dirs(dir);
	close(dir);
	close(mounted_open(&m, "upper", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "work", O_RDONLY | O_DIRECTORY));
	if (mount_overlay() < 0) {
		mounted_remove(&m);
		return tap_skip("no overlayfs here");
	}
	umount2(m.point, 0);
	mounted_begin(&m, false, UFS_UPPER_NATIVE, 2);
	tap_run("overlayfs", "shows what the union left", same_in_kernel);
	tap_run("overlayfs", "leaves what the union shows", same_as_kernel);
	tap_run("overlayfs", "leaves metacopy and redirects", same_as_metacopy);
	while (umount2(m.point, MNT_DETACH) == 0)
		;
	mounted_remove(&m);
	return tap_done();
}
