/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree as text, one line a name, to compare trees by: type, mode, owner, links, size, time,
 * content, xattrs.
 */
#ifndef TESTS_UNIONFS_SNAPSHOT_H
#define TESTS_UNIONFS_SNAPSHOT_H

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SNAPSHOT_INO   1u /* inode numbers too */
#define SNAPSHOT_TIMES 2u /* and times of modification */

static inline uint64_t snapshot_hash(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	/* FNV-1a. */
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static inline uint64_t snapshot_content(int dir, const char *name, uint64_t h)
{
	char buf[16384];
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		h = snapshot_hash(h, buf, (size_t)n);
	close(fd);
	return n < 0 ? 0 : h;
}

/* Order does not matter: a sum. */
static inline uint64_t snapshot_xattrs(const char *path)
{
	char list[8192], value[8192];
	ssize_t n = llistxattr(path, list, sizeof(list)), len;
	uint64_t sum = 0;

	for (char *s = list; n > 0 && s < list + n; s += strlen(s) + 1) {
		if (strcmp(s, "security.selinux") == 0 || strncmp(s, "trusted.overlay.", 16) == 0 ||
		    strncmp(s, "trusted.strata.", 15) == 0)
			continue;
		len = lgetxattr(path, s, value, sizeof(value));
		if (len >= 0)
			sum += snapshot_hash(snapshot_hash(1, s, strlen(s)), value, (size_t)len);
	}
	return sum;
}

static inline void snapshot_line(FILE *out, int dir, const char *name, const char *path,
				 size_t skip, unsigned int what, const struct stat *st)
{
	char target[4096];
	uint64_t content = 0;
	ssize_t n;

	if (S_ISREG(st->st_mode)) {
		content = snapshot_content(dir, name, 1);
	} else if (S_ISLNK(st->st_mode)) {
		n = readlinkat(dir, name, target, sizeof(target));
		content = n < 0 ? 0 : snapshot_hash(1, target, (size_t)n);
	}
	fprintf(out, "%s mode %o owner %u:%u rdev %lx content %" PRIx64 " xattrs %" PRIx64,
		path + skip, (unsigned int)st->st_mode, (unsigned int)st->st_uid,
		(unsigned int)st->st_gid, (unsigned long)st->st_rdev, content,
		snapshot_xattrs(path));
	if (!S_ISDIR(st->st_mode))
		fprintf(out, " links %lu size %lld", (unsigned long)st->st_nlink,
			(long long)st->st_size);
	if (what & SNAPSHOT_INO)
		fprintf(out, " ino %lu", (unsigned long)st->st_ino);
	if (what & SNAPSHOT_TIMES)
		fprintf(out, " mtime %lld", (long long)st->st_mtim.tv_sec);
	fprintf(out, "\n");
}

static inline int snapshot_dir(FILE *out, const char *path, size_t skip, unsigned int what)
{
	struct dirent **v;
	int n = scandir(path, &v, NULL, alphasort), bad = n < 0,
	    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < n; i++) {
		char child[4096];
		struct stat st;

		if (strcmp(v[i]->d_name, ".") != 0 && strcmp(v[i]->d_name, "..") != 0) {
			snprintf(child, sizeof(child), "%s/%s", path, v[i]->d_name);
			if (fstatat(dir, v[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
				fprintf(out, "%s is listed but: %m\n", child + skip);
			} else {
				snapshot_line(out, dir, v[i]->d_name, child, skip, what, &st);
				if ((what & SNAPSHOT_INO) && v[i]->d_ino != st.st_ino)
					fprintf(out, "%s d_ino %lu\n", child + skip,
						(unsigned long)v[i]->d_ino);
				if (v[i]->d_type != DT_UNKNOWN &&
				    v[i]->d_type != IFTODT(st.st_mode))
					fprintf(out, "%s d_type %d\n", child + skip, v[i]->d_type);
				if (S_ISDIR(st.st_mode))
					bad |= snapshot_dir(out, child, skip, what);
			}
		}
		free(v[i]);
	}
	if (n >= 0)
		free(v);
	close(dir);
	return bad;
}

/* The caller frees; NULL: it cannot be walked. */
static inline char *snapshot(const char *root, unsigned int what)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int bad = !out || snapshot_dir(out, root, strlen(root), what);

	if (out)
		fclose(out);
	if (bad) {
		free(text);
		return NULL;
	}
	return text;
}

/* Prints the first lines that differ. */
static inline int snapshot_same(const char *a, const char *b)
{
	while (*a || *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		if (la != lb || memcmp(a, b, la) != 0) {
			printf("# one:   %.*s\n# other: %.*s\n", (int)la, a, (int)lb, b);
			return 0;
		}
		a += la + (a[la] != 0);
		b += lb + (b[lb] != 0);
	}
	return 1;
}

#endif
