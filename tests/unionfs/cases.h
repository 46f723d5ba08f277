/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The union suite: what a client sees of the fixture (fixture.h) through a union, whatever carries
 * the requests. Runs with the union's root as the working directory, once on a fresh top, in the
 * order of the table at the end.
 */
#ifndef TESTS_UNIONFS_CASES_H
#define TESTS_UNIONFS_CASES_H

#include "cases_attr.h"
#include "cases_names.h"
#include "paths.h"

#include <sys/mman.h>
#include <sys/statfs.h>

/* ---- reading ---- */

static bool is_big(const char *path)
{
	char *big = fixture_big(), *got = malloc(FIXTURE_BIG);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool same;

	CHECK(fd >= 0 && big && got);
	CHECK(pread(fd, got, 4096, FIXTURE_BIG - 10) == 10);
	CHECK(memcmp(big + FIXTURE_BIG - 10, got, 10) == 0);
	CHECK(pread(fd, got, 10, FIXTURE_BIG + 5) == 0);
	same = read(fd, got, FIXTURE_BIG) == FIXTURE_BIG && memcmp(big, got, FIXTURE_BIG) == 0;
	close(fd);
	free(big);
	free(got);
	return same;
}

static void case_contents(void)
{
	CHECK(is_big("lib/big") && is_big("lib/object"));
	CHECK(holds("lib/small", "s"));
	CHECK(holds("lib/empty", ""));
	CHECK(holds("etc/hosts", "top hosts\n"));
	CHECK(holds("sym", "top hosts\n"));
}

static void case_attributes(void)
{
	for (size_t i = 0; i < FIXTURE_ITEMS; i++) {
		const struct fixture_item *it = &fixture_items[i];
		struct stat st;

		if (it->hidden || (it->layer == BOTTOM && S_ISDIR(it->mode)))
			continue;
		st = st_of(it->path);
		CHECK(st.st_mode == it->mode);
		CHECK(st.st_uid == it->uid && st.st_gid == it->gid);
		CHECK(st.st_mtim.tv_sec == FIXTURE_TIME && st.st_mtim.tv_nsec == 5);
		if (S_ISREG(it->mode) && it->text && it->text[0] != '=')
			CHECK(st.st_size == (off_t)strlen(it->text));
	}
	CHECK(st_of("links/one").st_nlink == 3);
	CHECK(st_of("links/one").st_ino == st_of("links/sub/three").st_ino);
	CHECK(st_of("lib/small").st_nlink == 1);
}

static void case_hidden(void)
{
	struct stat st;

	CHECK_ERRNO(lstat("dir/gone", &st), ENOENT);
	CHECK_ERRNO(lstat("dir/gone", &st), ENOENT);
	CHECK_ERRNO(lstat("opq/hidden", &st), ENOENT);
	CHECK(!lists("dir", "gone") && lists("dir", "kept") && lists("dir", "new"));
	CHECK(!lists("opq", "hidden") && lists("opq", "shown"));
	CHECK(lists("dir", ".") && lists("dir", ".."));
}

static void case_readlink(void)
{
	char buf[64];

	CHECK(readlink("sym", buf, sizeof(buf)) == 9 && memcmp(buf, "etc/hosts", 9) == 0);
	CHECK(readlink("sym", buf, sizeof(buf)) == 9);
	CHECK_ERRNO(readlink("dir", buf, sizeof(buf)), EINVAL);
	CHECK(lchown("sym2", 7, 8) == 0);
	CHECK(st_of("sym2").st_uid == 7 && S_ISLNK(st_of("sym2").st_mode));
	CHECK(readlink("sym2", buf, sizeof(buf)) == 9 && memcmp(buf, "lib/small", 9) == 0);
}

static void case_statfs(void)
{
	struct statfs fs;

	CHECK(statfs(".", &fs) == 0);
	CHECK(fs.f_namelen == 255 && fs.f_bsize && fs.f_blocks);
}

/* ---- copy-up ---- */

