/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What damage can be mended is mended; what cannot is dropped and named. And stores of other
 * formats.
 */
#include "tests/imagestore/kit.h"

static void keep(void *ctx, const char *line)
{
	assert_ok(strv_add(ctx, line));
}

static bool says(char **lines, const char *text)
{
	for (size_t i = 0; i < strv_len(lines); i++) {
		if (strstr(lines[i], text))
			return true;
	}
	for (size_t i = 0; i < strv_len(lines); i++)
		print_error("%s\n", lines[i]);
	return false;
}

static void make_tar(struct buf *tar)
{
	tar_big(tar, "small", 30000, 1);
	tar_big(tar, "large", 100000, 2);
	tar_end(tar);
}

static void make(struct kit *k, struct image_layer *l)
{
	_buf_done_ struct buf tar = { 0 };

	make_tar(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, l));
}

static char *path_of(const struct image_layer *l, const char *file)
{
	return str_fmt("layers/%s/%s", digest_hex(&l->diff_id).s, file);
}

/* All is as it was, and @text was told. */
static void assert_mended(struct kit *k, const struct image_layer *l, const char *text)
{
	_strv_free_ char **lines = NULL;
	_buf_done_ struct buf tar = { 0 };
	struct fsck_result f;
	struct gc_result gc;
	struct stack stack;

	assert_done(store_repair(k->s, keep, &lines, &f));
	assert_true(says(lines, text));
	assert_int_equal(f.damaged, 0);
	assert_sound(k->s);
	make_tar(&tar);
	assert_exports(k->s, &l->diff_id, &tar);
	assert_done(stack_open(k->s, &l->diff_id, 1, &stack));
	assert_done(stack_open_sums(k->s, &stack));
	stack_close(&stack);
	assert_done(store_gc(k->s, &gc));
	assert_sound(k->s);
	assert_int_equal(count_images(k->s), 1);
}

static void layers(void **state)
{
	static const char *const files[] = { "index",	"pack",	 "packsum",
					     "objects", "frame", "record" };
	struct kit *k = *state;
	struct image_layer l;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_free_ char *path = NULL;

		make(k, &l);
		path = path_of(&l, files[i]);
		flip(k->s, path,
		     streq(files[i], "record") ? 150 : 20); /* there: a digest of a file */
		assert_mended(k, &l, "made again of its blob");
		assert_ok(unlinkat(store_dirfd(k->s), path, 0));
		assert_mended(k, &l, "made again of its blob");
		assert_done(image_remove(k->s, "x"));
		assert_int_equal(count_files(k), 0);
	}
}

static void whole_layer(void **state)
{
	struct kit *k = *state;
	struct image_layer l;
	_free_ char *path = NULL;

	make(k, &l);
	path = str_fmt("layers/%s", digest_hex(&l.diff_id).s);
	assert_ok(fd_remove_tree(store_dirfd(k->s), path));
	assert_mended(k, &l, "made again of its blob");
}

static char *object_of(struct kit *k, const struct image_layer *l)
{
	_free_ char *list = path_of(l, "objects"), *data = NULL;
	struct digest d;
	size_t len;

	assert_ok(file_read_all(store_dirfd(k->s), list, 1024, &data, &len));
	assert_int_equal(len, 32);
	memcpy(d.b, data, 32);
	return str_fmt("objects/%.2s/%s", digest_hex(&d).s, digest_hex(&d).s);
}

static void objects(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;

	make(k, &l);
	path = object_of(k, &l);
	flip(k->s, path, 5000);
	assert_mended(k, &l, "made again of its blob");
	assert_ok(unlinkat(store_dirfd(k->s), path, 0));
	assert_mended(k, &l, "made again of its blob");
}

static void blobs(void **state)
{
	struct kit *k = *state;
	_free_ char *path = NULL;
	struct image_layer l;

	make(k, &l);
	path = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	flip(k->s, path, 100);
	assert_mended(k, &l, "made again of its layer's frame");
	assert_true(faccessat(store_dirfd(k->s), path, F_OK, 0) == 0);
	assert_ok(unlinkat(store_dirfd(k->s), path, 0));
	assert_mended(k, &l, "made again of its layer's frame");
}

