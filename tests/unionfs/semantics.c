/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same deeds on kernel overlayfs and on the union, over the same lowers, as directories and as
 * an index: each call's outcome and the tree afterwards are compared. What differs on purpose is in
 * the table `meant`, with the reason in docs/formats/union.md, "Where it differs from kernel
 * overlayfs".
 */
#include "index_of.h"
#include "overlaid.h"
#include "snapshot.h"
#include "tap.h"

#include "base/mem.h"

#include "deeds.h"

#include "deeds_data.h"
#include "deeds_flags.h"
#include "deeds_names.h"
#include "deeds_rights.h"

static const struct fixture_item items[] = {
	{ BOTTOM, "rights", S_IFDIR | 0755 },
	{ BOTTOM, "rights/setgid", S_IFDIR | 02777, 0, 2000 },
	{ BOTTOM, "rights/setgid2", S_IFDIR | 06777, 0, 2000 },
	{ BOTTOM, "rights/sticky", S_IFDIR | 01777 },
	{ BOTTOM, "rights/sticky/mine", S_IFREG | 0644, 1001, 1001, "mine" },
	{ BOTTOM, "rights/sticky/others", S_IFREG | 0644, 1002, 1002, "others" },
	{ BOTTOM, "rights/sticky/dir", S_IFDIR | 0755, 1002, 1002 },
	{ BOTTOM, "rights/s0", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s1", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s2", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s3", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s4", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s5", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s6", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s7", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s8", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/s9", S_IFREG | 06777, 0, 0, "four" },
	{ BOTTOM, "rights/plain", S_IFREG | 0644, 0, 0, "plain" },
	{ BOTTOM, "rights/owned", S_IFREG | 06755, 1001, 2000, "owned" },
	{ BOTTOM, "rights/open", S_IFREG | 0666, 0, 0, "open" },
	{ BOTTOM, "rights/unreadable", S_IFREG | 0200, 1002, 1002, "u" },
	{ BOTTOM, "rights/link", S_IFLNK | 0777, 0, 0, "plain" },
	{ BOTTOM, "rights/group640", S_IFREG | 0640, 0, 2000, "640" },
	{ BOTTOM, "rights/group660", S_IFREG | 0660, 0, 2000, "660" },
	{ BOTTOM, "rights/groupdir", S_IFDIR | 0775, 0, 2000 },
	{ BOTTOM, "rights/closed", S_IFDIR | 0700 },
	{ BOTTOM, "rights/closed/f", S_IFREG | 0644, 0, 0, "f" },
	{ BOTTOM, "rights/caps", S_IFREG | 0755, 0, 0, "caps" },
	{ BOTTOM, "names", S_IFDIR | 0755 },
	{ BOTTOM, "names/f", S_IFREG | 0644, 0, 0, "f" },
	{ BOTTOM, "names/f2", S_IFREG | 0644, 0, 0, "f2" },
	{ BOTTOM, "names/f3", S_IFREG | 0644, 0, 0, "f3" },
	{ BOTTOM, "names/f5", S_IFREG | 0644, 0, 0, "f5" },
	{ BOTTOM, "names/d", S_IFDIR | 0755 },
	{ BOTTOM, "names/d2", S_IFDIR | 0755 },
	{ BOTTOM, "names/d3", S_IFDIR | 0755 },
	{ BOTTOM, "names/full", S_IFDIR | 0755 },
	{ BOTTOM, "names/full/x", S_IFREG | 0644, 0, 0, "x" },
	{ BOTTOM, "names/full2", S_IFDIR | 0755 },
	{ BOTTOM, "names/full2/x", S_IFREG | 0644, 0, 0, "x" },
	{ BOTTOM, "names/gone", S_IFDIR | 0755 },
	{ BOTTOM, "names/nest", S_IFDIR | 0755 },
	{ BOTTOM, "names/nest/a", S_IFDIR | 0755 },
	{ BOTTOM, "names/nest/b", S_IFDIR | 0755 },
	{ BOTTOM, "names/hard1", S_IFREG | 0644, 0, 0, "hard" },
	{ BOTTOM, "names/hard2", S_IFREG | 0644, 0, 0, "=names/hard1" },
	{ BOTTOM, "names/link", S_IFLNK | 0777, 0, 0, "d" },
	{ BOTTOM, "names/sym", S_IFLNK | 0777, 0, 0, "f5" },
	{ BOTTOM, "names/loop", S_IFLNK | 0777, 0, 0, "loop" },
	{ BOTTOM, "names/dangling", S_IFLNK | 0777, 0, 0, "target" },
	{ BOTTOM, "names/dangling2", S_IFLNK | 0777, 0, 0, "target2" },
	{ BOTTOM, "names/fifo", S_IFIFO | 0644 },
	{ BOTTOM, "data", S_IFDIR | 0755 },
	{ BOTTOM, "data/dir", S_IFDIR | 0755 },
	{ BOTTOM, "data/dir/lower", S_IFREG | 0644, 0, 0, "lower" },
	{ BOTTOM, "data/dir/lower2", S_IFREG | 0644, 0, 0, "lower" },
	{ BOTTOM, "data/dir/lower3", S_IFREG | 0644, 0, 0, "lower" },
	{ BOTTOM, "data/dir/lower4", S_IFREG | 0644, 0, 0, "lower" },
	{ BOTTOM, "data/dir/lower5", S_IFREG | 0644, 0, 0, "lower" },
	{ BOTTOM, "data/dir2", S_IFDIR | 0755 },
	{ BOTTOM, "data/t", S_IFREG | 0644, 0, 0, "time" },
	{ BOTTOM, "data/sym", S_IFLNK | 0777, 0, 0, "t" },
	{ BOTTOM, "data/fifo", S_IFIFO | 0644 },
	{ BOTTOM, "data/alloc", S_IFREG | 0644, 0, 0, "0123456789abcdef" },
	{ BOTTOM, "data/alloc2", S_IFREG | 0644, 0, 0, "0123456789abcdef" },
	{ BOTTOM, "data/src", S_IFREG | 0644, 0, 0, "the source of it" },
	{ BOTTOM, "data/dst", S_IFREG | 0644, 0, 0, "0123456789" },
	{ BOTTOM, "data/map", S_IFREG | 0644, 0, 0, "mapped" },
	{ BOTTOM, "data/lock", S_IFREG | 0644, 0, 0, "lock" },
	{ BOTTOM, "data/x", S_IFREG | 0644, 0, 0, "x" },
	{ BOTTOM, "data/lowx", S_IFREG | 0644, 0, 0, "x" },
	{ BOTTOM, "data/ov", S_IFREG | 0644, 0, 0, "ov" },
	{ BOTTOM, "data/ovdir", S_IFDIR | 0755 },
	{ BOTTOM, "data/ovdir/f", S_IFREG | 0644, 0, 0, "f" },
	{ BOTTOM, "data/wide", S_IFREG | 0644, 0, 0, "w" },
	{ BOTTOM, "data/open", S_IFREG | 0644, 0, 0, "open" },
	{ BOTTOM, "flags", S_IFDIR | 0755 },
	{ BOTTOM, "flags/file", S_IFREG | 0644, 0, 0, "file" },
	{ BOTTOM, "flags/plain", S_IFREG | 0644, 0, 0, "plain" },
	{ BOTTOM, "flags/victim", S_IFREG | 0644, 0, 0, "victim" },
	{ BOTTOM, "flags/low", S_IFREG | 0644, 0, 0, "low" },
	{ BOTTOM, "flags/other", S_IFREG | 0644, 1002, 1002, "other" },
	{ BOTTOM, "flags/quiet", S_IFREG | 0644, 0, 0, "quiet" },
	{ BOTTOM, "flags/fifo", S_IFIFO | 0644 },
	{ BOTTOM, "flags/dir", S_IFDIR | 0755 },
	{ BOTTOM, "flags/dir/x", S_IFREG | 0644, 0, 0, "x" },
};

static const struct deed {
	const char *name;
	void (*fn)(void);
} deeds[] = {
	{ "set-group-id directories", do_setgid },
	{ "sticky directories", do_sticky },
	{ "set-user-id files", do_set_id },
	{ "chown", do_chown },
	{ "groups and strangers", do_groups },
	{ "file capabilities", do_capabilities },
	{ "long names", do_long_names },
	{ "deep directories", do_deep },
	{ "rename", do_rename_errors },
	{ "remove and make", do_remove_errors },
	{ "link", do_link_errors },
	{ "open", do_open_errors },
	{ "directories", do_directories },
	{ "sockets", do_sockets },
	{ "removed directories", do_removed_directory },
	{ "times of directories", do_parent_times },
	{ "times of files", do_file_times },
	{ "files over 4 GiB", do_sparse },
	{ "fallocate", do_fallocate },
	{ "copy_file_range", do_copy },
	{ "maps", do_maps },
	{ "locks", do_locks },
	{ "xattrs", do_xattr_limits },
	{ "xattrs of overlayfs", do_overlay_xattrs },
	{ "statx", do_statx },
	{ "O_TMPFILE", do_tmpfile },
	{ "O_DIRECT", do_direct },
	{ "flags of files", do_flags_of_files },
	{ "flags of directories", do_flags_of_directories },
	{ "flags and others", do_flags_of_others },
	{ "flags of a lower", do_flags_of_a_lower },
	{ "unlinked files", do_unlinked },
};

#define DEEDS (sizeof(deeds) / sizeof(deeds[0]))

static struct mounted m;
static char *expected[DEEDS], *tree, *seen[DEEDS];
static size_t at;

/* A file that the lower itself protects, where its file system can. */
static void protect_lower(int flags)
{
	int fd = mounted_open(&m, "bottom/flags/low", O_RDONLY);

	ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
}

static void make_lowers(void)
{
	int bottom = mounted_open(&m, "bottom", O_RDONLY | O_DIRECTORY), fd;

	close(mounted_open(&m, "top", O_RDONLY | O_DIRECTORY));
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		fixture_make(bottom, &items[i]);
	fd = openat(bottom, "data/wide", O_RDWR | O_CLOEXEC);
	FIXTURE_MUST(pwrite(fd, "low", 3, 5ll << 30) == 3 && fsync(fd) == 0);
	close(fd);
	fd = openat(bottom, "data/lowx", O_RDWR | O_CLOEXEC);
	FIXTURE_MUST(fsetxattr(fd, "user.low", "1", 1, 0) == 0);
	close(fd);
	fd = openat(bottom, "rights/caps", O_RDWR | O_CLOEXEC);
	FIXTURE_MUST(fsetxattr(fd, "security.capability", capability, 20, 0) == 0);
	close(fd);
	for (size_t i = sizeof(items) / sizeof(items[0]); i--;)
		fixture_times(bottom, &items[i]);
	close(bottom);
	protect_lower(FS_IMMUTABLE_FL | FS_EXTENT_FL);
}

static void remove_all(void)
{
	protect_lower(FS_EXTENT_FL);
	mounted_remove(&m);
}

/* In a process of its own, which takes along what it left open. */
static void run_one(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	FIXTURE_MUST(pid >= 0);
	if (!pid) {
		fn();
		fflush(said);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	NOTE("ends %x", (unsigned int)status);
}

/* All deeds on what is mounted: what each said, and the tree that they leave. */
static void run_deeds(char *ret[DEEDS], char **ret_tree)
{
	size_t len;

	FIXTURE_MUST(chdir(m.point) == 0);
	for (size_t i = 0; i < DEEDS; i++) {
		FILE *f = tmpfile();

		FIXTURE_MUST(f);
		said = f;
		run_one(deeds[i].fn);
		len = (size_t)lseek(fileno(f), 0, SEEK_END);
		ret[i] = calloc(1, len + 1);
		FIXTURE_MUST(ret[i] && pread(fileno(f), ret[i], len, 0) == (ssize_t)len);
		fclose(f);
	}
	FIXTURE_MUST(chdir("/") == 0);
	*ret_tree = snapshot(m.point, 0);
}

/* What is meant to differ: overlayfs' line, ours. */
static const char *const meant[][2] = {
	/* overlayfs takes two names of one lower file for two files, and one is lost here. */
	{ "names/hard1: ENOENT", "names/hard1: 100644 0:0 links 2 size 4 rdev 0" },
	{ "names/hard2: 100644 0:0 links 1 size 4 rdev 0",
	  "names/hard2: 100644 0:0 links 2 size 4 rdev 0" },
	/* A copy-up beneath a directory does not change it. */
	{ "write of a child: times of data/dir: ctime", "write of a child: times of data/dir:" },
	{ "chmod of a child: times of data/dir: ctime", "chmod of a child: times of data/dir:" },
	{ "setxattr of a child: times of data/dir: ctime",
	  "setxattr of a child: times of data/dir:" },
	/* A mapped top's only flags are immutable and append-only. */
	{ "set quiet: 0", "set quiet: EOPNOTSUPP" },
	{ "GETFLAGS: 192", "GETFLAGS: 0" },
};

static bool is(const char *line, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(line, text, len) == 0;
}

static bool is_meant(const char *a, size_t la, const char *b, size_t lb)
{
	for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++) {
		if (is(a, la, meant[i][0]) && is(b, lb, meant[i][1]))
			return true;
	}
	return false;
}

/* Prints every line that differs. */
static bool same_lines(const char *a, const char *b)
{
	bool same = true;

	while (*a || *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		if ((la != lb || memcmp(a, b, la) != 0) && !is_meant(a, la, b, lb)) {
			printf("# overlayfs: %.*s\n# union:     %.*s\n", (int)la, a, (int)lb, b);
			same = false;
		}
		a += la + (a[la] != 0);
		b += lb + (b[lb] != 0);
	}
	return same;
}

static void same_deed(void)
{
	CHECK(same_lines(expected[at], seen[at]));
}

static char *tree_seen;

static void same_tree(void)
{
	CHECK(tree && tree_seen && snapshot_same(tree, tree_seen));
}

static int open_wide(void *ctx, uint64_t nid, const struct digest *digest)
{
	(void)ctx;
	(void)nid;
	(void)digest;
	return mounted_open(&m, "bottom/data/wide", O_RDONLY);
}

static void make_index(void)
{
	int bottom = mounted_open(&m, "bottom", O_RDONLY | O_DIRECTORY),
	    index = mounted_open(&m, "index", O_RDWR | O_CREAT),
	    pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);

	index_of(bottom, index, pack);
	close(bottom);
	close(index);
	close(pack);
}

