/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that mean harm: each is refused whole, with one line that names entry and reason, and
 * leaves nothing.
 */
#include "tests/imagestore/kit.h"

static void refused_with(struct kit *k, const struct buf *tar, const struct store_bounds *bounds,
			 const char *entry, const char *why)
{
	struct image_layer l;
	struct txn *t;
	const char *text;
	int r;

	assert_done(txn_begin(k->s, &t));
	r = import_only(t, tar, bounds, &l);
	text = err_take(r);
	if (r >= 0 || !strstr(text, why) || !strstr(text, entry) || strchr(text, '\n')) {
		print_error("%d \"%s\", wanted \"%s ... %s\"\n", r, text, entry, why);
		fail();
	}
	txn_abort(t);
	assert_int_equal(count_files(k), 0);
}

static void refused(void **state, struct buf *tar, const char *entry, const char *why)
{
	refused_with(*state, tar, NULL, entry, why);
	buf_done(tar);
}

static void one(void **state, char type, const char *name, const char *link, const char *why)
{
	struct buf tar = { 0 };

	tar_file(&tar, "before", "x");
	tar_add(&tar, type, name, link, "", 0);
	tar_end(&tar);
	refused(state, &tar, "tar entry \"", why);
}

static void names(void **state)
{
	one(state, '0', "../escaped", "", "\"..\"");
	one(state, '0', "a/../../b", "", "\"..\"");
	one(state, '5', "a/..", "", "\"..\"");
	one(state, '0', "before/below", "", "no directory");
	one(state, '0', "", "", "no name");
	one(state, '0', "dir/", "", "ends with '/'");
	one(state, '0', "/", "", "");
	one(state, '2', "./", "x", "the root is a directory");
}

static void whiteouts(void **state)
{
	one(state, '0', ".wh.", "", "whiteout of the directory");
	one(state, '0', "a/.wh..", "", "whiteout of the directory");
	one(state, '0', "a/.wh...", "", "whiteout of the directory");
	one(state, '0', ".wh.a/b", "", "below a whiteout");
}

static void links(void **state)
{
	struct buf tar = { 0 };

	one(state, '1', "x", "../../etc/passwd", "\"..\"");
	one(state, '1', "x", "before/y", "no file");
	one(state, '1', "x", "", "link to nothing");
	one(state, '1', "x", "/", "hard link to a directory");
	one(state, '2', "x", "", "link to nothing");
	tar_dir(&tar, "dir");
	tar_add(&tar, '1', "x", "dir", "", 0);
	refused(state, &tar, "\"x\"", "hard link to a directory");
	tar = (struct buf){ 0 };
	tar_file(&tar, ".wh.gone", "");
	tar_add(&tar, '1', "x", "gone", "", 0);
	refused(state, &tar, "\"x\"", "no file");
	tar = (struct buf){ 0 };
	tar_file(&tar, "dir/file", "x");
	tar_add(&tar, '1', "dir", "dir/file", "", 0); /* replaces what it leads into */
	tar_add(&tar, '3', "later", "", "", 0);
	refused(state, &tar, "\"later\"", "0/0");
}

/* Below symbolic links of the layer: what they lead to, and never out of it. */
static void below_links(void **state)
{
	struct buf tar = { 0 };
	char deep[100 + 1];

	tar_add(&tar, '2', "loop", "loop", "", 0);
	tar_file(&tar, "loop/x", "x");
	refused(state, &tar, "\"loop/x\"", "over 40 symbolic links");
	tar = (struct buf){ 0 };
	tar_add(&tar, '2', "a", "b", "", 0);
	tar_add(&tar, '2', "b", "a", "", 0);
	tar_add(&tar, '1', "x", "a/y", "", 0);
	refused(state, &tar, "\"x\"", "over 40 symbolic links");
	tar = (struct buf){ 0 };
	tar_file(&tar, "file", "x");
	tar_add(&tar, '2', "link", "file", "", 0);
	tar_file(&tar, "link/x", "x");
	refused(state, &tar, "\"link/x\"", "no directory");
	tar = (struct buf){ 0 };
	tar_add(&tar, '2', "odd", "a/../b", "", 0);
	tar_file(&tar, "odd/x", "x");
	refused(state, &tar, "\"odd/x\"", "behind a name");
	/* Each link doubles what is to come. */
	tar = (struct buf){ 0 };
	memset(deep, 'd', 100);
	deep[100] = '\0';
	for (int i = 50; i < 100; i++)
		deep[i] = i % 2 ? '/' : 'd';
	deep[99] = '\0';
	tar_add(&tar, '2', "grow", deep, "", 0);
	tar_add(&tar, '2', deep, "/grow/grow", "", 0);
	tar_file(&tar, "grow/x/y", "x");
	refused(state, &tar, "\"grow/x/y\"", "symbolic links");
}