/*
 * A blob that other tools compressed cannot be made again: it is dropped, and the image is whole.
 */
static void foreign_blob(void **state)
{
	struct kit *k = *state;
	_json_ json_t *config = json_pack("{s:s, s:s}", "architecture", "amd64", "os", "linux");
	_buf_done_ struct buf tar = { 0 }, gz = { 0 };
	_free_ char *path = NULL, *out = NULL, *other = str_fmt("%s-other", k->root);
	struct digest manifest, id;
	struct store *copy;
	struct image *image;
	struct image_layer l;
	struct txn *t;

	make_tar(&tar);
	pack_gzip(&gz, tar.data, tar.len);
	assert_done(txn_begin(k->s, &t));
	assert_done(import_only(t, &gz, NULL, &l));
	assert_done(txn_image(t, "x", config, &l, 1, &manifest));
	assert_done(txn_commit(t));
	txn_abort(t);
	path = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	flip(k->s, path, 100);
	assert_mended(k, &l, "dropped: save and push make another");
	assert_true(faccessat(store_dirfd(k->s), path, F_OK, 0) < 0);
	/*
	 * Saving gives away another blob, which a new manifest names, with the same config and
	 * diffID.
	 */
	out = str_fmt("%s-saved", k->root);
	assert_done(store_save(k->s, (char *[]){ (char[]){ "x" }, NULL }, out, false));
	assert_done(store_open(other, STORE_CREATE, &copy));
	assert_done(store_load(copy, out, NULL));
	assert_done(image_open(copy, "x", &image));
	assert_false(digest_eq(&image->manifest, &manifest));
	assert_true(digest_eq(&image->layers[0].diff_id, &l.diff_id));
	id = image->config_digest;
	image_close(image);
	assert_sound(copy);
	store_close(copy);
	/* The store itself stays as it was. */
	assert_done(image_open(k->s, "x", &image));
	assert_true(digest_eq(&image->manifest, &manifest) &&
		    digest_eq(&image->config_digest, &id));
	image_close(image);
	assert_sound(k->s);
	assert_ok(fd_remove_tree(AT_FDCWD, out));
	assert_ok(fd_remove_tree(AT_FDCWD, other));
}

static void both(void **state)
{
	struct kit *k = *state;
	_free_ char *blob = NULL, *index = NULL, *pack = NULL;
	_strv_free_ char **lines = NULL;
	struct fsck_result f;
	struct image_layer l;

	/* The blob and the index: the frame gives the tar. */
	make(k, &l);
	blob = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	index = path_of(&l, "index");
	pack = path_of(&l, "pack");
	flip(k->s, blob, 100);
	flip(k->s, index, 5000);
	assert_mended(k, &l, "made again of its frame");
	/*
	 * The blob and the pack: nothing gives it. The image is named, and can be imported again.
	 */
	flip(k->s, blob, 100);
	flip(k->s, pack, 100);
	assert_done(store_repair(k->s, keep, &lines, &f));
	assert_true(says(lines, "dropped: neither its blob nor its frame"));
	assert_true(says(lines, "missing (image x:latest)"));
	assert_true(f.damaged > 0);
	make(k, &l);
	assert_sound(k->s);
}

static void documents(void **state)
{
	struct kit *k = *state;
	_strv_free_ char **lines = NULL;
	_free_ char *path = NULL;
	struct fsck_result f;
	struct image *image;
	struct image_layer l;

	make(k, &l);
	assert_done(image_open(k->s, "x", &image));
	path = str_fmt("blobs/sha256/%s", digest_hex(&image->config_digest).s);
	image_close(image);
	flip(k->s, path, 3);
	assert_done(store_repair(k->s, keep, &lines, &f));
	assert_true(says(lines, "dropped"));
	assert_true(f.damaged > 0);
	make(k, &l);
	assert_sound(k->s);
}

