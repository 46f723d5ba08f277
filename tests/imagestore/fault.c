/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th call that writes fails: for each n, in an import from begin to commit. The store is
 * sound then, holds no half of an image, says one line, and the same import succeeds afterwards.
 * The calls are ours by standing in the program: the linker takes them before libc's.
 */
#include "tests/imagestore/kit.h"

#include <sys/syscall.h>

enum fault {
	FAULT_OPEN,
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_RENAME,
	FAULT_LINK,
	FAULT_MKDIR,
	FAULT_UNLINK,
	FAULTS
};

static struct {
	enum fault what;
	int left, error; /* the left-th call fails; 0 = none */
	bool armed, hit;
} fault;

static bool strikes(enum fault what)
{
	if (!fault.armed || fault.what != what || --fault.left != 0)
		return false;
	fault.hit = true;
	errno = fault.error;
	return true;
}

int openat(int dirfd, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	/* Only what is made: that something cannot be read is another matter. */
	if ((flags & O_CREAT) && strikes(FAULT_OPEN))
		return -1;
	return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t len)
{
	return strikes(FAULT_WRITE) ? -1 : syscall(SYS_write, fd, data, len);
}

int fsync(int fd)
{
	return strikes(FAULT_SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
	return strikes(FAULT_SYNC) ? -1 : (int)syscall(SYS_syncfs, fd);
}

int renameat(int from, const char *a, int to, const char *b)
{
	return strikes(FAULT_RENAME) ? -1 : (int)syscall(SYS_renameat2, from, a, to, b, 0);
}

int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
	return strikes(FAULT_RENAME) ? -1 : (int)syscall(SYS_renameat2, from, a, to, b, flags);
}

int linkat(int from, const char *a, int to, const char *b, int flags)
{
	return strikes(FAULT_LINK) ? -1 : (int)syscall(SYS_linkat, from, a, to, b, flags);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	return strikes(FAULT_MKDIR) ? -1 : (int)syscall(SYS_mkdirat, dirfd, path, mode);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	return strikes(FAULT_UNLINK) ? -1 : (int)syscall(SYS_unlinkat, dirfd, path, flags);
}

/* ---- */

static void make_tar(struct buf *b)
{
	tar_big(b, "large", 300000, 1);
	tar_big(b, "small", 3000, 2);
	tar_file(b, "inline", "text");
	tar_end(b);
}

static void assert_one_line(int r)
{
	const char *text = err_take(r);

	if (r < 0 && *text && !strchr(text, '\n'))
		return;
	print_error("%d \"%s\"\n", r, text);
	fail();
}

/* Whether the fault was reached. */
static bool one(struct kit *k, enum fault what, int n, int error)
{
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	int r;

	make_tar(&tar);
	fault = (typeof(fault)){ .what = what, .left = n, .error = error, .armed = true };
	r = import_image(k->s, "x", &tar, 1, &l);
	fault.armed = false;
	if (r < 0)
		assert_one_line(r);
	else if (fault.hit)
		err_clear();
	store_close(k->s);
	assert_done(store_open(k->root, 0, &k->s)); /* clears what could not be removed */
	assert_sound(k->s);
	if (r < 0)
		assert_int_equal(count_images(k->s), 0);
	else
		assert_done(image_remove(k->s, "x"));
	assert_int_equal(count_files(k), 0);
	return fault.hit;
}

static void all(struct kit *k, enum fault what, int error)
{
	int n = 1;

	while (one(k, what, n, error))
		n++;
	assert_true(n > 1);
}

static void opens(void **state)
{
	all(*state, FAULT_OPEN, ENOSPC);
}

static void writes(void **state)
{
	all(*state, FAULT_WRITE, ENOSPC);
	all(*state, FAULT_WRITE, EIO);
}

static void syncs(void **state)
{
	all(*state, FAULT_SYNC, EIO);
}

static void renames(void **state)
{
	all(*state, FAULT_RENAME, EROFS);
}

static void links(void **state)
{
	all(*state, FAULT_LINK, EMLINK);
}

static void mkdirs(void **state)
{
	all(*state, FAULT_MKDIR, ENOSPC);
}

static void unlinks(void **state)
{
	all(*state, FAULT_UNLINK, EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(opens), kit_test(writes), kit_test(syncs),   kit_test(renames),
		kit_test(links), kit_test(mkdirs), kit_test(unlinks),
	};

	return run_units(tests);
}
