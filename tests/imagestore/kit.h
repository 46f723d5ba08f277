/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the store: a store to play in, and tars made byte by byte. */
#ifndef TESTS_IMAGESTORE_KIT_H
#define TESTS_IMAGESTORE_KIT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "imagestore/imagestore.h"
#include "imagestore/tar_header.h"
#include "tests/base/unit.h"

#include <zlib.h>
#include <zstd.h>

struct kit {
	char root[64];
	int dirfd;
	struct store *s;
};

/* What fsck and repair say, line by line. */
struct said {
	char text[4096];
};

static inline void keep_line(void *ctx, const char *line)
{
	struct said *s = ctx;
	size_t len = strlen(s->text);

	snprintf(s->text + len, sizeof(s->text) - len, "%s\n", line);
}

static inline void kit_open(struct kit *k)
{
	k->dirfd = temp_open(k->root);
	assert_ok(store_open(k->root, STORE_CREATE, &k->s));
}

static inline void kit_close(struct kit *k)
{
	store_close(k->s);
	temp_close(k->root, k->dirfd);
}

static inline int kit_setup(void **state)
{
	struct kit *k = new0(struct kit);

	assert_non_null(k);
	kit_open(k);
	*state = k;
	return 0;
}

static inline int kit_teardown(void **state)
{
	kit_close(*state);
	free(*state);
	err_clear();
	return 0;
}

#define kit_test(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

/* The call fails with @e and a text that holds @word. */
#define assert_err(call, e, word) assert_err_((call), (e), (word), #call, __FILE__, __LINE__)
static inline void assert_err_(int r, int e, const char *word, const char *call, const char *file,
			       int line)
{
	const char *text = err_take(r);

	if (r == e && strstr(text, word) && !strchr(text, '\n'))
		return;
	print_error("%s: %d \"%s\", wanted %d \"...%s...\"\n", call, r, text, e, word);
	_fail(file, line);
}

/* Fails with the waiting text unless 0. */
#define assert_done(call) assert_done_((call), #call, __FILE__, __LINE__)
static inline void assert_done_(int r, const char *call, const char *file, int line)
{
	if (r == 0)
		return;
	print_error("%s: %d \"%s\"\n", call, r, err_take(r));
	_fail(file, line);
}

/* ---- tars ---- */

static inline void tar_sum(struct tar_header *h)
{
	unsigned sum = 0;

	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += ((uint8_t *)h)[i];
	snprintf(h->chksum, sizeof(h->chksum), "%06o", sum);
}

static inline struct tar_header tar_header(char type, const char *name, const char *link,
					   uint64_t size)
{
	struct tar_header h = { .typeflag = type, .magic = "ustar", .version = { '0', '0' } };

	memcpy(h.name, name, MIN(strlen(name), sizeof(h.name)));
	memcpy(h.linkname, link, MIN(strlen(link), sizeof(h.linkname)));
	memcpy(h.mode, "0000644", 8);
	memcpy(h.uid, "0000001", 8);
	memcpy(h.gid, "0000002", 8);
	memcpy(h.mtime, "14000000000", 12);
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)size & 077777777777ull);
	return h;
}

static inline void tar_put(struct buf *b, struct tar_header h)
{
	tar_sum(&h);
	assert_ok(buf_add(b, &h, sizeof(h)));
}

static inline void tar_data(struct buf *b, const void *data, size_t len)
{
	assert_ok(buf_add(b, data, len));
	assert_ok(buf_zero(b, ROUND_UP(len, TAR_BLOCK) - len));
}

static inline void tar_add(struct buf *b, char type, const char *name, const char *link,
			   const void *data, size_t len)
{
	tar_put(b, tar_header(type, name, link, len));
	tar_data(b, data, len);
}

static inline void tar_file(struct buf *b, const char *name, const char *text)
{
	tar_add(b, '0', name, "", text, strlen(text));
}

static inline void tar_dir(struct buf *b, const char *name)
{
	tar_add(b, '5', name, "", "", 0);
}

/* @len bytes that do not compress away, the same for the same @seed. */
static inline void tar_big(struct buf *b, const char *name, size_t len, unsigned seed)
{
	char *data = malloc(len);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (char)(seed >> 24);
	}
	tar_add(b, '0', name, "", data, len);
	free(data);
}

