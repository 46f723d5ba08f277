/* SPDX-License-Identifier: Apache-2.0 */
/* Damage of every kind is found, told in one line each, with the images that it touches. */
#include "tests/imagestore/kit.h"

static void keep(void *ctx, const char *line)
{
	assert_null(strchr(line, '\n'));
	assert_ok(strv_add(ctx, line));
}

/* One line, with both words. */
static void assert_finds(struct kit *k, const char *what, const char *why)
{
	_strv_free_ char **lines = NULL;
	struct fsck_result f;

	assert_done(store_fsck(k->s, keep, &lines, &f));
	assert_int_equal(f.damaged, strv_len(lines));
	for (size_t i = 0; i < strv_len(lines); i++) {
		if (strstr(lines[i], what) && strstr(lines[i], why))
			return;
	}
	for (size_t i = 0; i < strv_len(lines); i++)
		print_error("%s\n", lines[i]);
	print_error("wanted \"%s ... %s\"\n", what, why);
	fail();
}

static void make(struct kit *k, const char *name, struct image_layer *l)
{
	_buf_done_ struct buf tar = { 0 };

	tar_big(&tar, "small", 30000, 1);
	tar_big(&tar, "large", 100000, 2);
	tar_end(&tar);
	assert_done(import_image(k->s, name, &tar, 1, l));
}

static void a_blob(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;

	make(k, "x", &l);
	assert_done(image_tag(k->s, "x", "y:1"));
	assert_sound(k->s);
	path = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	flip(k->s, path, 100);
	assert_finds(k, path, "digest mismatch (image x:latest, y:1)");
	assert_ok(unlinkat(store_dirfd(k->s), path, 0));
	assert_finds(k, digest_hex(&l.blob).s, "missing (image x:latest, y:1)");
}

static void a_pack(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;

	make(k, "x", &l);
	path = str_fmt("layers/%s/pack", digest_hex(&l.diff_id).s);
	flip(k->s, path, 2 * 4096 + 17);
	assert_finds(k, "pack block 2: digest mismatch", "(image x:latest)");
	flip(k->s, path, 2 * 4096 + 17);
	assert_sound(k->s);
	path[strlen(path) - 4] = '\0';
	{
		_free_ char *full = str_fmt("%s/%spack", k->root, path);

		assert_ok(truncate(full, 4096));
	}
	assert_finds(k, "pack: cut off", "(image x:latest)");
}

static void an_object(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL, *list = NULL, *data = NULL;
	struct image_layer l;
	struct digest d;
	size_t len;

	make(k, "x", &l);
	list = str_fmt("layers/%s/objects", digest_hex(&l.diff_id).s);
	assert_ok(file_read_all(store_dirfd(k->s), list, 1024, &data, &len));
	assert_int_equal(len, 32);
	memcpy(d.b, data, 32);
	path = str_fmt("objects/%.2s/%s", digest_hex(&d).s, digest_hex(&d).s);
	flip(k->s, path, 99999);
	assert_finds(k, path, "digest mismatch (image x:latest)");
	assert_ok(unlinkat(store_dirfd(k->s), path, 0));
	assert_finds(k, digest_hex(&d).s, "missing (image x:latest)");
}

static void files_of_a_layer(void **state)
{
	static const char *const names[] = { "index", "packsum", "objects", "frame" };
	struct kit *k = *state;
	struct image_layer l;

	make(k, "x", &l);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_free_ char *path = str_fmt("layers/%s/%s", digest_hex(&l.diff_id).s, names[i]);

		flip(k->s, path, 20);
		assert_finds(k, path, "digest mismatch (image x:latest)");
		flip(k->s, path, 20);
		make(k, "x", &l); /* the merged index again, if it was dropped */
		assert_sound(k->s);
	}
}

static void a_record(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;

	make(k, "x", &l);
	path = str_fmt("layers/%s/record", digest_hex(&l.diff_id).s);
	flip(k->s, path, 0);
	assert_finds(k, "record", "(image x:latest)");
	assert_ok(unlinkat(store_dirfd(k->s), path, 0));
	assert_finds(k, "record: missing", "(image x:latest)");
}

static void a_manifest(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;
	struct image *i;

	make(k, "x", &l);
	assert_done(image_open(k->s, "x", &i));
	path = str_fmt("blobs/sha256/%s", digest_hex(&i->manifest).s);
	image_close(i);
	flip(k->s, path, 5);
	assert_finds(k,
		     "manifest sha256:", "digest mismatch: the file is damaged (image x:latest)");
}

static void a_merged_index(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;
	struct stack stack;

	make(k, "x", &l);
	path = str_fmt("merged/%d-%s", LAYER_MERGE_VERSION, digest_hex(&l.diff_id).s);
	flip(k->s, path, 5000);
	assert_finds(k, path, "dropped");
	assert_done(stack_open(k->s, &l.diff_id, 1, &stack));
	stack_close(&stack);
	assert_sound(k->s);
}

static void a_snapshot(void **state)
{
	struct kit *k = *state;
	struct image_layer l;

	make(k, "x", &l);
	assert_done(snapshot_create(k->s, "s1", &l.diff_id, 1));
	assert_ok(fchmodat(store_dirfd(k->s), "snapshots/s1/base", 0644, 0));
	temp_file(store_dirfd(k->s), "snapshots/s1/base", "");
	assert_finds(k, "snapshots/s1/base", "damaged");
}

static void several(void **state)
{
	struct kit *k = *state;
	_strv_free_ char **lines = NULL;
	_free_ char *blob = NULL, *frame = NULL;
	struct fsck_result f;
	struct image_layer l;

	make(k, "x", &l);
	blob = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	frame = str_fmt("layers/%s/frame", digest_hex(&l.diff_id).s);
	flip(k->s, blob, 50);
	flip(k->s, frame, 50);
	assert_done(store_fsck(k->s, keep, &lines, &f));
	assert_int_equal(f.damaged, 2);
	assert_true(f.checked >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(a_blob),	    kit_test(a_pack),	  kit_test(an_object),
		kit_test(files_of_a_layer), kit_test(a_record),	  kit_test(a_manifest),
		kit_test(a_merged_index),   kit_test(a_snapshot), kit_test(several),
	};

	return run_units(tests);
}