static void case_write(void)
{
	struct stat before = st_of("dir/kept"), dir = st_of("dir"), after;

	put("dir/kept", "more\n", O_APPEND);
	CHECK(holds("dir/kept", "kept\nmore\n"));
	after = st_of("dir/kept");
	CHECK(after.st_ino == before.st_ino && after.st_size == 10 &&
	      after.st_mode == before.st_mode);
	CHECK(after.st_mtim.tv_sec != FIXTURE_TIME);
	/* The directory is not changed by that. */
	CHECK(st_of("dir").st_ino == dir.st_ino);
	CHECK(st_of("dir").st_mtim.tv_sec == FIXTURE_TIME);
	put("dir/kept", "KE", 0);
	CHECK(holds("dir/kept", "KEpt\nmore\n"));
	put("dir/kept", "new", O_TRUNC);
	CHECK(holds("dir/kept", "new"));
	CHECK(lists("dir", "kept") && !lists("dir", "gone"));
}

static void case_deep_write(void)
{
	struct stat d = st_of("etc/conf.d");

	put("etc/conf.d/a", "A", 0);
	CHECK(holds("etc/conf.d/a", "A\n") && holds("etc/conf.d/b", "b\n"));
	CHECK(st_of("etc/conf.d").st_ino == d.st_ino);
	CHECK((st_of("etc/conf.d").st_mode & 07777) == 0750);
	CHECK(st_of("etc/conf.d").st_uid == 10 && st_of("etc/conf.d").st_gid == 20);
	CHECK(count_names("etc/conf.d") == 4);
}

static void case_big_copy_up(void)
{
	CHECK(chmod("lib/object", 0600) == 0 && is_big("lib/object"));
	CHECK(chmod("lib/big", 0640) == 0 && is_big("lib/big"));
	CHECK(st_of("lib/big").st_mode == (S_IFREG | 0640) &&
	      st_of("lib/big").st_size == FIXTURE_BIG);
	CHECK(truncate("lib/object", 1000) == 0 && st_of("lib/object").st_size == 1000);
}

static void case_truncate(void)
{
	int fd;

	CHECK(truncate("attr/trunc", 4) == 0);
	CHECK(holds("attr/trunc", "0123"));
	CHECK(truncate("attr/trunc", 6) == 0);
	CHECK(st_of("attr/trunc").st_size == 6);
	fd = open("attr/trunc", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(ftruncate(fd, 1) == 0 && st_of("attr/trunc").st_size == 1);
	CHECK(posix_fallocate(fd, 0, 8192) == 0 && st_of("attr/trunc").st_size == 8192);
	CHECK(lseek(fd, 0, SEEK_DATA) >= 0);
	CHECK(lseek(fd, 0, SEEK_HOLE) >= 1);
	CHECK_ERRNO(lseek(fd, 9000, SEEK_DATA), ENXIO);
	close(fd);
	fd = open("lib/big", O_RDONLY | O_CLOEXEC);
	CHECK(lseek(fd, 5, SEEK_DATA) == 5 && lseek(fd, 5, SEEK_HOLE) == FIXTURE_BIG);
	close(fd);
}

static void case_hard_links(void)
{
	struct stat st = st_of("links/two"), now;

	put("links/two", "LINK", 0);
	CHECK(holds("links/one", "LINKed\n") && holds("links/two", "LINKed\n") &&
	      holds("links/sub/three", "LINKed\n"));
	now = st_of("links/sub/three");
	CHECK(now.st_ino == st.st_ino && now.st_nlink == 3);
	CHECK(unlink("links/one") == 0);
	CHECK(st_of("links/two").st_nlink == 2);
	put("links/sub/three", "link", 0);
	CHECK(holds("links/two", "linked\n"));
	CHECK(link("links/two", "links/four") == 0);
	CHECK(st_of("links/four").st_ino == st.st_ino && st_of("links/sub/three").st_nlink == 3);
	CHECK(rename("links/two", "links/sub/five") == 0);
	CHECK(holds("links/sub/five", "linked\n") && st_of("links/sub/five").st_ino == st.st_ino);
	put("links/four", "all", 0);
	CHECK(holds("links/sub/five", "allked\n") && holds("links/sub/three", "allked\n"));
	/* One name goes before anything was written. */
	CHECK(unlink("links2/a") == 0);
	CHECK(st_of("links2/b").st_nlink == 1 && holds("links2/b", "second\n"));
}

static void case_link_lower(void)
{
	ino_t ino = st_of("etc/passwd").st_ino;

	CHECK(link("etc/passwd", "etc/passwd-") == 0);
	CHECK(st_of("etc/passwd-").st_ino == ino && st_of("etc/passwd").st_nlink == 2);
	CHECK(st_of("etc/passwd-").st_uid == 1000);
	put("etc/passwd", "ROOT", 0);
	CHECK(holds("etc/passwd-", "ROOT\n"));
	CHECK_ERRNO(link("dir", "dir2"), EPERM);
	CHECK_ERRNO(link("etc/passwd", "etc/hosts"), EEXIST);
}

/* ---- coherence ---- */

static void case_descriptors(void)
{
	char buf[32];
	int ro = open("open/ro", O_RDONLY | O_CLOEXEC), rw;

	CHECK(ro >= 0 && pread(ro, buf, 4, 0) == 4 && memcmp(buf, "read", 4) == 0);
	rw = open("open/ro", O_RDWR | O_CLOEXEC);
	CHECK(rw >= 0 && pwrite(rw, "WRITE", 5, 0) == 5);
	CHECK(pread(ro, buf, 9, 0) == 9 && memcmp(buf, "WRITEonly", 9) == 0);
	CHECK(pwrite(rw, "end", 3, 100) == 3);
	CHECK(pread(ro, buf, 10, 100) == 3 && memcmp(buf, "end", 3) == 0);
	close(ro);
	close(rw);
}

static void case_maps(void)
{
	int ro = open("maps/private", O_RDONLY | O_CLOEXEC), rw;
	volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ro, 0), *s;

	CHECK(p != MAP_FAILED && p[3] == '3');
	put("maps/private", "ABCDEF", 0);
	CHECK(p[3] == 'D' && p[6] == '6');
	munmap((void *)p, 4096);
	close(ro);
	rw = open("maps/shared", O_RDWR | O_CLOEXEC);
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
	CHECK(s != MAP_FAILED);
	s[2] = 'X';
	CHECK(msync((void *)s, 4096, MS_SYNC) == 0);
	CHECK(holds("maps/shared", "01X3456789abcdef"));
	munmap((void *)s, 4096);
	close(rw);
	CHECK(holds("maps/shared", "01X3456789abcdef"));
}

