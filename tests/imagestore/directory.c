/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the host as a layer, and what became of it. */
#include "tests/imagestore/kit.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

static int add(void *ctx, const void *data, size_t len)
{
	return buf_add(ctx, data, len);
}

static void fill(int fd)
{
	const struct timespec times[2] = { { .tv_sec = 5, .tv_nsec = 7 },
					   { .tv_sec = 1000000000, .tv_nsec = 123456789 } };
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	assert_ok(fd_mkdir_p(fd, "usr/lib", 0750));
	temp_file(fd, "usr/lib/z", "z");
	temp_file(fd, "usr/lib/a", "a file");
	assert_ok(linkat(fd, "usr/lib/a", fd, "usr/lib/hard", 0));
	assert_ok(symlinkat("/etc/passwd", fd, "soft"));
	assert_ok(mkfifoat(fd, "fifo", 0600));
	temp_file(fd, name, "a long name");
	temp_file(fd, "sparse", "");
	{
		_close_ int sparse = openat(fd, "sparse", O_WRONLY | O_CLOEXEC);

		assert_ok(ftruncate(sparse, 300000));
	}
	assert_ok(utimensat(fd, "usr/lib/a", times, 0));
}

static void make(int fd, struct buf *ret)
{
	assert_done(tar_of_directory(fd, add, ret));
}

static void round_trip(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf one = { 0 }, two = { 0 };
	struct image_layer l;
	struct layer_index *x;
	struct layer_attr a;
	struct stack stack;
	uint64_t usr, lib, nid, hard;
	char path[64];
	int fd = temp_open(path);

	fill(fd);
	make(fd, &one);
	make(fd, &two);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.data, two.data, one.len);
	assert_done(import_image(k->s, "x", &one, 1, &l));
	assert_sound(k->s);
	assert_exports(k->s, &l.diff_id, &one);
	assert_done(stack_open(k->s, &l.diff_id, 1, &stack));
	assert_done(layer_index_open(stack.index_fd, &x));
	assert_ok(layer_lookup(x, LAYER_ROOT_NID, "usr", 3, &usr));
	assert_ok(layer_lookup(x, usr, "lib", 3, &lib));
	assert_ok(layer_lookup(x, lib, "a", 1, &nid));
	assert_ok(layer_lookup(x, lib, "hard", 4, &hard));
	assert_int_equal(nid, hard);
	assert_ok(layer_stat(x, nid, &a));
	assert_int_equal(a.mtime.tv_sec, 1000000000);
	assert_int_equal(a.mtime.tv_nsec, 123456789);
	assert_int_equal(a.uid, geteuid());
	assert_int_equal(a.nlink, 2);
	assert_ok(layer_lookup(x, LAYER_ROOT_NID, "sparse", 6, &nid));
	assert_ok(layer_stat(x, nid, &a));
	assert_int_equal(a.size, 300000);
	layer_index_close(x);
	stack_close(&stack);
	temp_close(path, fd);
}

static void xattrs(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	struct layer_index *x;
	struct stack stack;
	const void *value;
	uint64_t nid;
	size_t len;
	char path[64];
	int fd = temp_open(path), file;

	temp_file(fd, "f", "x");
	file = openat(fd, "f", O_RDONLY | O_CLOEXEC);
	if (fsetxattr(file, "user.two", "2\0\n", 3, 0) < 0 ||
	    fsetxattr(file, "user.one", "1", 1, 0) < 0) {
		fd_close(file);
		temp_close(path, fd);
		skip();
	}
	fd_close(file);
	make(fd, &tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	assert_done(stack_open(k->s, &l.diff_id, 1, &stack));
	assert_done(layer_index_open(stack.index_fd, &x));
	assert_ok(layer_lookup(x, LAYER_ROOT_NID, "f", 1, &nid));
	assert_ok(layer_getxattr(x, nid, "user.two", &value, &len));
	assert_int_equal(len, 3);
	assert_memory_equal(value, "2\0\n", 3);
	assert_ok(layer_getxattr(x, nid, "user.one", &value, &len));
	layer_index_close(x);
	stack_close(&stack);
	temp_close(path, fd);
}

static void odd_times(void **state)
{
	static const struct timespec times[] = {
		{ .tv_sec = -1, .tv_nsec = 500000000 },
		{ .tv_sec = -2, .tv_nsec = 1 },
		{ .tv_sec = -3 },
		{ .tv_sec = 1ll << 33 },
	};
	struct kit *k = *state;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const struct timespec both[2] = { times[i], times[i] };
		_buf_done_ struct buf tar = { 0 };
		struct image_layer l;
		struct layer_index *x;
		struct layer_attr a;
		struct stack stack;
		struct stat st;
		uint64_t nid;
		char path[64];
		int fd = temp_open(path);

		temp_file(fd, "f", "x");
		assert_ok(utimensat(fd, "f", both, 0));
		assert_ok(fstatat(fd, "f", &st, 0)); /* what the file system can hold */
		make(fd, &tar);
		assert_done(import_image(k->s, "x", &tar, 1, &l));
		assert_done(stack_open(k->s, &l.diff_id, 1, &stack));
		assert_done(layer_index_open(stack.index_fd, &x));
		assert_ok(layer_lookup(x, LAYER_ROOT_NID, "f", 1, &nid));
		assert_ok(layer_stat(x, nid, &a));
		assert_int_equal(a.mtime.tv_sec, st.st_mtim.tv_sec);
		assert_int_equal(a.mtime.tv_nsec, st.st_mtim.tv_nsec);
		layer_index_close(x);
		stack_close(&stack);
		temp_close(path, fd);
	}
}

static int full(void *ctx, _unused_ const void *data, _unused_ size_t len)
{
	return --*(int *)ctx ? 0 : -ENOSPC;
}

static void failing_sink(_unused_ void **state)
{
	char path[64];
	int fd = temp_open(path);

	fill(fd);
	for (int n = 1; n < 20; n++) {
		int left = n;

		assert_int_equal(tar_of_directory(fd, full, &left), -ENOSPC);
	}
	temp_close(path, fd);
}

/* The socket is left out with a word of warning; the rest is there. */
static void socket_left_out(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct image_layer l;
	char path[64];
	int fd = temp_open(path), sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", path);
	assert_ok(bind(sock, (struct sockaddr *)&addr, sizeof(addr)));
	temp_file(fd, "f", "x");
	make(fd, &tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	assert_sound(k->s);
	fd_close(sock);
	temp_close(path, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { kit_test(round_trip), kit_test(xattrs),
					    kit_test(odd_times), cmocka_unit_test(failing_sink),
					    kit_test(socket_left_out) };

	return run_units(tests);
}