static void run_union(const char *prefix, bool index, enum ufs_upper_mode mode)
{
	mounted_dir(&m);
	make_lowers();
	if (index)
		make_index();
	m.object = open_wide;
	mounted_begin(&m, index, mode, 2);
	run_deeds(seen, &tree_seen);
	for (at = 0; at < DEEDS; at++) {
		/* An index has no flags. */
		if (!index || deeds[at].fn != do_flags_of_a_lower)
			tap_run(prefix, deeds[at].name, same_deed);
	}
	tap_run(prefix, "the tree", same_tree);
	FIXTURE_MUST(mounted_end(&m) == 0);
	remove_all();
	free(tree_seen);
	for (size_t i = 0; i < DEEDS; i++)
		free(seen[i]);
}

static int run_kernel(void)
{
	mounted_dir(&m);
	make_lowers();
	close(mounted_open(&m, "upper", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "work", O_RDONLY | O_DIRECTORY));
	if (overlaid_begin(&m, false) < 0)
		return -errno;
	run_deeds(expected, &tree);
	FIXTURE_MUST(overlaid_end(&m, false) == 0);
	remove_all();
	return 0;
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	if (mounted_before(6, 7))
		return tap_skip("overlayfs before Linux 6.7 does less");
	if (run_kernel() < 0)
		return tap_skip("the kernel mounts no overlay here");
	run_union("directories, native", false, UFS_UPPER_NATIVE);
	run_union("directories, mapped", false, UFS_UPPER_MAPPED);
	run_union("index, native", true, UFS_UPPER_NATIVE);
	run_union("index, mapped", true, UFS_UPPER_MAPPED);
	free(tree);
	for (size_t i = 0; i < DEEDS; i++)
		free(expected[i]);
	return tap_done();
}