static void types(void **state)
{
	one(state, '3', "null", "", "0/0");
	one(state, '4', "null", "", "0/0");
	one(state, 'V', "volume", "", "type 0x56");
	one(state, '\x7f', "odd", "", "type 0x7f");
}

static void sizes(void **state)
{
	struct tar_header h = tar_header('0', "claim", "", 10);
	struct buf tar = { 0 };

	tar_add(&tar, '5', "dir", "", "hidden", 6);
	refused(state, &tar, "\"dir\"", "content for what has none");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "size", "1024");
	tar_file(&tar, "two", "x");
	refused(state, &tar, "\"two\"", "its size is 1 in the header and 1024");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "size", "10995116277760"); /* 10 TiB of nothing */
	tar_file(&tar, "cut", "x");
	refused(state, &tar, "\"cut\"", "at most 8 TiB");
	tar = (struct buf){ 0 };
	memcpy(h.size, "\x80\0\0\0\0\0\0\x02\x80\0\0\0", 12); /* 10 GiB in base-256 */
	tar_put(&tar, h);
	tar_data(&tar, "x", 1);
	refused(state, &tar, "", "cut off");
	tar = (struct buf){ 0 };
	memset(h.size, 0xff, 12); /* -1 */
	tar_put(&tar, h);
	refused(state, &tar, "\"claim\"", "its size is no number");
	tar = (struct buf){ 0 };
	memcpy(h.size, "12345x", 7);
	tar_put(&tar, h);
	refused(state, &tar, "\"claim\"", "its size is no number");
}

/* ---- sparse files ---- */

/* A file of @size bytes whose map is @map ("offset,length,..."), with @len bytes of data. */
static void sparse_one(void **state, const char *size, const char *map, size_t len, const char *why)
{
	_buf_done_ struct buf records = { 0 };
	struct buf tar = { 0 };
	char data[1024] = "x";

	/* With leading zeros each length has four digits. */
	assert_ok(buf_addf(&records, "%04zu GNU.sparse.size=%s\n", strlen(size) + 22, size));
	assert_ok(buf_addf(&records, "%04zu GNU.sparse.map=%s\n", strlen(map) + 21, map));
	tar_add(&tar, 'x', "p", "", records.data, records.len);
	tar_add(&tar, '0', "file", "", data, len);
	tar_end(&tar);
	refused(state, &tar, "", why);
}

static void sparse(void **state)
{
	struct tar_header h = tar_header('S', "file", "", 1);
	char *raw = (char *)&h;
	struct buf tar = { 0 };

	sparse_one(state, "10000000000000", "0,1", 1, "at most 8 TiB");
	sparse_one(state, "8000000000000", "0,1", 1, "claim"); /* 8 TB of zeros in 1.5 KB */
	sparse_one(state, "90000000000", "0,1", 1, "claim");
	sparse_one(state, "1000", "0,10,5,10", 20, "overlap");
	sparse_one(state, "1000", "500,10,0,10", 20, "overlap");
	sparse_one(state, "1000", "990,20", 20, "past its size");
	sparse_one(state, "1000", "0,9223372036854775807", 20, "past its size");
	sparse_one(state, "1000", "0,10", 20, "not as much");
	sparse_one(state, "1000", "0,30", 20, "not as much");
	sparse_one(state, "1000", "0,20,7", 20, "cut off");
	sparse_one(state, "1000", "0,-20", 20, "cannot be");
	sparse_one(state, "1000", "x", 20, "cannot be");
	/* Old GNU, whose further blocks do not come, or say nonsense. */
	memcpy(raw + 386, "00000000000\00000000000777", 24);
	memcpy(raw + 483, "00000001000", 12);
	tar_put(&tar, h);
	tar_end(&tar);
	refused(state, &tar, "", "not as much");
	tar = (struct buf){ 0 };
	raw[482] = 1;
	tar_put(&tar, h);
	refused(state, &tar, "", "cut off");
	tar = (struct buf){ 0 };
	tar_put(&tar, h);
	tar_file(&tar, "zzz", "");
	refused(state, &tar, "", "number that cannot be");
	/* pax 1.0: the map stands in the data. */
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "GNU.sparse.major", "1");
	tar_file(&tar, "file", "1\n0\nx\n");
	refused(state, &tar, "", "no list of numbers");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "GNU.sparse.major", "1");
	tar_file(&tar, "file", "99999999\n");
	refused(state, &tar, "", "more pieces");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "GNU.sparse.major", "1");
	tar_file(&tar, "file", "1\n0\n7\n");
	tar_end(&tar);
	refused(state, &tar, "", "without its real size");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "GNU.sparse.major", "2");
	refused(state, &tar, "", "version");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "GNU.sparse.size", "10");
	tar_dir(&tar, "dir");
	refused(state, &tar, "\"dir\"", "no file");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "GNU.sparse.name", "../out");
	tar_file(&tar, "file", "x");
	refused(state, &tar, "", "");
}

