/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 at any moment: the store is sound afterwards, what was acknowledged is there, and nothing
 * is left behind. And several processes at once.
 */
#include "tests/imagestore/kit.h"

#include "base/clock.h"
#include <sys/wait.h>

#define KILLS	  60
#define BUDGET_NS 20000000000ull

static void make_tar(struct buf *b, unsigned n)
{
	/* Half of it is the same each time, so that there is something to share. */
	tar_big(b, "shared/large", 80000, 1);
	tar_big(b, "shared/small", 3000, 2);
	tar_big(b, "own/large", 70000, n + 10);
	tar_big(b, "own/small", 100, n + 10);
	tar_end(b);
}

/* Imports, tells that it has, removes, collects, for ever. */
static void work(const char *root, int ack, unsigned seed)
{
	struct store *s;

	for (unsigned n = 0;; n++) {
		_buf_done_ struct buf tar = { 0 };
		struct image_layer l;
		struct gc_result gc;
		unsigned number = seed * 1000 + n;
		char name[32];

		if (store_open(root, 0, &s) < 0)
			_exit(1);
		snprintf(name, sizeof(name), "image:%u", number);
		make_tar(&tar, number);
		if (import_image(s, name, &tar, 1, &l) < 0 ||
		    write(ack, &number, sizeof(number)) != sizeof(number))
			_exit(2);
		if (n % 3 == 1 && n >= 2) {
			snprintf(name, sizeof(name), "image:%u", number - 1);
			number = ~(number - 1); /* no longer promised: told before it goes */
			if (write(ack, &number, sizeof(number)) != sizeof(number) ||
			    image_remove(s, name) < 0)
				_exit(3);
		}
		if (n % 4 == 3 && store_gc(s, &gc) < 0)
			_exit(4);
		store_close(s);
	}
}

/* What was acknowledged and not taken back is there, whole. */
static void check_promises(struct kit *k, int ack)
{
	unsigned number, numbers[1024], n = 0;

	while (read(ack, &number, sizeof(number)) == (ssize_t)sizeof(number)) {
		if ((int)number >= 0 && n < ARRAY_SIZE(numbers))
			numbers[n++] = number;
		for (unsigned i = 0; (int)number < 0 && i < n; i++) {
			if (numbers[i] == ~number)
				numbers[i] = numbers[--n];
		}
	}
	for (unsigned i = 0; i < n; i++) {
		_buf_done_ struct buf tar = { 0 };
		struct image *image;
		char name[32];

		snprintf(name, sizeof(name), "image:%u", numbers[i]);
		assert_done(image_open(k->s, name, &image));
		make_tar(&tar, numbers[i]);
		if (i + 3 >= n)
			assert_exports(k->s, &image->layers[0].diff_id, &tar);
		image_close(image);
	}
}

static int forget(void *ctx, struct image *i)
{
	return strv_add(ctx, i->name);
}

static void remove_all(struct kit *k)
{
	_strv_free_ char **names = NULL;

	assert_done(image_each(k->s, forget, &names));
	for (size_t i = 0; i < strv_len(names); i++)
		assert_done(image_remove(k->s, names[i]));
}

static void one_kill(struct kit *k, unsigned round)
{
	int ack[2], status;
	pid_t pid;

	assert_ok(pipe(ack));
	pid = fork();
	if (pid == 0) {
		close(ack[0]);
		work(k->root, ack[1], round);
	}
	close(ack[1]);
	usleep(500 + (unsigned)(clock_ns() / 1000 % (round % 3 ? 60000 : 6000)));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	store_close(k->s);
	assert_done(store_open(k->root, 0, &k->s));
	assert_sound(k->s);
	check_promises(k, ack[0]);
	close(ack[0]);
	if (round % 8 == 7)
		remove_all(k);
}

static void killed(void **state)
{
	struct kit *k = *state;
	uint64_t end = clock_ns() + BUDGET_NS;
	struct gc_result gc;

	for (unsigned round = 0; round < KILLS && clock_ns() < end; round++)
		one_kill(k, round);
	remove_all(k);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(count_files(k), 0);
}

/* ---- several at once ---- */

static pid_t start_import(const char *root, const char *name, int times)
{
	pid_t pid = fork();

	for (int i = 0; pid == 0 && i < times; i++) {
		_buf_done_ struct buf tar = { 0 };
		struct image_layer l;
		struct store *s;

		make_tar(&tar, 5);
		if (store_open(root, 0, &s) < 0 || import_image(s, name, &tar, 1, &l) < 0) {
			fprintf(stderr, "import: %s\n", err_take(-EIO));
			_exit(1);
		}
		store_close(s);
	}
	if (pid == 0)
		_exit(0);
	return pid;
}

