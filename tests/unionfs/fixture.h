/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the union stand on: a tree in two layers, as plain directories or as the index
 * that their merge is. fixture_dirs() makes it below a directory (top/, bottom/), fixture_merged()
 * the merged tree as one, fixture_index() (fixture_index.h) builds an index and its one pack out of
 * that. What is in it: the table below.
 */
#ifndef TESTS_UNIONFS_FIXTURE_H
#define TESTS_UNIONFS_FIXTURE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FIXTURE_BIG  300000u /* bytes of lib/big and lib/object: byte i is i * 7 + i / 251 */
#define FIXTURE_MANY 3000    /* files many/f0000... */
#define FIXTURE_TIME 1500000000

enum fixture_layer { BOTTOM, TOP };

struct fixture_item {
	enum fixture_layer layer;
	const char *path;
	uint32_t mode;
	uint32_t uid, gid;
	const char *text; /* content; of a symbolic link its target; of a link, "=path" */
	bool hidden;	  /* the merged tree does not have it */
};

static const struct fixture_item fixture_items[] = {
	{ BOTTOM, "bin", S_IFDIR | 0755 },
	{ BOTTOM, "bin/tool", S_IFREG | 04755, 0, 0, "#!/bin/true\n" },
	{ BOTTOM, "dev", S_IFDIR | 0755 },
	{ BOTTOM, "dev/fifo", S_IFIFO | 0644 },
	{ BOTTOM, "dir", S_IFDIR | 0755 },
	{ BOTTOM, "dir/gone", S_IFREG | 0644, 0, 0, "gone\n", true },
	{ BOTTOM, "dir/kept", S_IFREG | 0644, 0, 0, "kept\n" },
	{ BOTTOM, "etc", S_IFDIR | 0755 },
	{ BOTTOM, "etc/conf.d", S_IFDIR | 0750, 10, 20 },
	{ BOTTOM, "etc/conf.d/a", S_IFREG | 0644, 0, 0, "a\n" },
	{ BOTTOM, "etc/conf.d/b", S_IFREG | 0644, 0, 0, "b\n" },
	{ BOTTOM, "etc/hosts", S_IFREG | 0600, 0, 0, "bottom hosts\n", true },
	{ BOTTOM, "etc/passwd", S_IFREG | 0640, 1000, 1001, "root\n" },
	{ BOTTOM, "lib", S_IFDIR | 0755 },
	{ BOTTOM, "lib/big", S_IFREG | 0644 },
	{ BOTTOM, "lib/object", S_IFREG | 0644 },
	{ BOTTOM, "lib/small", S_IFREG | 0644, 0, 0, "s" },
	{ BOTTOM, "lib/empty", S_IFREG | 0444 },
	{ BOTTOM, "links", S_IFDIR | 0755 },
	{ BOTTOM, "links/one", S_IFREG | 0644, 0, 0, "linked\n" },
	{ BOTTOM, "links/two", S_IFREG | 0644, 0, 0, "=links/one" },
	{ BOTTOM, "links/sub", S_IFDIR | 0755 },
	{ BOTTOM, "links/sub/three", S_IFREG | 0644, 0, 0, "=links/one" },
	{ BOTTOM, "links2", S_IFDIR | 0755 },
	{ BOTTOM, "links2/a", S_IFREG | 0644, 0, 0, "second\n" },
	{ BOTTOM, "links2/b", S_IFREG | 0644, 0, 0, "=links2/a" },
	{ BOTTOM, "many", S_IFDIR | 0755 },
	{ BOTTOM, "maps", S_IFDIR | 0755 },
	{ BOTTOM, "maps/private", S_IFREG | 0644, 0, 0, "0123456789abcdef" },
	{ BOTTOM, "maps/shared", S_IFREG | 0644, 0, 0, "0123456789abcdef" },
	{ BOTTOM, "move", S_IFDIR | 0755 },
	{ BOTTOM, "move/a", S_IFREG | 0644, 0, 0, "move a\n" },
	{ BOTTOM, "move/b", S_IFREG | 0644, 0, 0, "move b\n" },
	{ BOTTOM, "move/c", S_IFREG | 0644, 0, 0, "move c\n" },
	{ BOTTOM, "move/dir", S_IFDIR | 0755 },
	{ BOTTOM, "move/dir/x", S_IFREG | 0644, 0, 0, "x\n" },
	{ BOTTOM, "move/empty", S_IFDIR | 0755 },
	{ BOTTOM, "open", S_IFDIR | 0755 },
	{ BOTTOM, "open/ro", S_IFREG | 0644, 0, 0, "read only\n" },
	{ BOTTOM, "open/rw", S_IFREG | 0644, 0, 0, "read write\n" },
	{ BOTTOM, "opq", S_IFDIR | 0755 },
	{ BOTTOM, "opq/hidden", S_IFREG | 0644, 0, 0, "hidden\n", true },
	{ BOTTOM, "rmd", S_IFDIR | 0755 },
	{ BOTTOM, "rmd/x", S_IFDIR | 0755 },
	{ BOTTOM, "rmd/x/y", S_IFREG | 0644, 0, 0, "y\n" },
	{ BOTTOM, "sync", S_IFDIR | 0755 },
	{ BOTTOM, "sync/f", S_IFREG | 0644, 0, 0, "to be synced\n" },
	{ BOTTOM, "sym", S_IFLNK | 0777, 0, 0, "etc/hosts" },
	{ BOTTOM, "sym2", S_IFLNK | 0777, 0, 0, "lib/small" },
	{ BOTTOM, "tmp", S_IFDIR | 01777 },
	{ BOTTOM, "xattr", S_IFDIR | 0755 },
	{ BOTTOM, "xattr/file", S_IFREG | 0644, 0, 0, "x\n" },
	{ BOTTOM, "attr", S_IFDIR | 0755 },
	{ BOTTOM, "attr/mode", S_IFREG | 0644, 0, 0, "m\n" },
	{ BOTTOM, "attr/owner", S_IFREG | 04755, 0, 0, "o\n" },
	{ BOTTOM, "attr/suid", S_IFREG | 06777, 0, 0, "s\n" },
	{ BOTTOM, "attr/time", S_IFREG | 0644, 0, 0, "t\n" },
	{ BOTTOM, "attr/trunc", S_IFREG | 0644, 0, 0, "0123456789" },
	{ BOTTOM, "attr/dir", S_IFDIR | 0755 },
	{ TOP, "dir", S_IFDIR | 0755 },
	{ TOP, "dir/gone", S_IFCHR, 0, 0, NULL, true },
	{ TOP, "dir/new", S_IFREG | 0644, 0, 0, "new\n" },
	{ TOP, "etc", S_IFDIR | 0755 },
	{ TOP, "etc/hosts", S_IFREG | 0644, 0, 0, "top hosts\n" },
	{ TOP, "opq", S_IFDIR | 0755 },
	{ TOP, "opq/shown", S_IFREG | 0644, 0, 0, "shown\n" },
};

