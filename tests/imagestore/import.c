/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers in and out again: bit for bit, from their blob and from their frame; contents kept once.
 */
#include "tests/imagestore/kit.h"

/* A tar with something of everything. */
static void make_tar(struct buf *b)
{
	char name[180], link[180];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[90] = '/';
	memset(link, 'l', sizeof(link) - 1);
	link[sizeof(link) - 1] = '\0';
	tar_dir(b, "./");
	tar_dir(b, "etc/");
	tar_file(b, "etc/small", "inline");
	tar_file(b, "etc/empty", "");
	tar_big(b, "etc/packed", 5000, 1);
	tar_big(b, "etc/full", 65536, 2);
	tar_big(b, "usr/large", 70001, 3);
	tar_add(b, '1', "etc/hard", "etc/packed", "", 0);
	tar_add(b, '2', "etc/soft", "../usr/large", "", 0);
	tar_add(b, 'L', "././@LongLink", "", name, sizeof(name));
	tar_file(b, "nnn", "by a GNU long name");
	tar_add(b, 'K', "././@LongLink", "", link, sizeof(link));
	tar_add(b, '2', "etc/farther", "lll", "", 0);
	tar_pax_text(b, "mtime", "1700000000.123456789");
	tar_file(b, "etc/dated", "x");
	tar_pax(b, "SCHILY.xattr.user.note", "a\0b", 3);
	tar_file(b, "etc/noted", "x");
	tar_file(b, "etc/small", "and once more: the last wins");
	tar_add(b, '6', "run/fifo", "", "", 0);
	tar_end(b);
	assert_ok(buf_zero(b, 9 * TAR_BLOCK)); /* up to a record of 10 KiB, as GNU tar pads */
}

static void round_trip(struct kit *k, const struct buf *tar, const struct buf *blob, bool kept)
{
	struct digest want = sha256_of(tar->data, tar->len),
		      blob_digest = sha256_of(blob->data, blob->len);
	_free_ char *path = NULL;
	struct image_layer l, found;

	assert_done(import_image(k->s, "x", blob, 1, &l));
	assert_true(digest_eq(&l.diff_id, &want));
	if (kept)
		assert_true(digest_eq(&l.blob, &blob_digest));
	assert_exports(k->s, &want, tar);
	assert_sound(k->s);
	assert_done(layer_find(k->s, &want, &found));
	assert_true(digest_eq(&found.blob, &l.blob));
	path = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	assert_ok(unlinkat(store_dirfd(k->s), path, 0));
	assert_exports(k->s, &want, tar); /* from the frame */
	assert_done(image_remove(k->s, "x"));
	assert_int_equal(count_files(k), 0);
}

static void plain(void **state)
{
	_buf_done_ struct buf tar = { 0 };

	make_tar(&tar);
	round_trip(*state, &tar, &tar, false);
}

static void gzip(void **state)
{
	_buf_done_ struct buf tar = { 0 }, blob = { 0 };

	make_tar(&tar);
	pack_gzip(&blob, tar.data, tar.len);
	round_trip(*state, &tar, &blob, true);
}

static void gzip_members(void **state)
{
	_buf_done_ struct buf tar = { 0 }, blob = { 0 };

	make_tar(&tar);
	for (size_t at = 0; at < tar.len; at += 7777)
		pack_gzip(&blob, tar.data + at, MIN(tar.len - at, (size_t)7777));
	pack_gzip(&blob, "", 0);
	assert_ok(buf_zero(&blob, 1000));
	round_trip(*state, &tar, &blob, true);
}

static void zstd(void **state)
{
	_buf_done_ struct buf tar = { 0 }, blob = { 0 };

	make_tar(&tar);
	pack_zstd(&blob, tar.data, 1000);
	assert_ok(buf_add(&blob, "\x50\x2a\x4d\x18\x03\0\0\0abc",
			  11)); /* a skippable frame, as zstd:chunked has */
	pack_zstd(&blob, tar.data + 1000, tar.len - 1000);
	round_trip(*state, &tar, &blob, true);
}

/* Ends just where what unpacks it has no room left. */
static void full_buffer(void **state)
{
	const size_t sizes[] = { 128 << 10, 256 << 10, 512 << 10 };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		_buf_done_ struct buf tar = { 0 }, blob = { 0 };
		size_t size = sizes[i / 2];

		tar_put(&tar, tar_header('0', "big", "", size - 3 * TAR_BLOCK));
		assert_ok(buf_zero(&tar, size - 3 * TAR_BLOCK));
		tar_end(&tar);
		assert_int_equal(tar.len, size);
		if (i % 2)
			pack_zstd(&blob, tar.data, tar.len);
		else
			pack_gzip(&blob, tar.data, tar.len);
		round_trip(*state, &tar, &blob, true);
	}
}