static void case_unlinked(void)
{
	char buf[32];
	int lower = open("open/rw", O_RDWR | O_CLOEXEC),
	    born = open("open/born", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	CHECK(lower >= 0 && born >= 0 && write(born, "born", 4) == 4);
	CHECK(unlink("open/rw") == 0 && unlink("open/born") == 0);
	CHECK(fstat(born, &st) == 0 && st.st_nlink == 0);
	CHECK(pread(lower, buf, 4, 0) == 4 && memcmp(buf, "read", 4) == 0);
	CHECK(pwrite(lower, "WR", 2, 0) == 2);
	CHECK(pread(lower, buf, 4, 0) == 4 && memcmp(buf, "WRad", 4) == 0);
	CHECK(pwrite(born, "BO", 2, 0) == 2 && pread(born, buf, 4, 0) == 4 &&
	      memcmp(buf, "BOrn", 4) == 0);
	CHECK(fchmod(born, 0640) == 0 && fstat(born, &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(!lists("open", "rw") && !lists("open", "born"));
	put("open/born", "again", O_CREAT | O_EXCL);
	CHECK(pread(born, buf, 4, 0) == 4 && memcmp(buf, "BOrn", 4) == 0);
	close(born);
	close(lower);
	CHECK(holds("open/born", "again"));
}

/* ---- the rest ---- */

static void case_sync(void)
{
	int fd = open("sync/f", O_RDWR | O_CLOEXEC),
	    dir = open("sync", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0 && dir >= 0 && fsync(fd) == 0);
	CHECK(pwrite(fd, "TO", 2, 0) == 2);
	CHECK(fdatasync(fd) == 0 && fsync(fd) == 0 && fsync(dir) == 0);
	CHECK(syncfs(fd) == 0);
	close(fd);
	close(dir);
	CHECK(holds("sync/f", "TO be synced\n"));
}

static void case_copy_range(void)
{
	int in = open("lib/big", O_RDONLY | O_CLOEXEC),
	    out = open("copied", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char *big = fixture_big(), *got = malloc(FIXTURE_BIG);
	off_t from = 0;
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = copy_file_range(in, &from, out, NULL, FIXTURE_BIG, 0)) > 0)
		;
	CHECK(n == 0 && from == FIXTURE_BIG);
	CHECK(pread(out, got, FIXTURE_BIG, 0) == FIXTURE_BIG && memcmp(big, got, FIXTURE_BIG) == 0);
	close(in);
	close(out);
	free(big);
	free(got);
}

static void case_big_write(void)
{
	char *p = malloc(3 << 20), *q = malloc(3 << 20);
	int fd = open("bigwrite", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	CHECK(p && q && fd >= 0);
	for (int i = 0; i < 3 << 20; i++)
		p[i] = (char)(i * 31 + i / 1000);
	CHECK(pwrite(fd, p, 3 << 20, 12345) == 3 << 20);
	CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	CHECK(pread(fd, q, 3 << 20, 12345) == 3 << 20 && memcmp(p, q, 3 << 20) == 0);
	CHECK(st_of("bigwrite").st_size == (3 << 20) + 12345);
	close(fd);
	free(p);
	free(q);
}

/* Names come and go while a directory is being read: every other name is seen exactly once. */
static void case_readdir(void)
{
	bool seen[FIXTURE_MANY] = { false };
	int removed = 0, added = 0, n = 0, i;
	char name[32];
	struct dirent *e;
	long place = -1, next = -1;
	DIR *d = opendir("many");

	CHECK(d);
	while ((e = readdir(d))) {
		if (sscanf(e->d_name, "f%d", &i) != 1 || i >= FIXTURE_MANY)
			continue;
		/* One that was just removed may still be in the C library's buffer. */
		CHECK(!seen[i] || i > FIXTURE_MANY - 1 - removed);
		seen[i] = true;
		if (++n == 100)
			place = telldir(d);
		else if (n == 101)
			next = i;
		if (n % 10 == 0 && !seen[FIXTURE_MANY - 1 - removed]) {
			snprintf(name, sizeof(name), "many/f%04d", FIXTURE_MANY - 1 - removed);
			CHECK(unlink(name) == 0);
			seen[FIXTURE_MANY - 1 - removed++] = true;
		}
		if (n % 50 == 0) {
			snprintf(name, sizeof(name), "many/added%d", added++);
			put(name, "", O_CREAT | O_EXCL);
		}
	}
	for (i = 0; i < FIXTURE_MANY; i++)
		CHECK(seen[i]);
	seekdir(d, place);
	e = readdir(d);
	CHECK(e && sscanf(e->d_name, "f%d", &i) == 1 && i == next);
	closedir(d);
	CHECK(count_names("many") == 2 + FIXTURE_MANY - removed + added);
	for (i = 0; i < added; i++) {
		snprintf(name, sizeof(name), "many/added%d", i);
		CHECK(lists("many", name + 5));
		CHECK(unlink(name) == 0);
	}
	CHECK(count_names("many") == 2 + FIXTURE_MANY - removed);
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
	{ "contents", case_contents },
	{ "attributes", case_attributes },
	{ "whiteouts and opaque directories hide", case_hidden },
	{ "symbolic links", case_readlink },
	{ "statfs", case_statfs },
	{ "a write copies up", case_write },
	{ "a write copies parents up", case_deep_write },
	{ "copy-up of big files", case_big_copy_up },
	{ "truncate, fallocate, lseek", case_truncate },
	{ "hard links stay links", case_hard_links },
	{ "link of a lower file", case_link_lower },
	{ "descriptors opened before a copy-up", case_descriptors },
	{ "maps made before a copy-up", case_maps },
	{ "files without a name", case_unlinked },
	{ "create", case_create },
	{ "remove", case_remove },
	{ "a removed working directory", case_working_directory },
	{ "rename", case_rename },
	{ "rename of directories", case_rename_dirs },
	{ "chmod and chown", case_chmod },
	{ "times", case_times },
	{ "a write takes set-user-id away", case_killpriv },
	{ "xattrs", case_xattrs },
	{ "ACLs", case_acl },
	{ "sync", case_sync },
	{ "copy_file_range", case_copy_range },
	{ "big writes and reads", case_big_write },
	{ "readdir while names change", case_readdir },
};

#define NCASES (sizeof(cases) / sizeof(cases[0]))

__attribute__((unused)) static void run_cases(const char *prefix)
{
	for (size_t i = 0; i < NCASES; i++)
		tap_run(prefix, cases[i].name, cases[i].fn);
}

#endif