/* ---- what costs more than it is ---- */

/* Whiteouts of one directory against its entries, directories replaced again and again: each costs
 * what it is, not what is there. Quadratic, this would take many minutes; the alarm ends it. */
static void many(void **state)
{
	struct kit *k = *state;
	struct buf tar = { 0 };
	struct image_layer l;
	struct txn *t;
	char name[64];

	for (int i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "dir/.wh.%06d", i);
		tar_file(&tar, name, "");
		snprintf(name, sizeof(name), "dir/%06d", i);
		tar_file(&tar, name, "");
	}
	for (int i = 0; i < 20000; i++) {
		tar_dir(&tar, "again/and");
		tar_file(&tar, "again/and/file", "");
		tar_file(&tar, "again/and", "");
	}
	tar_end(&tar);
	alarm(100);
	assert_done(txn_begin(k->s, &t));
	assert_done(import_only(t, &tar, NULL, &l));
	txn_abort(t);
	alarm(0);
	buf_done(&tar);
	assert_int_equal(count_files(k), 0);
}

/* Of two entries of one name the last wins, as everywhere in the field. */
static void twice(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	struct image_layer l;
	struct layer_content c;
	struct layer_index *x;
	struct stack stack;
	uint64_t nid;

	tar_file(&tar, "file", "first");
	tar_file(&tar, "./file", "second");
	tar_end(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	assert_done(stack_open(k->s, &l.diff_id, 1, &stack));
	assert_done(layer_index_open(stack.index_fd, &x));
	assert_done(layer_lookup(x, LAYER_ROOT_NID, "file", 4, &nid));
	assert_done(layer_content(x, nid, &c));
	assert_memory_equal(c.data, "second", 6);
	layer_index_close(x);
	stack_close(&stack);
	assert_exports(k->s, &l.diff_id, &tar);
}

static void owners(void **state)
{
	struct tar_header h = tar_header('0', "file", "", 0);
	struct buf tar = { 0 };

	memcpy(h.uid, "\x80\0\0\x01\0\0\0\0", 8); /* 2^32 in base-256: uid 0 when cut off */
	tar_put(&tar, h);
	refused(state, &tar, "\"file\"", "its uid");
	tar = (struct buf){ 0 };
	memcpy(h.uid, "\x80\0\0\0\xff\xff\xff\xff", 8); /* -1 means "leave" to chown(2) */
	tar_put(&tar, h);
	refused(state, &tar, "\"file\"", "its uid");
	tar = (struct buf){ 0 };
	memset(h.uid, 0xff, 8);
	tar_put(&tar, h);
	refused(state, &tar, "\"file\"", "its uid");
}

/* The bounds of a whole store, as STRATA_BOUNDS sets them. */
static void set_bounds(void **state)
{
	static const char *const bad[] = { "bytes",	 "bytes=0",  "entries=x",
					   "depth=9999", "ratio=-1", "a=1" };
	struct kit *k = *state;
	struct buf tar = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(store_set_bounds(k->s, bad[i]), -EINVAL, "must be bytes=SIZE");
	assert_done(store_set_bounds(k->s, "entries=1,bytes=1g,depth=3,ratio=9"));
	tar_file(&tar, "one", "");
	tar_file(&tar, "two", "");
	refused(state, &tar, "\"two\"", "over 1 entries");
}

static void pax(void **state)
{
	static const struct {
		const char *key, *value;
		size_t len;
		const char *why;
	} bad[] = {
		{ "path", "a\0b", 3, "NUL" },
		{ "path", "", 0, "cannot be" },
		{ "linkpath", "\0", 1, "NUL" },
		{ "size", "-1", 2, "cannot be" },
		{ "size", "99999999999999999999", 20, "cannot be" },
		{ "uid", "4294967295", 10, "cannot be" },
		{ "gid", "x", 1, "cannot be" },
		{ "mtime", "1.2.3", 5, "cannot be" },
		{ "mtime", "", 0, "cannot be" },
		{ "SCHILY.xattr.", "x", 1, "cannot be" },
	};
	struct buf tar = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tar_pax(&tar, bad[i].key, bad[i].value, bad[i].len);
		tar_file(&tar, "file", "x");
		refused(state, &tar, "at byte", bad[i].why);
		tar = (struct buf){ 0 };
	}
	tar_add(&tar, 'x', "p", "", "99 path=x\n", 10);
	refused(state, &tar, "", "malformed");
	tar = (struct buf){ 0 };
	tar_add(&tar, 'x', "p", "", "12 path=abc\n12 path=def\n", 24);
	refused(state, &tar, "", "twice");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "path", "a");
	tar_pax_text(&tar, "path", "b");
	refused(state, &tar, "", "two pax headers");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "path", "a");
	tar_add(&tar, 'L', "l", "", "b", 2);
	tar_file(&tar, "file", "x");
	refused(state, &tar, "", "pax and in a GNU header");
	tar = (struct buf){ 0 };
	tar_add(&tar, 'g', "g", "", "12 path=abc\n", 12);
	refused(state, &tar, "", "global");
	tar = (struct buf){ 0 };
	tar_add(&tar, 'L', "l", "", "a\0b", 4);
	refused(state, &tar, "", "NUL");
	tar = (struct buf){ 0 };
	tar_put(&tar, tar_header('x', "p", "", 077777777));
	refused(state, &tar, "", "size that cannot be");
	tar = (struct buf){ 0 };
	tar_pax_text(&tar, "path", "a");
	tar_end(&tar);
	refused(state, &tar, "", "between a header and its file");
}