/* Contents around each border: of index and pack, of what is unpacked at once or gathered. */
static void sizes(void **state)
{
	const size_t borders[] = { 1024,       65536,	   128 << 10, 256 << 10,
				   1024 << 10, 4096 << 10, 4352 << 10 };
	_buf_done_ struct buf tar = { 0 }, gzipped = { 0 }, zstded = { 0 };
	char name[64];

	for (size_t i = 0; i < 3 * ARRAY_SIZE(borders); i++) {
		snprintf(name, sizeof(name), "d/%zu", i);
		tar_big(&tar, name, borders[i / 3] + i % 3 - 1, (unsigned)i);
		snprintf(name, sizeof(name), "s/%zu", i);
		tar_big(&tar, name, 30000 * i, (unsigned)i + 100);
	}
	tar_end(&tar);
	pack_gzip(&gzipped, tar.data, tar.len);
	round_trip(*state, &tar, &gzipped, true);
	pack_zstd(&zstded, tar.data, tar.len);
	round_trip(*state, &tar, &zstded, true);
	round_trip(*state, &tar, &tar, false);
}

static void a_sink(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	struct layer_sink *sink;
	struct txn *t;

	make_tar(&tar);
	assert_done(txn_begin(k->s, &t));
	assert_done(layer_sink_open(t, NULL, &sink));
	for (size_t at = 0; at < tar.len; at += 1234)
		assert_done(layer_sink_write(sink, tar.data + at, MIN(tar.len - at, (size_t)1234)));
	assert_done(layer_sink_close(sink, &l));
	assert_done(layer_sink_open(t, NULL, &sink));
	assert_ok(layer_sink_close(sink, NULL));
	assert_done(txn_commit(t));
	txn_abort(t);
	assert_exports(k->s, &l.diff_id, &tar);
	assert_sound(k->s);
}

static void without_end(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 }, empty = { 0 };
	struct image_layer l;

	tar_file(&tar, "a", "x");
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	assert_exports(k->s, &l.diff_id, &tar);
	assert_done(import_image(k->s, "y", &empty, 1, &l));
	assert_sound(k->s);
}

/* ---- what became of it ---- */

static struct layer_index *merged(struct kit *k, const struct image_layer *l, size_t n,
				  struct stack *stack)
{
	struct digest ids[8];
	struct layer_index *x;

	for (size_t i = 0; i < n; i++)
		ids[i] = l[i].diff_id;
	assert_done(stack_open(k->s, ids, n, stack));
	assert_done(layer_index_open(stack->index_fd, &x));
	return x;
}

static int find(struct layer_index *x, const char *path, uint64_t *ret)
{
	uint64_t nid = LAYER_ROOT_NID;
	int r = 0;

	while (r == 0 && *path) {
		size_t len = strcspn(path, "/");

		r = layer_lookup(x, nid, path, len, &nid);
		path += len + (path[len] == '/');
	}
	*ret = nid;
	return r;
}

static struct layer_attr attr_of(struct layer_index *x, const char *path)
{
	struct layer_attr a;
	uint64_t nid;

	assert_ok(find(x, path, &nid));
	assert_ok(layer_stat(x, nid, &a));
	return a;
}

