/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The union suite over /dev/fuse: each kind of lower under each kind of top; and after each, the
 * same top mounted anew shows the same. With UNION_DIR set it runs on what is mounted there (the
 * fixture with a fresh top), mounts nothing, and, built with -DSUITE_ATTACHED, needs libc alone: so
 * a guest can run it over virtio-fs. That one makes the fixture too: --fixture DIR.
 */
#include "cases.h"

#include <sys/vfs.h>

/* The cases write where they are: never into a directory that is no union. */
static int run_attached(const char *dir)
{
	struct statfs fs;

	if (chdir(dir) < 0 || statfs(".", &fs) < 0) {
		printf("Bail out! %s: %m\n", dir);
		return 1;
	}
	if (fs.f_type != 0x65735546) { /* FUSE_SUPER_MAGIC, over /dev/fuse and virtio-fs */
		printf("Bail out! %s: no union is mounted there\n", dir);
		return 1;
	}
	run_cases("attached");
	return tap_done();
}

#ifdef SUITE_ATTACHED

/* An import drops trusted.*: set anew, where it is not there. */
static void restore_xattr(const char *dir)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/xattr/file", dir);
	if (getxattr(path, "trusted.secret", NULL, 0) < 0 && errno == ENODATA)
		FIXTURE_MUST(setxattr(path, "trusted.secret", "t", 1, 0) == 0);
}

static int make_fixture(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	FIXTURE_MUST(fd >= 0);
	fixture_merged(fd);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	const char *dir = getenv("UNION_DIR");

	if (argc == 3 && strcmp(argv[1], "--fixture") == 0)
		return make_fixture(argv[2]);
	if (!dir)
		return tap_skip("needs UNION_DIR, where a union is mounted");
	restore_xattr(dir);
	return run_attached(dir);
}

#else

#include "mounted.h"
#include "snapshot.h"

static struct mounted m;
static bool with_index;
static enum ufs_upper_mode with_mode;
static char *before;

static void same_after_remount(void)
{
	char *after;

	before = snapshot(m.point, SNAPSHOT_INO);
	CHECK(before);
	CHECK(mounted_end(&m) == 0);
	mounted_begin(&m, with_index, with_mode, 2);
	after = snapshot(m.point, SNAPSHOT_INO);
	CHECK(after);
	CHECK(snapshot_same(before, after));
	free(before);
	free(after);
}

static void server_ends_well(void)
{
	CHECK(mounted_end(&m) == 0);
}

static void run(const char *only, bool index, enum ufs_upper_mode mode)
{
	char prefix[64];
	int dir;

	with_index = index;
	with_mode = mode;
	snprintf(prefix, sizeof(prefix), "%s, %s", index ? "index" : "directories",
		 mode == UFS_UPPER_NATIVE ? "native" : "mapped");
	if (only && strcmp(only, prefix) != 0)
		return;
	mounted_dir(&m);
	dir = open(m.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (index)
		fixture_index(mounted_open(&m, "index", O_RDWR | O_CREAT),
			      mounted_open(&m, "pack", O_RDWR | O_CREAT));
	else
		fixture_dirs(dir);
	mounted_begin(&m, index, mode, 2);
	FIXTURE_MUST(chdir(m.point) == 0);
	run_cases(prefix);
	FIXTURE_MUST(fchdir(dir) == 0);
	tap_run(prefix, "the same after a remount", same_after_remount);
	tap_run(prefix, "the server ends well", server_ends_well);
	FIXTURE_MUST(chdir("/") == 0);
	close(dir);
	mounted_remove(&m);
}

/* An argument chooses one: "index, native". */
int main(int argc, char **argv)
{
	const char *dir = getenv("UNION_DIR"), *only = argc > 1 ? argv[1] : NULL, *missing;

	if (dir)
		return run_attached(dir);
	missing = mounted_missing();
	if (missing)
		return tap_skip(missing);
	run(only, false, UFS_UPPER_NATIVE);
	run(only, false, UFS_UPPER_MAPPED);
	run(only, true, UFS_UPPER_NATIVE);
	run(only, true, UFS_UPPER_MAPPED);
	return tap_done();
}

#endif