static void ends(void **state)
{
	struct buf tar = { 0 };

	tar_file(&tar, "a", "x");
	tar_end(&tar);
	tar_file(&tar, "behind", "x");
	refused(state, &tar, "", "behind the end");
	tar = (struct buf){ 0 };
	assert_ok(buf_zero(&tar, TAR_BLOCK));
	tar_file(&tar, "behind", "x");
	refused(state, &tar, "", "behind the end");
	tar = (struct buf){ 0 };
	tar_file(&tar, "a", "x");
	tar.len -= 1;
	refused(state, &tar, "", "cut off");
	tar = (struct buf){ 0 };
	tar_file(&tar, "a", "x");
	tar.data[0] ^= 1;
	refused(state, &tar, "", "checksum");
	tar = (struct buf){ 0 };
	assert_ok(buf_adds(&tar, "this is text, and not at all a tar"));
	refused(state, &tar, "", "cut off");
	tar = (struct buf){ 0 };
	assert_ok(buf_add(&tar,
			  "\xfd"
			  "7zXZ\0and so on",
			  16));
	refused(state, &tar, "", "xz");
}

static void compressed(void **state)
{
	struct buf tar = { 0 }, gz = { 0 };

	tar_file(&tar, "a", "some text");
	tar_end(&tar);
	pack_gzip(&gz, tar.data, tar.len);
	gz.len -= 4;
	refused(state, &gz, "", "cut off");
	gz = (struct buf){ 0 };
	pack_gzip(&gz, tar.data, tar.len);
	gz.data[gz.len - 6] ^= 1; /* its checksum */
	refused(state, &gz, "", "gzip: damaged");
	gz = (struct buf){ 0 };
	pack_gzip(&gz, tar.data, tar.len);
	assert_ok(buf_adds(&gz, "trailer"));
	refused(state, &gz, "", "behind its end");
	gz = (struct buf){ 0 };
	pack_zstd(&gz, tar.data, tar.len);
	gz.len -= 3;
	refused(state, &gz, "", "cut off");
	gz = (struct buf){ 0 };
	pack_zstd(&gz, tar.data, tar.len);
	gz.data[gz.len / 2] ^= 0x55;
	refused(state, &gz, "", "");
	buf_done(&tar);
}

