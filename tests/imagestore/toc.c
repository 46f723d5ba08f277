/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of contents: what is taken, what is refused and by which words, and the index out of one.
 */
#include "imagestore/arrival/outline.h"
#include "imagestore/arrival/table.h"
#include "tests/imagestore/kit.h"

#include <sys/stat.h>

#define SUM  "\"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""
#define HEAD "{\"version\":1,\"entries\":["
#define END  "]}"

static int parse(const char *text, struct toc *ret)
{
	return toc_parse(text, strlen(text), 1000, ret);
}

static void refused(const char *entries, const char *why)
{
	_free_ char *text = str_fmt(HEAD "%s" END, entries);
	struct toc t;

	assert_err(parse(text, &t), -EBADMSG, why);
}

static void what_it_says(void **state)
{
	static const char text[] = HEAD
		"{\"type\":\"dir\",\"name\":\"./d/\",\"mode\":16877,\"uid\":1,\"gid\":2,"
		"\"modtime\":\"2026-11-29T21:52:12.5Z\",\"xattrs\":{\"user.x\":\"aGVsbG8=\"}},"
		"{\"type\":\"reg\",\"name\":\"d/f\",\"mode\":420,\"size\":10,\"digest\":" SUM
		",\"offset\":100,\"endOffset\":160,\"chunkSize\":4,\"chunkDigest\":" SUM "},"
		"{\"type\":\"chunk\",\"name\":\"d/f\",\"offset\":130,\"chunkOffset\":4,"
		"\"chunkDigest\":" SUM ",\"chunkType\":\"zeros\"},"
		"{\"type\":\"symlink\",\"name\":\"l\",\"linkName\":\"d/f\",\"mode\":511}" END;
	const struct tar_entry *e;
	struct toc t;

	(void)state;
	assert_done(parse(text, &t));
	assert_int_equal(t.n, 3);
	e = &t.entries[0].e;
	assert_true(e->type == '5' && e->mode == 0755 && e->uid == 1 && e->gid == 2);
	assert_true(e->mtime.tv_nsec == 500000000 && e->nxattrs == 1);
	assert_string_equal(e->xattrs[0].name, "user.x");
	assert_true(e->xattrs[0].len == 5 && memcmp(e->xattrs[0].value, "hello", 5) == 0);
	assert_int_equal(t.entries[1].nchunks, 2);
	assert_true(t.chunks[0].offset == 100 && t.chunks[0].packed == 30 && t.chunks[0].len == 4);
	assert_true(t.chunks[1].offset == 130 && t.chunks[1].packed == 30 && t.chunks[1].len == 6);
	assert_true(t.chunks[1].zeros && !t.chunks[0].zeros);
	assert_string_equal(t.entries[2].e.link, "d/f");
	toc_done(&t);
}

/* They are a hole, and nobody's memory. */
static void zeros_of_any_length(void **state)
{
	static const char text[] = HEAD
		"{\"type\":\"reg\",\"name\":\"f\",\"size\":99999999,\"digest\":" SUM
		",\"offset\":1,\"endOffset\":9,\"chunkType\":\"zeros\"}" END;
	struct toc t;

	(void)state;
	assert_done(parse(text, &t));
	assert_true(t.nchunks == 1 && t.chunks[0].zeros && t.chunks[0].len == 99999999);
	toc_done(&t);
}

#define FILE_(MORE) "{\"type\":\"reg\",\"name\":\"f\",\"size\":10,\"digest\":" SUM "," MORE "}"

