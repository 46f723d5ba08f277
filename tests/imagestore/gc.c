/* SPDX-License-Identifier: Apache-2.0 */
/* What gc takes and what it leaves: names, live transactions, pins, snapshots. */
#include "tests/imagestore/kit.h"

#include <sys/mman.h>
#include <sys/wait.h>

static void make(struct kit *k, const char *name, unsigned seed, struct image_layer *l)
{
	_buf_done_ struct buf tar = { 0 };

	tar_big(&tar, "small", 3000, seed);
	tar_big(&tar, "large", 100000, seed);
	tar_end(&tar);
	assert_done(import_image(k->s, name, &tar, 1, l));
}

static void collects_all(void **state)
{
	struct kit *k = *state;
	struct image_layer l;
	struct gc_result gc;

	make(k, "x", 1, &l);
	make(k, "x", 2, &l); /* takes the name: the first is garbage */
	assert_int_equal(count_images(k->s), 1);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(gc.files,
			 13); /* 6 of the layer, object, 3 blobs, merged with list and sums */
	assert_true(gc.bytes > 100000);
	assert_sound(k->s);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(gc.files, 0);
	assert_done(image_remove(k->s, "x"));
	assert_int_equal(count_files(k), 0);
	assert_err(image_remove(k->s, "x"), -ENOENT, "no image \"x:latest\"");
}

static void removal_is_local(void **state)
{
	struct kit *k = *state;
	struct image_layer l[2];
	struct txn *t;
	_buf_done_ struct buf tar = { 0 };
	unsigned n;

	make(k, "x", 1, l);
	/* a build's layer that no image names yet, with the same object */
	tar_big(&tar, "file", 100000, 1);
	tar_end(&tar);
	assert_done(txn_begin(k->s, &t));
	assert_done(import_only(t, &tar, NULL, &l[1]));
	assert_done(txn_commit(t));
	txn_abort(t);
	n = count_files(k);
	assert_done(image_remove(k->s, "x"));
	assert_int_equal(n - count_files(k), 12);
	assert_sound(k->s);
	assert_exports(k->s, &l[1].diff_id, &tar);
}

static void names(void **state)
{
	struct kit *k = *state;
	struct image *i;
	struct image_layer l;
	char id[13];

	make(k, "x", 1, &l);
	assert_done(image_tag(k->s, "x", "other/y:2"));
	assert_int_equal(count_images(k->s), 2);
	assert_done(image_open(k->s, "other/y:2", &i));
	assert_string_equal(i->name, "other/y:2");
	assert_int_equal(i->nlayers, 1);
	snprintf(id, sizeof(id), "%.12s", digest_hex(&i->config_digest).s);
	assert_err(image_remove(k->s, id), -EBUSY, "2 names");
	image_close(i);
	assert_done(image_remove(k->s, "x:latest"));
	assert_sound(k->s);
	assert_done(image_open(k->s, id, &i));
	image_close(i);
	assert_err(image_open(k->s, "123", &i), -ENOENT, "no image");
	assert_err(image_open(k->s, "NO", &i), -EINVAL, "no name for an image");
	assert_done(image_remove(k->s, id));
	assert_int_equal(count_files(k), 0);
	make(k, "x", 1, &l);
	assert_done(image_tag(k->s, "x", "y"));
	assert_done(image_remove_all(k->s, "y"));
	assert_int_equal(count_images(k->s), 1);
	assert_done(image_tag(k->s, "x", "y"));
	assert_done(image_open(k->s, "x", &i));
	snprintf(id, sizeof(id), "%.12s", digest_hex(&i->config_digest).s);
	image_close(i);
	assert_done(image_remove_all(k->s, id));
	assert_int_equal(count_files(k), 0);
}

static void unnamed(void **state)
{
	struct kit *k = *state;
	struct gc_result gc;
	struct image_layer l;
	_buf_done_ struct buf tar = { 0 };
	struct image *i;

	tar_end(&tar);
	assert_done(import_image(k->s, NULL, &tar, 1, &l));
	assert_done(import_image(k->s, NULL, &tar, 1, &l));
	assert_int_equal(count_images(k->s), 1);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(gc.files, 0);
	assert_done(import_image(k->s, "named", &tar, 1, &l));
	assert_int_equal(count_images(k->s), 1);
	assert_done(image_open(k->s, "named", &i));
	image_close(i);
}

static void pin(void **state)
{
	struct kit *k = *state;
	struct image_layer l;
	struct gc_result gc;
	struct stack stack;
	unsigned n;
	void *map;

	make(k, "x", 1, &l);
	assert_done(stack_open(k->s, &l.diff_id, 1, &stack));
	n = count_files(k);
	assert_done(image_remove(k->s, "x"));
	assert_int_equal(n - count_files(k), 3); /* manifest, config, blob */
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(gc.files, 0);
	map = mmap(NULL, LAYER_BLOCK, PROT_READ, MAP_SHARED, stack.index_fd, 0);
	assert_true(map != MAP_FAILED);
	stack_close(&stack);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(gc.files, 0); /* the mapping pins it too */
	munmap(map, LAYER_BLOCK);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(count_files(k), 0);
	assert_err(stack_open(k->s, &l.diff_id, 1, &stack), -ENOENT, "is not in the store");
}