static void nothing(void **state)
{
	struct kit *k = *state;
	_strv_free_ char **lines = NULL;
	struct fsck_result f;
	struct image_layer l;

	make(k, &l);
	assert_done(store_repair(k->s, keep, &lines, &f));
	assert_int_equal(strv_len(lines), 0);
	assert_int_equal(f.damaged, 0);
}

/* ---- dropped blobs ---- */

static void dropped(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	_free_ char *path = NULL, *out = NULL, *copy = NULL;
	struct gc_result gc;
	struct image *image;
	struct digest manifest;
	struct image_layer l;

	make(k, &l);
	assert_done(image_open(k->s, "x", &image));
	manifest = image->manifest;
	image_close(image);
	path = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	out = str_fmt("%s/saved", k->root);
	copy = str_fmt("%s/blobs/sha256/%s", out, digest_hex(&l.blob).s);
	assert_done(image_drop_blobs(k->s, &manifest));
	assert_true(faccessat(store_dirfd(k->s), path, F_OK, 0) < 0);
	assert_sound(k->s);
	make_tar(&tar);
	assert_exports(k->s, &l.diff_id, &tar);
	assert_done(store_gc(k->s, &gc));
	assert_sound(k->s);
	/* What we compressed ourselves comes again bit for bit, and is dropped again. */
	assert_done(store_save(k->s, (char *[]){ (char[]){ "x" }, NULL }, out, false));
	assert_ok(access(copy, F_OK));
	assert_true(faccessat(store_dirfd(k->s), path, F_OK, 0) < 0);
	assert_done(image_open(k->s, "x", &image));
	assert_true(digest_eq(&manifest, &image->manifest));
	image_close(image);
	assert_sound(k->s);
	/* The mark goes with the image. */
	assert_done(image_remove(k->s, "x"));
	assert_done(store_gc(k->s, &gc));
	assert_true(fd_remove_tree(AT_FDCWD, out) == 0);
	assert_ok(unlinkat(store_dirfd(k->s), "dropped", AT_REMOVEDIR));
	assert_ok(mkdirat(store_dirfd(k->s), "dropped", 0755));
}

/* ---- formats ---- */

static void older(void **state)
{
	static const char old[] = "strata store 1\n", none[] = "strata store 0\n",
			  newer[] = "strata store 3\n";
	struct kit *k = *state;
	struct image_layer l;
	struct store *s;

	make(k, &l);
	assert_ok(unlinkat(k->dirfd, "dropped", AT_REMOVEDIR));
	assert_ok(file_replace(k->dirfd, "FORMAT", old, strlen(old), 0644, false));
	/* One that may not write reads it as it is. */
	assert_done(store_open(k->root, STORE_RDONLY, &s));
	assert_int_equal(count_images(s), 1);
	store_close(s);
	assert_true(faccessat(k->dirfd, "dropped", F_OK, 0) < 0);
	assert_done(store_open(k->root, 0, &s));
	assert_ok(faccessat(k->dirfd, "dropped", F_OK, 0));
	assert_sound(s);
	assert_int_equal(count_images(s), 1);
	store_close(s);
	assert_done(store_open(k->root, 0, &s)); /* done once for all */
	store_close(s);
	assert_ok(file_replace(k->dirfd, "FORMAT", none, strlen(none), 0644, false));
	assert_err(store_open(k->root, 0, &s), -EPROTO, "strata store 0");
	assert_ok(file_replace(k->dirfd, "FORMAT", newer, strlen(newer), 0644, false));
	assert_err(store_open(k->root, STORE_CREATE, &s), -EPROTO, "strata store 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(layers),    kit_test(whole_layer),  kit_test(objects),
		kit_test(blobs),     kit_test(foreign_blob), kit_test(both),
		kit_test(documents), kit_test(nothing),	     kit_test(dropped),
		kit_test(older),
	};

	return run_units(tests);
}