static void what_is_refused(void **state)
{
	struct toc t;

	(void)state;
	assert_err(parse("[]", &t), -EBADMSG, "not the JSON");
	assert_err(parse("{\"version\":1}", &t), -EBADMSG, "not of version 1");
	assert_err(parse(HEAD END "x", &t), -EBADMSG, "not the JSON");
	assert_err(parse(HEAD "],\"entries\":[]}", &t), -EBADMSG, "not the JSON");
	assert_err(parse(HEAD "{}", &t), -EBADMSG, "entry 0");
	assert_err(parse(HEAD "[]" END, &t), -EBADMSG, "entry 0");
	assert_err(parse("{\"x\":[{\"a\":1,\"a\":2}]}", &t), -EBADMSG, "not the JSON");
	assert_err(parse("{\"version\":2,\"entries\":[]}", &t), -EBADMSG, "not of version 1");
	assert_err(parse("{", &t), -EBADMSG, "not the JSON");
	refused("{\"type\":\"socket\",\"name\":\"x\"}", "entry 0: its type");
	refused("{\"type\":\"dir\"}", "no \"name\"");
	refused("{\"type\":\"dir\",\"name\":\"\xef\xbf\xbd\"}", "no UTF-8");
	refused("{\"type\":\"symlink\",\"name\":\"x\"}", "no \"linkName\"");
	refused("{\"type\":\"dir\",\"name\":\"x\",\"uid\":-1}", "\"uid\" is no number");
	refused("{\"type\":\"dir\",\"name\":\"x\",\"uid\":4294967295}", "\"uid\" is no number");
	refused("{\"type\":\"dir\",\"name\":\"x\",\"modtime\":\"soon\"}", "no time");
	refused("{\"type\":\"dir\",\"name\":\"x\",\"xattrs\":{\"user.x\":\"?\"}}", "no base64");
	refused("{\"type\":\"char\",\"name\":\"x\"}", "the device 0/0");
	refused("{\"type\":\"chunk\",\"name\":\"x\"}", "a chunk of no file");
	refused("{\"type\":\"reg\",\"name\":\"f\",\"size\":1}", "no \"digest\"");
	refused(FILE_("\"offset\":1,\"endOffset\":2000"), "not in the blob");
	refused(FILE_("\"offset\":9,\"endOffset\":9"), "do not follow");
	refused(FILE_("\"offset\":1,\"endOffset\":9,\"chunkSize\":11"), "do not follow");
	refused(FILE_("\"offset\":1,\"endOffset\":9,\"chunkSize\":4"), "no \"chunkDigest\"");
	refused(FILE_("\"offset\":1,\"endOffset\":9,\"chunkSize\":4,\"chunkDigest\":" SUM),
		"not all of their file");
	refused(FILE_("\"offset\":1,\"endOffset\":9") "," FILE_("\"offset\":5,\"endOffset\":19"),
		"entry 1: its chunks do not follow");
	refused(FILE_("\"offset\":1,\"endOffset\":9,\"chunkSize\":4,\"chunkDigest\":" SUM) ","
		"{\"type\":\"chunk\",\"name\":\"f\",\"offset\":5,\"chunkOffset\":5,"
		"\"chunkDigest\":" SUM "}",
		"entry 1: its chunks do not follow");
	refused("{\"type\":\"reg\",\"name\":\"f\",\"size\":99999999,\"digest\":" SUM
		",\"offset\":1,\"endOffset\":9}",
		"a chunk of over");
}