static void bounds(void **state)
{
	const struct store_bounds few = { .max_entries = 10 }, small = { .max_layer_bytes = 10000 },
				  flat = { .max_depth = 5 };
	struct buf tar = { 0 };

	for (int i = 0; i < 11; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		tar_file(&tar, name, "x");
	}
	tar_end(&tar);
	refused_with(*state, &tar, &few, "\"f10\"", "over 10 entries");
	refused_with(*state, &tar, &small, "", "10000");
	buf_done(&tar);
	tar_dir(&tar, "1/2/3/4/5");
	tar_dir(&tar, "1/2/3/4/5/6");
	refused_with(*state, &tar, &flat, "1/2/3/4/5/6", "over 5 directories");
	buf_done(&tar);
}

static void deep(void **state)
{
	struct buf tar = { 0 }, path = { 0 };

	for (int i = 0; i < 1500; i++)
		assert_ok(buf_adds(&path, "d/"));
	tar_pax_text(&tar, "path", path.data);
	tar_dir(&tar, "x");
	refused(state, &tar, "d/d/d", "over 256 directories");
	tar = (struct buf){ 0 };
	while (path.len < 5000)
		assert_ok(buf_adds(&path, "abcdefgh/"));
	tar_pax_text(&tar, "path", path.data);
	tar_dir(&tar, "x");
	refused(state, &tar, "", "over 4095 bytes");
	tar = (struct buf){ 0 };
	buf_reset(&path);
	for (int i = 0; i < 256; i++)
		assert_ok(buf_addc(&path, 'n'));
	tar_pax_text(&tar, "path", path.data);
	tar_file(&tar, "x", "x");
	refused(state, &tar, "nnn", "256 bytes");
	buf_done(&path);
}

/*
 * 100 MiB of zeros are no harm, and their gzip is 1/1000 of them: not refused below the ratio,
 * refused above.
 */
static void bomb(void **state)
{
	const struct store_bounds strict = { .max_ratio = 100 };
	struct buf tar = { 0 }, gz = { 0 };
	size_t len = 100u << 20;

	tar_put(&tar, tar_header('0', "zeros", "", len));
	assert_ok(buf_zero(&tar, len));
	tar_end(&tar);
	pack_gzip(&gz, tar.data, tar.len);
	refused_with(*state, &gz, &strict, "", "bomb");
	buf_done(&tar);
	buf_done(&gz);
}

static void digests(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 }, gz = { 0 };
	struct digest wrong = sha256_of("x", 1), right;
	struct image_layer l;
	struct txn *t;
	int fd;

	tar_file(&tar, "a", "x");
	tar_end(&tar);
	pack_gzip(&gz, tar.data, tar.len);
	right = sha256_of(gz.data, gz.len);
	assert_done(txn_begin(k->s, &t));
	fd = fd_memfd("layer", gz.data, gz.len);
	lseek(fd, 0, SEEK_SET);
	assert_err(layer_import(t, fd, NULL, &wrong, NULL, &l), -EBADMSG,
		   "digest mismatch: the blob");
	lseek(fd, 0, SEEK_SET);
	assert_err(layer_import(t, fd, NULL, &right, &wrong, &l), -EBADMSG,
		   "digest mismatch: the layer");
	lseek(fd, 0, SEEK_SET);
	assert_done(layer_import(t, fd, NULL, &right, NULL, &l));
	fd_close(fd);
	txn_abort(t);
	assert_int_equal(count_files(k), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(names),      kit_test(whiteouts),   kit_test(links), kit_test(types),
		kit_test(sizes),      kit_test(pax),	     kit_test(ends),  kit_test(compressed),
		kit_test(bounds),     kit_test(deep),	     kit_test(bomb),  kit_test(digests),
		kit_test(sparse),     kit_test(many),	     kit_test(twice), kit_test(owners),
		kit_test(set_bounds), kit_test(below_links),
	};

	return run_units(tests);
}