/* One pax header of a record "key=value". */
static inline void tar_pax(struct buf *b, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	_buf_done_ struct buf record = { 0 };

	while (total != rest + (size_t)snprintf(NULL, 0, "%zu", total))
		total = rest + (size_t)snprintf(NULL, 0, "%zu", total);
	assert_ok(buf_addf(&record, "%zu %s=", total, key));
	assert_ok(buf_add(&record, value, len));
	assert_ok(buf_addc(&record, '\n'));
	tar_add(b, 'x', "PaxHeaders", "", record.data, record.len);
}

static inline void tar_pax_text(struct buf *b, const char *key, const char *value)
{
	tar_pax(b, key, value, strlen(value));
}

static inline void tar_end(struct buf *b)
{
	assert_ok(buf_zero(b, 2 * TAR_BLOCK));
}

/* ---- compressing ---- */

/* Appends a gzip member. */
static inline void pack_gzip(struct buf *out, const void *data, size_t len)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)data, .avail_in = (uInt)len };
	size_t cap = len + len / 100 + 1024;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = buf_reserve(out, cap);
	z.avail_out = (uInt)cap;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += z.total_out;
	deflateEnd(&z);
}

static inline void pack_zstd(struct buf *out, const void *data, size_t len)
{
	size_t cap = ZSTD_compressBound(len),
	       n = ZSTD_compress(buf_reserve(out, cap), cap, data, len, 3);

	assert_false(ZSTD_isError(n));
	out->len += n;
}

/* ---- into the store and out again ---- */

static inline int import_only(struct txn *t, const struct buf *b, const struct store_bounds *bounds,
			      struct image_layer *ret)
{
	_close_ int fd = fd_memfd("layer", b->len ? b->data : NULL, b->len);

	assert_true(fd >= 0);
	assert_true(lseek(fd, 0, SEEK_SET) == 0);
	return layer_import(t, fd, bounds, NULL, NULL, ret);
}

/* An image of one tar for each of @n. */
static inline int import_image(struct store *s, const char *name, const struct buf *tars, size_t n,
			       struct image_layer *ret)
{
	_json_ json_t *config = json_pack("{s:s, s:s}", "architecture", "amd64", "os", "linux");
	struct digest manifest;
	struct txn *t = NULL;
	int r = txn_begin(s, &t);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = import_only(t, &tars[i], NULL, &ret[i]);
	if (r == 0)
		r = txn_image(t, name, config, ret, n, &manifest);
	if (r == 0)
		r = txn_commit(t);
	txn_abort(t);
	return r;
}

/* The layer's tar is @want again. */
static inline void assert_exports(struct store *s, const struct digest *diff_id,
				  const struct buf *want)
{
	_close_ int fd = fd_memfd("export", NULL, 0);
	_free_ char *got = NULL;
	size_t len;

	assert_true(fd >= 0);
	assert_done(layer_export(s, diff_id, fd));
	assert_true(lseek(fd, 0, SEEK_SET) == 0);
	assert_ok(fd_read_all(fd, 1u << 30, &got, &len));
	assert_int_equal(len, want->len);
	assert_memory_equal(got, want->data, len);
}

static inline void print_line(_unused_ void *ctx, const char *line)
{
	print_error("fsck: %s\n", line);
}

static inline void assert_sound(struct store *s)
{
	struct fsck_result f;

	assert_done(store_fsck(s, print_line, NULL, &f));
	assert_int_equal(f.damaged, 0);
}

static inline int count_one_(void *ctx, _unused_ struct image *i)
{
	++*(unsigned *)ctx;
	return 0;
}

static inline unsigned count_images(struct store *s)
{
	unsigned n = 0;

	assert_done(image_each(s, count_one_, &n));
	return n;
}

/* Regular files below the folders that hold content. */
static inline unsigned count_files(const struct kit *k)
{
	_free_ char *command =
		str_fmt("find %s/blobs %s/objects %s/layers %s/merged %s/tmp %s/trash -type f",
			k->root, k->root, k->root, k->root, k->root, k->root);
	unsigned n = 0;
	char line[512];
	FILE *f;

#undef popen
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n++;
	pclose(f);
	return n;
}

/* Flips a bit of a file of the store. */
static inline void flip(struct store *s, const char *path, off_t at)
{
	_close_ int fd = -1;
	char c;

	assert_ok(fchmodat(store_dirfd(s), path, 0644, 0));
	fd = openat(store_dirfd(s), path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

#endif
