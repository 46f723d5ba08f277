/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases of the suite ask of a path, and put there. */
#ifndef TESTS_UNIONFS_PATHS_H
#define TESTS_UNIONFS_PATHS_H

#include "fixture.h"
#include "tap.h"

#include <dirent.h>

static struct stat st_of(const char *path)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	return st;
}

/* Whether the whole file is @text, as a new open reads it. */
static bool holds(const char *path, const char *text)
{
	char buf[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n) != 0) {
		printf("# %s: %zd bytes: %.*s\n", path, n, n > 0 ? (int)n : 0, buf);
		return false;
	}
	return true;
}

static void put(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

static bool lists(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int found = 0;

	CHECK(d);
	while ((e = readdir(d)))
		found += strcmp(e->d_name, name) == 0;
	closedir(d);
	CHECK(found <= 1);
	return found;
}

static int count_names(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