static void tree(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	struct layer_content c;
	struct layer_index *x;
	struct layer_attr a;
	struct stack stack;
	const void *value;
	uint64_t one, two;
	size_t len;

	make_tar(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	x = merged(k, &l, 1, &stack);
	assert_int_equal(stack.npacks, 1);
	a = attr_of(x, "etc/dated");
	assert_int_equal(a.mtime.tv_sec, 1700000000);
	assert_int_equal(a.mtime.tv_nsec, 123456789);
	assert_int_equal(a.uid, 1);
	assert_int_equal(a.gid, 2);
	assert_int_equal(attr_of(x, "etc/small").size, strlen("and once more: the last wins"));
	assert_int_equal(attr_of(x, "usr").mode, S_IFDIR | 0755);
	assert_int_equal(attr_of(x, "run/fifo").mode, S_IFIFO | 0644);
	assert_ok(find(x, "etc/hard", &one));
	assert_ok(find(x, "etc/packed", &two));
	assert_int_equal(one, two);
	assert_int_equal(attr_of(x, "etc/hard").nlink, 2);
	assert_ok(find(x, "etc/noted", &one));
	assert_ok(layer_getxattr(x, one, "user.note", &value, &len));
	assert_int_equal(len, 3);
	assert_memory_equal(value, "a\0b", 3);
	assert_ok(find(x, "usr/large", &one));
	assert_ok(layer_content(x, one, &c));
	assert_int_equal(c.kind, LAYER_OBJECT);
	fd_close(store_object_open(k->s, &c.digest));
	assert_ok(find(x, "etc/packed", &one));
	assert_ok(layer_content(x, one, &c));
	assert_int_equal(c.kind, LAYER_PACK);
	layer_index_close(x);
	stack_close(&stack);
}

static void whiteouts(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf lower = { 0 }, upper = { 0 };
	struct image_layer l[2];
	struct layer_index *x;
	struct stack stack;
	uint64_t nid;

	tar_file(&lower, "gone", "x");
	tar_file(&lower, "dir/gone", "x");
	tar_file(&lower, "opaque/gone", "x");
	tar_file(&lower, "again/gone", "x");
	tar_file(&lower, "later/gone", "x");
	tar_file(&lower, "stays/file", "x");
	tar_end(&lower);
	tar_file(&upper, ".wh.gone", "");
	tar_file(&upper, "dir/.wh.gone", "");
	tar_file(&upper, "opaque/.wh..wh..opq", "");
	tar_file(&upper, "opaque/new", "x");
	tar_file(&upper, ".wh.again", "");
	tar_file(&upper, "again/new", "x");
	tar_file(&upper, "later/new", "x");
	tar_file(&upper, ".wh.later", "");
	tar_file(&upper, "stays/.wh..wh.plnk", "aufs");
	tar_file(&upper, "stays/.wh.file", "");
	tar_file(&upper, "stays/file", "of the same layer");
	tar_end(&upper);
	assert_done(import_image(k->s, "x", (struct buf[]){ lower, upper }, 2, l));
	x = merged(k, l, 2, &stack);
	assert_int_equal(find(x, "gone", &nid), -ENOENT);
	assert_int_equal(find(x, "dir/gone", &nid), -ENOENT);
	assert_ok(find(x, "dir", &nid));
	assert_int_equal(find(x, "opaque/gone", &nid), -ENOENT);
	assert_ok(find(x, "opaque/new", &nid));
	assert_int_equal(find(x, "again/gone", &nid), -ENOENT);
	assert_ok(find(x, "again/new", &nid));
	assert_int_equal(find(x, "later/gone", &nid), -ENOENT);
	assert_ok(find(x, "later/new", &nid));
	assert_int_equal(find(x, "stays/.wh..wh.plnk", &nid), -ENOENT);
	assert_int_equal(attr_of(x, "stays/file").size, strlen("of the same layer"));
	layer_index_close(x);
	stack_close(&stack);
}

static void links_across_layers(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf lower = { 0 }, upper = { 0 }, bad = { 0 };
	struct image_layer l[2];
	struct layer_index *x;
	struct stack stack;
	uint64_t one, two;

	tar_big(&lower, "usr/bin/perl", 100000, 7);
	tar_end(&lower);
	tar_add(&upper, '1', "usr/bin/perl5", "/usr/bin/./perl", "", 0);
	tar_end(&upper);
	assert_done(import_image(k->s, "x", (struct buf[]){ lower, upper }, 2, l));
	x = merged(k, l, 2, &stack);
	assert_ok(find(x, "usr/bin/perl", &one));
	assert_ok(find(x, "usr/bin/perl5", &two));
	assert_int_equal(one, two);
	layer_index_close(x);
	stack_close(&stack);
	tar_add(&bad, '1', "usr/bin/perl5", "usr/bin/python", "", 0);
	tar_end(&bad);
	assert_int_equal(import_image(k->s, "y", (struct buf[]){ lower, bad }, 2, l), -EBADMSG);
	err_clear();
	assert_int_equal(count_images(k->s), 1);
	assert_sound(k->s);
}

/* /bin -> usr/bin and so on: names and hard links below are what the links lead to. */
static void below_symlinks(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	struct layer_index *x;
	struct stack stack;
	uint64_t one, two;

	tar_add(&tar, '2', "bin", "usr/bin", "", 0);
	tar_file(&tar, "bin/implied", "x");
	tar_dir(&tar, "usr/lib");
	tar_add(&tar, '2', "usr/lib64", "../usr/lib/", "", 0);
	tar_add(&tar, '2', "lib", "/usr/lib64", "", 0);
	tar_dir(&tar, "lib/systemd/");
	tar_file(&tar, "lib/systemd/unit", "y");
	tar_add(&tar, '1', "bin/hard", "lib/systemd/unit", "", 0);
	tar_add(&tar, '2', "up", "../../..", "", 0);
	tar_file(&tar, "up/root", "z");
	tar_file(&tar, "lib/.wh.gone", "");
	tar_end(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	x = merged(k, &l, 1, &stack);
	assert_int_equal(attr_of(x, "bin").mode, S_IFLNK | 0777);
	assert_int_equal(attr_of(x, "usr/bin/implied").size, 1);
	assert_int_equal(attr_of(x, "root").size, 1);
	assert_ok(find(x, "usr/lib/systemd/unit", &one));
	assert_ok(find(x, "usr/bin/hard", &two));
	assert_int_equal(one, two);
	layer_index_close(x);
	stack_close(&stack);
	assert_exports(k->s, &l.diff_id, &tar);
	assert_sound(k->s);
}

static void dropped_xattrs(void **state)
{
	static const char *const names[] = { "trusted.overlay.redirect", "trusted.x",
					     "user.overlay.opaque", "user.containers.override_stat",
					     "security.capability" };
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	struct layer_index *x;
	struct stack stack;
	const void *value;
	uint64_t nid;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char key[80], file[8];

		snprintf(key, sizeof(key), "SCHILY.xattr.%s", names[i]);
		snprintf(file, sizeof(file), "f%zu", i);
		tar_pax_text(&tar, key, "/etc");
		tar_file(&tar, file, "x");
	}
	tar_end(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	x = merged(k, &l, 1, &stack);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char file[8];

		snprintf(file, sizeof(file), "f%zu", i);
		assert_ok(find(x, file, &nid));
		assert_int_equal(layer_getxattr(x, nid, names[i], &value, &len),
				 streq(names[i], "security.capability") ? 0 : -ENODATA);
	}
	layer_index_close(x);
	stack_close(&stack);
}

static void shared_objects(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf one = { 0 }, two = { 0 };
	struct image_layer l[2];
	unsigned before;

	tar_big(&one, "a", 200000, 9);
	tar_big(&one, "copy", 200000, 9);
	tar_end(&one);
	tar_big(&two, "elsewhere/b", 200000, 9);
	tar_end(&two);
	assert_done(import_image(k->s, "x", &one, 1, l));
	before = count_files(k);
	assert_done(import_image(k->s, "y", &two, 1, l + 1));
	/*
	 * index, objects, frame, record, blob, config, manifest, merged with list and sums; but no
	 * object
	 */
	assert_int_equal(count_files(k) - before, 10);
	assert_done(image_remove(k->s, "x"));
	assert_sound(k->s);
	assert_exports(k->s, &l[1].diff_id, &two);
	assert_done(image_remove(k->s, "y"));
	assert_int_equal(count_files(k), 0);
}

static void gone_blob(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 }, blob = { 0 };
	_json_ json_t *config = json_pack("{s:s}", "os", "linux");
	_free_ char *path = NULL;
	struct image_layer l, found;
	struct digest manifest;
	struct txn *t;

	make_tar(&tar);
	pack_zstd(&blob, tar.data, tar.len);
	assert_done(import_image(k->s, "x", &blob, 1, &l));
	path = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	assert_ok(unlinkat(store_dirfd(k->s), path, 0));
	assert_done(layer_find(k->s, &l.diff_id, &found));
	assert_done(txn_begin(k->s, &t));
	assert_done(txn_image(t, "x", config, &found, 1,
			      &manifest)); /* a blob again, if not the same */
	assert_done(txn_commit(t));
	txn_abort(t);
	assert_sound(k->s);
	assert_exports(k->s, &l.diff_id, &tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(plain),
		kit_test(gzip),
		kit_test(gzip_members),
		kit_test(zstd),
		kit_test(full_buffer),
		kit_test(sizes),
		kit_test(a_sink),
		kit_test(without_end),
		kit_test(tree),
		kit_test(whiteouts),
		kit_test(links_across_layers),
		kit_test(below_symlinks),
		kit_test(dropped_xattrs),
		kit_test(shared_objects),
		kit_test(gone_blob),
	};

	return run_units(tests);
}
