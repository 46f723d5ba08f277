/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include "base/str.h"
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Bytes: the first read of a file that does not know its size, as those of /proc. */
#define READ_MIN 4096

/* How much to ask for at first: the size and one byte more, that tells whether it was all. */
static size_t size_hint(int fd, size_t max)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return MIN((size_t)READ_MIN, max) + 1;
	return MIN((size_t)st.st_size, max) + 1;
}

int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	_free_ char *data = NULL;
	size_t len = 0, cap;
	ssize_t n;

	max = MIN(max, (size_t)PTRDIFF_MAX / 4);
	for (cap = size_hint(fd, max);; cap = MIN(cap * 2, max + 1)) {
		char *grown = realloc(data, cap + 1);

		if (!grown)
			return -ENOMEM;
		data = grown;
		n = fd_read_full(fd, data + len, cap - len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
		if (len < cap)
			break;
	}
	data[len] = '\0';
	*ret_data = take_ptr(data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int file_read_all(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_read_all(fd, max, ret_data, ret_len);
}

int file_write(int dirfd, const char *path, const char *text)
{
	_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* A name that nobody has, in the directory of what it shall replace. */
struct temporary_name {
	char s[32];
};

static int temporary_name(struct temporary_name *ret)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(ret->s, sizeof(ret->s), ".tmp-%016llx", (unsigned long long)number);
	return 0;
}

static int fill_new(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		    bool sync)
{
	_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, data, len);
	if (r < 0)
		return r;
	if (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0))
		return -errno;
	return 0;
}

static int directory_sync(int dirfd)
{
	_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int file_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, bool sync)
{
	struct temporary_name temporary;
	int r;

	if (!*name || strchr(name, '/'))
		return -EINVAL;
	r = temporary_name(&temporary);
	if (r < 0)
		return r;
	r = fill_new(dirfd, temporary.s, data, len, mode, sync);
	if (r >= 0 && renameat(dirfd, temporary.s, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		/* After EEXIST it is not ours: 64 random bits do not meet by chance. */
		if (r != -EEXIST)
			unlinkat(dirfd, temporary.s, 0);
		return r;
	}
	return sync ? directory_sync(dirfd) : 0;
}

static int make_directory(int dirfd, const char *path, mode_t mode)
{
	struct stat st;

	if (mkdirat(dirfd, path, mode) >= 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (fstatat(dirfd, path, &st, 0) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int fd_mkdir_p(int dirfd, const char *path, mode_t mode)
{
	_free_ char *part = NULL;
	int r;

	r = make_directory(dirfd, path, mode);
	if (r != -ENOENT || !*path)
		return r;
	part = strdup(path);
	if (!part)
		return -ENOMEM;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = make_directory(dirfd, part, mode);
		if (r < 0)
			return r;
		*slash = '/';
	}
	return make_directory(dirfd, path, mode);
}