#define FIXTURE_ITEMS (sizeof(fixture_items) / sizeof(fixture_items[0]))

static inline bool fixture_is_big(const struct fixture_item *it)
{
	return strcmp(it->path, "lib/big") == 0 || strcmp(it->path, "lib/object") == 0;
}

static inline char *fixture_big(void)
{
	char *p = malloc(FIXTURE_BIG);

	for (uint32_t i = 0; p && i < FIXTURE_BIG; i++)
		p[i] = (char)(i * 7 + i / 251);
	return p;
}

#define FIXTURE_MUST(x)                                                               \
	do {                                                                          \
		if (!(x)) {                                                           \
			printf("# fixture: %s:%d: %s: %m\n", __FILE__, __LINE__, #x); \
			exit(1);                                                      \
		}                                                                     \
	} while (0)

static inline void fixture_file(int dir, const char *path, const char *data, size_t len)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	FIXTURE_MUST(fd >= 0);
	FIXTURE_MUST(write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static inline void fixture_make(int dir, const struct fixture_item *it)
{
	char *big = NULL;

	switch (it->mode & S_IFMT) {
	case S_IFDIR:
		FIXTURE_MUST(mkdirat(dir, it->path, 0700) == 0);
		break;
	case S_IFLNK:
		FIXTURE_MUST(symlinkat(it->text, dir, it->path) == 0);
		break;
	case S_IFREG:
		if (it->text && it->text[0] == '=') {
			FIXTURE_MUST(linkat(dir, it->text + 1, dir, it->path, 0) == 0);
			break;
		}
		if (fixture_is_big(it))
			big = fixture_big();
		fixture_file(dir, it->path,
			     big      ? big :
			     it->text ? it->text :
					"",
			     big ? FIXTURE_BIG : strlen(it->text ? it->text : ""));
		free(big);
		break;
	default:
		FIXTURE_MUST(mknodat(dir, it->path, it->mode & (S_IFMT | 0777), 0) == 0);
	}
	FIXTURE_MUST(fchownat(dir, it->path, it->uid, it->gid, AT_SYMLINK_NOFOLLOW) == 0);
	if (!S_ISLNK(it->mode))
		FIXTURE_MUST(fchmodat(dir, it->path, it->mode & 07777, 0) == 0);
}

static inline void fixture_times(int dir, const struct fixture_item *it)
{
	const struct timespec t[2] = { { FIXTURE_TIME, 5 }, { FIXTURE_TIME, 5 } };

	FIXTURE_MUST(utimensat(dir, it->path, t, AT_SYMLINK_NOFOLLOW) == 0);
}

/* The 3,000 files, and xattrs that a layer's file has. */
static inline void fixture_more(int dir)
{
	char name[32];
	int fd;

	for (int i = 0; i < FIXTURE_MANY; i++) {
		snprintf(name, sizeof(name), "many/f%04d", i);
		fixture_file(dir, name, "", 0);
	}
	fd = openat(dir, "xattr/file", O_RDONLY | O_CLOEXEC);
	FIXTURE_MUST(fsetxattr(fd, "user.color", "blue", 4, 0) == 0);
	FIXTURE_MUST(fsetxattr(fd, "trusted.secret", "t", 1, 0) == 0);
	close(fd);
}

static inline bool fixture_again(const struct fixture_item *it)
{
	return it->layer == TOP && S_ISDIR(it->mode);
}

/* The merged tree in @dir. Needs root. */
static inline void fixture_merged(int dir)
{
	for (size_t i = 0; i < FIXTURE_ITEMS; i++) {
		if (!fixture_items[i].hidden && !fixture_again(&fixture_items[i]))
			fixture_make(dir, &fixture_items[i]);
	}
	fixture_more(dir);
	for (size_t i = FIXTURE_ITEMS; i--;) {
		if (!fixture_items[i].hidden)
			fixture_times(dir, &fixture_items[i]);
	}
}

/* top/ and bottom/ below @dir. Needs root. */
static inline void fixture_dirs(int dir)
{
	int layer[2], fd;

	FIXTURE_MUST(mkdirat(dir, "bottom", 0755) == 0 && mkdirat(dir, "top", 0755) == 0);
	layer[BOTTOM] = openat(dir, "bottom", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	layer[TOP] = openat(dir, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < FIXTURE_ITEMS; i++)
		fixture_make(layer[fixture_items[i].layer], &fixture_items[i]);
	fixture_more(layer[BOTTOM]);
	fd = openat(layer[TOP], "opq", O_RDONLY | O_CLOEXEC);
	FIXTURE_MUST(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) == 0);
	close(fd);
	for (size_t i = FIXTURE_ITEMS; i--;)
		fixture_times(layer[fixture_items[i].layer], &fixture_items[i]);
	close(layer[0]);
	close(layer[1]);
}

#endif
