/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers as kernel overlayfs leaves them (renamed directories, metacopy files, whiteouts in both
 * forms) as lowers: the union shows what overlayfs shows over the same.
 */
#include "overlaid.h"
#include "snapshot.h"
#include "tap.h"

static struct mounted m;

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	FIXTURE_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void in(const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", m.dir, name);
	mkdir(path, 0755);
	FIXTURE_MUST(chdir(path) == 0);
}

static void make_base(void)
{
	in("base");
	for (int i = 0; i < 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%d", i);
		FIXTURE_MUST(mkdir(name, 0755) == 0);
		snprintf(name, sizeof(name), "d%d/sub", i);
		FIXTURE_MUST(mkdir(name, 0755) == 0);
		snprintf(name, sizeof(name), "d%d/sub/deep", i);
		FIXTURE_MUST(mkdir(name, 0755) == 0);
		snprintf(name, sizeof(name), "d%d/f", i);
		write_file(name, name);
		snprintf(name, sizeof(name), "d%d/sub/g", i);
		write_file(name, name);
		snprintf(name, sizeof(name), "d%d/sub/deep/h", i);
		write_file(name, name);
	}
	FIXTURE_MUST(mkdir("n", 0755) == 0 && mkdir("n/y", 0755) == 0 && mkdir("n/y/c", 0755) == 0);
	write_file("n/y/c/i", "i");
	FIXTURE_MUST(mkdir("n/y/e", 0755) == 0);
	write_file("n/y/e/i", "i");
	write_file("one", "one");
	write_file("two", "two");
	write_file("three", "three");
	FIXTURE_MUST(link("two", "d3/two") == 0);
}

/* The topmost first. 0 or -1. */
static int overlay(const char *lowers, const char *upper)
{
	char options[768], work[160];
	int n;

	FIXTURE_MUST(chdir(m.dir) == 0);
	snprintf(work, sizeof(work), "%s/kwork", m.dir);
	mkdir(work, 0755);
	n = snprintf(options, sizeof(options), "lowerdir=%s,index=off,metacopy=on,redirect_dir=%s",
		     lowers, upper ? "on" : "follow");
	if (upper) {
		mkdir(upper, 0755);
		snprintf(options + n, sizeof(options) - (size_t)n, ",upperdir=%s,workdir=kwork",
			 upper);
	}
	return mount("overlay", m.point, "overlay", upper ? 0 : MS_RDONLY, options);
}

static void end_overlay(void)
{
	FIXTURE_MUST(chdir("/") == 0 && umount2(m.point, 0) == 0);
}

static void change_once(void)
{
	FIXTURE_MUST(overlay("base", "l1") == 0 && chdir(m.point) == 0);
	FIXTURE_MUST(rename("d0", "moved0") == 0 && rename("d1/sub", "d1/sub1") == 0);
	FIXTURE_MUST(rename("d2/sub/deep", "deep2") == 0 && unlink("moved0/sub/g") == 0);
	write_file("moved0/new", "new");
	write_file("deep2/h2", "h2");
	FIXTURE_MUST(chmod("one", 0600) == 0 && rename("one", "d1/one") == 0);
	FIXTURE_MUST(chown("three", 5, 6) == 0 && chmod("two", 0640) == 0);
	FIXTURE_MUST(rename("n", "a") == 0 && rename("a/y", "a/b") == 0);
	write_file("a/b/e/j", "j");
	FIXTURE_MUST(mkdir("d0", 0700) == 0);
	write_file("d0/other", "other");
	end_overlay();
}

static void change_again(void)
{
	FIXTURE_MUST(overlay("l1:base", "l2") == 0 && chdir(m.point) == 0);
	FIXTURE_MUST(rename("moved0", "d1/again0") == 0 && rename("d1", "e1") == 0);
	FIXTURE_MUST(rename("e1/sub1/deep", "e1/deep1") == 0 && rename("deep2", "d2/deep3") == 0);
	FIXTURE_MUST(rename("e1/one", "one2") == 0 && chmod("one2", 0611) == 0);
	FIXTURE_MUST(rename("a/b/c", "c2") == 0 && rename("a/b/e", "e2") == 0);
	FIXTURE_MUST(unlink("e1/again0/f") == 0 && rmdir("e1/again0/sub/deep") < 0);
	FIXTURE_MUST(chmod("e1/deep1/h", 0604) == 0);
	write_file("e1/again0/newer", "newer");
	end_overlay();
}

static void mark(const char *path, const char *name, const char *value)
{
	FIXTURE_MUST(lsetxattr(path, name, value, strlen(value), 0) == 0);
}