static void assert_exits(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void same_at_once(void **state)
{
	struct kit *k = *state;

	for (int i = 0; i < 5; i++) {
		pid_t a = start_import(k->root, "same", 1), b = start_import(k->root, "same", 1);

		assert_exits(a);
		assert_exits(b);
		assert_int_equal(count_images(k->s), 1);
		assert_sound(k->s);
		assert_done(image_remove(k->s, "same"));
		assert_int_equal(count_files(k), 0);
	}
}

/* Bytes that this process wrote; the pipe tells them. */
static uint64_t written(void)
{
	_free_ char *text = NULL;
	size_t len;
	uint64_t n = 0;

	if (file_read_all(AT_FDCWD, "/proc/self/io", 4096, &text, &len) == 0 &&
	    strstr(text, "wchar:"))
		n = strtoull(strstr(text, "wchar:") + 6, NULL, 10);
	return n;
}

static pid_t start_load(const char *root, const char *path, int tell)
{
	pid_t pid = fork();
	struct store *s;
	uint64_t n;

	if (pid != 0)
		return pid;
	if (store_open(root, 0, &s) < 0 || store_load(s, path, NULL) < 0) {
		fprintf(stderr, "load: %s\n", err_take(-EIO));
		_exit(1);
	}
	store_close(s);
	n = written();
	_exit(write(tell, &n, sizeof(n)) != sizeof(n));
}

/* Two that load one image at once: one makes the layer, the other finds it. */
static void loads_at_once(void **state)
{
	struct kit *k = *state;
	_free_ char *path = str_fmt("%s-layout", k->root);
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	uint64_t n[2];
	int fds[2];

	tar_big(&tar, "large", 16 << 20, 1);
	tar_end(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	assert_done(store_save(k->s, (char *[]){ (char[]){ "x" }, NULL }, path, false));
	assert_done(image_remove(k->s, "x"));
	for (int i = 0; i < 3; i++) {
		pid_t a, b;

		assert_ok(pipe(fds));
		a = start_load(k->root, path, fds[1]);
		b = start_load(k->root, path, fds[1]);
		assert_exits(a);
		assert_exits(b);
		assert_int_equal(read(fds[0], n, sizeof(n)), sizeof(n));
		close(fds[0]);
		close(fds[1]);
		/* Blob and object, 16 MiB each: written by one of them. */
		assert_true(MAX(n[0], n[1]) > (30u << 20));
		assert_true(MIN(n[0], n[1]) < (1u << 20));
		assert_sound(k->s);
		assert_done(image_remove(k->s, "x"));
		assert_int_equal(count_files(k), 0);
	}
	assert_ok(fd_remove_tree(AT_FDCWD, path));
}

static pid_t start_gc(const char *root)
{
	pid_t pid = fork();
	struct gc_result gc;
	struct store *s;

	if (pid != 0)
		return pid;
	for (;;) {
		if (store_open(root, 0, &s) < 0 || store_gc(s, &gc) < 0) {
			fprintf(stderr, "gc: %s\n", err_take(-EIO));
			_exit(1);
		}
		store_close(s);
	}
}

/* One collects without a pause while others import and remove the same content. */
static void against_gc(void **state)
{
	struct kit *k = *state;
	pid_t gc = start_gc(k->root), a = start_import(k->root, "a", 20),
	      b = start_import(k->root, "b", 20);
	int status;

	for (int i = 0; i < 30; i++) {
		if (image_remove(k->s, i % 2 ? "a" : "b") < 0)
			err_clear();
		usleep(3000);
	}
	assert_exits(a);
	assert_exits(b);
	assert_int_equal(waitpid(gc, &status, WNOHANG), 0);
	kill(gc, SIGKILL);
	waitpid(gc, &status, 0);
	assert_done(import_image(k->s, "a", &(struct buf){ 0 }, 0, NULL));
	assert_sound(k->s);
}

/* And while others mount: who has a stack open has all that it names. */
static void stacks_against_gc(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	pid_t gc;
	int status, opened = 0;

	make_tar(&tar, 5);
	gc = start_gc(k->root);
	for (int i = 0; i < 40; i++) {
		struct stack stack;

		assert_done(import_image(k->s, "x", &tar, 1, &l));
		if (i % 2)
			assert_done(image_remove(k->s, "x"));
		if (stack_open(k->s, &l.diff_id, 1, &stack) < 0) {
			err_clear();
			continue;
		}
		opened++;
		if (i % 2 == 0)
			assert_done(image_remove(k->s, "x"));
		usleep(2000);
		assert_exports(k->s, &l.diff_id, &tar);
		stack_close(&stack);
	}
	assert_true(opened >= 20);
	assert_int_equal(waitpid(gc, &status, WNOHANG), 0);
	kill(gc, SIGKILL);
	waitpid(gc, &status, 0);
	assert_sound(k->s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(killed),     kit_test(same_at_once),	   kit_test(loads_at_once),
		kit_test(against_gc), kit_test(stacks_against_gc),
	};

	return run_units(tests);
}