static void where_it_is(void **state)
{
	static const char note[] =
		"{\"annotations\":{\"io.github.containers.zstd-chunked.manifest-position\":\"%s\","
		"\"io.github.containers.zstd-chunked.manifest-checksum\":" SUM "}}";
	static const struct {
		const char *position;
		bool good;
	} cases[] = { { "100:20:300:1", true },
		      { "100:20:300:2", false },
		      { "100:20:300", false },
		      { "100:20:0:1", false },
		      { "990:20:300:1", false },
		      { "2000:20:300:1", false },
		      { "100:20:99999999:1", false },
		      { "-1:20:300:1", false },
		      { "", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_free_ char *text = str_fmt(note, cases[i].position);
		_json_ json_t *d = NULL;
		struct toc_place p;

		assert_done(json_parse(text, strlen(text), "descriptor", &d));
		assert_int_equal(toc_place_of(d, 1000, &p), cases[i].good);
	}
}

/* Names and places of an index, and the content of it that arrives. */
static void the_index(void **state)
{
	static const char text[] = HEAD
		"{\"type\":\"dir\",\"name\":\"d\",\"mode\":493},"
		"{\"type\":\"reg\",\"name\":\"d/small\",\"mode\":420,\"size\":10,\"digest\":" SUM
		",\"offset\":10,\"endOffset\":20},"
		"{\"type\":\"reg\",\"name\":\"d/pack\",\"mode\":420,\"size\":5000,\"digest\":" SUM
		",\"offset\":20,\"endOffset\":30},"
		"{\"type\":\"reg\",\"name\":\"d/object\",\"mode\":420,\"size\":100000,"
		"\"digest\":" SUM
		",\"offset\":30,\"endOffset\":40},"
		"{\"type\":\"hardlink\",\"name\":\"link\",\"linkName\":\"d/pack\"},"
		"{\"type\":\"reg\",\"name\":\".wh.gone\",\"mode\":0}" END;
	static const struct store_bounds bounds = { 1 << 20, 100, 20, 1000 };
	struct digest id = sha256_of("layer", 5);
	struct layer_content c;
	struct outline o;
	struct toc t;
	uint64_t at = 0, dir, nid;

	(void)state;
	assert_done(parse(text, &t));
	assert_done(outline_make(&t, &id, &bounds, &at, &o));
	assert_done(layer_index_check(o.index));
	assert_int_equal(at, 4096 + 8192 + ROUND_UP(100000, 4096));
	assert_done(layer_lookup(o.index, LAYER_ROOT_NID, "d", 1, &dir));
	assert_done(layer_lookup(o.index, dir, "small", 5, &nid));
	assert_done(layer_content(o.index, nid, &c));
	assert_int_equal(c.kind, LAYER_INLINE);
	assert_done(layer_lookup(o.index, LAYER_ROOT_NID, "link", 4, &nid));
	assert_done(layer_content(o.index, nid, &c));
	assert_true(c.kind == LAYER_PACK && c.block == 0);
	assert_done(layer_lookup(o.index, dir, "object", 6, &nid));
	assert_done(layer_content(o.index, nid, &c));
	assert_int_equal(c.kind, LAYER_OBJECT);
	assert_done(layer_lookup(o.index, LAYER_ROOT_NID, "gone", 4, &nid));
	assert_done(layer_lookup(o.places, LAYER_ROOT_NID, "link", 4, &nid));
	assert_done(layer_content(o.places, nid, &c));
	assert_true(c.kind == LAYER_PACK && c.block == 1);
	assert_int_equal(outline_find(&o, 4096)->entry, 2);
	assert_null(outline_find(&o, 8192));
	outline_done(&o);
}

/* A table on a disk that lies. */
static void a_damaged_table(void **state)
{
	struct {
		struct table_head head;
		struct table_content content;
		struct table_chunk chunks[2];
		struct table_blob blob;
	} good = { .head = { TABLE_MAGIC, 1, 2, 1, 0 },
		   .content = { 7, 4096, 10, 0, 2 },
		   .chunks = { { .at = 4096, .len = 4, .offset = 1, .packed = 2 },
			       { .at = 4100, .len = 6, .offset = 3, .packed = 2 } },
		   .blob = { .size = 5 } },
	  bad;
	uint32_t first, end;
	struct table t;
	int fd = fd_memfd("table", &good, sizeof(good));

	(void)state;
	assert_done(table_read(fd, &t));
	assert_null(table_find(&t, 6));
	table_chunks(&t, table_find(&t, 7), 3, 2, &first, &end);
	assert_true(first == 0 && end == 2);
	table_chunks(&t, table_find(&t, 7), 4, 100, &first, &end);
	assert_true(first == 1 && end == 2);
	table_chunks(&t, table_find(&t, 7), 10, 1, &first, &end);
	assert_true(first == end);
	table_done(&t);
	fd_close(fd);
	/* Each byte of it wrong is refused, or harmless. */
	for (size_t i = 0; i < sizeof(good); i++) {
		bad = good;
		((uint8_t *)&bad)[i] ^= 0x81;
		fd = fd_memfd("table", &bad, sizeof(bad));
		if (table_read(fd, &t) == 0) {
			const struct table_content *k = &t.contents[0];

			assert_true(k->first + k->n <= 2 && t.chunks[1].blob == 0);
			table_done(&t);
		}
		err_clear();
		fd_close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says),	   cmocka_unit_test(zeros_of_any_length),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(where_it_is),	   cmocka_unit_test(the_index),
		cmocka_unit_test(a_damaged_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