/* Whiteouts that are files: hidden are d3/f and d3/sub; "plain" is an empty file, marked or not. */
static void make_xwhiteouts(void)
{
	in("x");
	mark(".", "trusted.overlay.opaque", "x");
	FIXTURE_MUST(mkdir("d3", 0755) == 0 && mkdir("d2", 0755) == 0);
	mark("d3", "trusted.overlay.opaque", "x");
	write_file("d3/f", "");
	write_file("d3/sub", "");
	write_file("d3/plain", "");
	write_file("d2/f", "");
	mark("d3/f", "trusted.overlay.whiteout", "y");
	mark("d3/sub", "trusted.overlay.whiteout", "y");
	write_file("three", "");
	mark("three", "trusted.overlay.whiteout", "y");
	FIXTURE_MUST(chdir("/") == 0);
}

static const char *const stacks[][4] = {
	{ "l1", "base" }, { "l2", "l1", "base" }, { "x", "base" }, { "x", "l2", "l1", "base" }
};
static size_t stack;

static void same(enum ufs_upper_mode mode)
{
	const char *dirs[5] = { 0 };
	char lowers[64] = "", *theirs, *ours;

	for (size_t i = 0; i < 4 && stacks[stack][i]; i++) {
		dirs[i] = stacks[stack][i];
		snprintf(lowers + strlen(lowers), sizeof(lowers) - strlen(lowers), "%s%s",
			 i ? ":" : "", dirs[i]);
	}
	CHECK(overlay(lowers, NULL) == 0);
	theirs = snapshot(m.point, SNAPSHOT_TIMES);
	end_overlay();
	m.dirs = dirs;
	mounted_begin(&m, false, mode, 2);
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(mounted_end(&m) == 0);
	CHECK(theirs && ours && snapshot_same(theirs, ours));
	free(theirs);
	free(ours);
}

static void same_read_only(void)
{
	same(UFS_UPPER_NONE);
}

static void same_under_a_top(void)
{
	same(UFS_UPPER_NATIVE);
}

/* What the union writes over them, overlayfs understands. */
static void written_over(void)
{
	static const char *const dirs[] = { "l2", "l1", "base", NULL };
	char *ours, *theirs;

	m.dirs = dirs;
	mounted_begin(&m, false, UFS_UPPER_NATIVE, 2);
	CHECK(chdir(m.point) == 0);
	CHECK(chmod("one2", 0444) == 0 && rename("one2", "d2/one3") == 0);
	CHECK(rename("e1/again0", "third0") == 0 && rename("d2/deep3", "e1/deep3") == 0);
	write_file("third0/sub/deep/h", "more");
	write_file("e1/sub1/g", "more");
	CHECK(unlink("e1/deep1/h") == 0 && chdir("/") == 0);
	ours = snapshot(m.point, SNAPSHOT_TIMES);
	CHECK(mounted_end(&m) == 0);
	CHECK(overlay("l2:l1:base", "upper") == 0);
	theirs = snapshot(m.point, SNAPSHOT_TIMES);
	end_overlay();
	CHECK(ours && theirs && snapshot_same(theirs, ours));
	free(theirs);
	free(ours);
}

/* A metacopy file whose bytes are nowhere. */
static void refused(void)
{
	static const char *const dirs[] = { "l1", "empty", NULL };
	char path[160];
	int fd;

	in("empty");
	FIXTURE_MUST(chdir("/") == 0);
	m.dirs = dirs;
	mounted_begin(&m, false, UFS_UPPER_NATIVE, 2);
	snprintf(path, sizeof(path), "%s/three", m.point);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_ERRNO(read(fd, path, 1), EIO);
	close(fd);
	snprintf(path, sizeof(path), "%s/moved0/new", m.point);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	close(fd);
	CHECK(mounted_end(&m) == 0);
}

int main(void)
{
	const char *missing = mounted_missing();
	char name[96];

	if (missing)
		return tap_skip(missing);
	if (mounted_before(6, 7))
		return tap_skip("overlayfs before Linux 6.7 knows fewer whiteouts");
	mounted_dir(&m);
	make_base();
	close(mounted_open(&m, "upper", O_RDONLY | O_DIRECTORY));
	if (overlay("base", "l1") < 0) {
		mounted_remove(&m);
		return tap_skip("the kernel mounts no overlay here");
	}
	end_overlay();
	change_once();
	change_again();
	make_xwhiteouts();
	for (stack = 0; stack < 4; stack++) {
		snprintf(name, sizeof(name), "lowers of kind %zu", stack);
		tap_run(name, "read-only", same_read_only);
		tap_run(name, "under a top", same_under_a_top);
	}
	tap_run("lowers", "what is written over them", written_over);
	tap_run("lowers", "what is refused", refused);
	mounted_remove(&m);
	return tap_done();
}