/* The pin of a process that was killed is none. */
static void killed_pin(void **state)
{
	struct kit *k = *state;
	struct image_layer l;
	struct gc_result gc;
	int ready[2];
	char c;
	pid_t pid;

	make(k, "x", 1, &l);
	assert_ok(pipe(ready));
	pid = fork();
	if (pid == 0) {
		struct stack stack;

		if (stack_open(k->s, &l.diff_id, 1, &stack) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_done(image_remove(k->s, "x"));
	assert_true(count_files(k) > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(count_files(k), 0);
}

static void snapshots(void **state)
{
	struct kit *k = *state;
	struct image_layer l;
	struct gc_result gc;
	struct stack stack;

	make(k, "x", 1, &l);
	assert_done(snapshot_create(k->s, "s1", &l.diff_id, 1));
	assert_done(image_remove(k->s, "x"));
	assert_done(store_gc(k->s, &gc));
	assert_done(stack_open(k->s, &l.diff_id, 1, &stack));
	stack_close(&stack);
	assert_sound(k->s);
	assert_done(snapshot_remove(k->s, "s1"));
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(count_files(k), 0);
}

static void live_transaction(void **state)
{
	struct kit *k = *state;
	_json_ json_t *config = json_pack("{s:s}", "os", "linux");
	struct image_layer l, found;
	struct digest manifest;
	struct gc_result gc;
	struct txn *t;

	make(k, "x", 1, &l);
	assert_done(layer_find(k->s, &l.diff_id, &found));
	assert_done(txn_begin(k->s, &t));
	assert_done(txn_image(t, "y", config, &found, 1, &manifest)); /* relies on what is there */
	assert_done(image_remove(k->s, "x"));
	assert_done(store_gc(k->s, &gc));
	assert_done(txn_commit(t));
	txn_abort(t);
	assert_sound(k->s);
	assert_done(image_remove(k->s, "y"));
	assert_int_equal(count_files(k), 0);
}

/* gc took everything although the transaction relied on it: the links give it back. */
static void bytes_come_back(void **state)
{
	static const char *const folders[] = { "layers", "objects", "blobs/sha256", "merged" };
	struct kit *k = *state;
	_json_ json_t *config = json_pack("{s:s}", "os", "linux");
	struct image_layer l, found;
	struct digest manifest;
	struct txn *t;

	make(k, "x", 1, &l);
	assert_done(layer_find(k->s, &l.diff_id, &found));
	assert_done(txn_begin(k->s, &t));
	assert_done(txn_image(t, "x", config, &found, 1, &manifest));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		assert_ok(fd_remove_tree(store_dirfd(k->s), folders[i]));
		assert_ok(mkdirat(store_dirfd(k->s), folders[i], 0755));
	}
	assert_done(txn_commit(t));
	txn_abort(t);
	assert_sound(k->s);
}

static void cache(void **state)
{
	struct kit *k = *state;
	struct digest key = sha256_of("k", 1), other = sha256_of("o", 1), got;
	struct image_layer l;
	struct gc_result gc;
	bool empty;

	make(k, "x", 1, &l);
	assert_int_equal(cache_get(k->s, &key, &got, &empty), -ENOENT);
	assert_done(cache_put(k->s, &key, &l.diff_id, false));
	assert_done(cache_put(k->s, &other, &key, true));
	assert_done(cache_get(k->s, &key, &got, &empty));
	assert_true(digest_eq(&got, &l.diff_id));
	assert_false(empty);
	assert_done(cache_get(k->s, &other, &got, &empty));
	assert_true(empty);
	assert_done(image_remove(k->s, "x"));
	assert_int_equal(cache_get(k->s, &key, &got, &empty), -ENOENT);
	assert_done(store_gc(k->s, &gc));
	assert_done(cache_get(k->s, &other, &got, &empty));
}

static void damaged_image_stops_it(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;
	struct gc_result gc;
	struct image *i;
	unsigned n;

	make(k, "x", 1, &l);
	make(k, "y", 2, &l);
	assert_done(image_open(k->s, "x", &i));
	path = str_fmt("blobs/sha256/%s", digest_hex(&i->manifest).s);
	image_close(i);
	flip(k->s, path, 3);
	n = count_files(k);
	assert_err(store_gc(k->s, &gc), -EBADMSG, "manifest sha256:");
	assert_int_equal(count_files(k), n);
	assert_done(image_remove(k->s, "x")); /* that helps */
	assert_done(store_gc(k->s, &gc));
	assert_sound(k->s);
	assert_done(image_remove(k->s, "y"));
	assert_int_equal(count_files(k), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(collects_all),
		kit_test(removal_is_local),
		kit_test(names),
		kit_test(unnamed),
		kit_test(pin),
		kit_test(killed_pin),
		kit_test(snapshots),
		kit_test(live_transaction),
		kit_test(bytes_come_back),
		kit_test(cache),
		kit_test(damaged_image_stops_it),
	};

	return run_units(tests);
}
