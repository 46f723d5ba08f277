/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/tar_sparse.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "imagestore/tar_header.h"

/* Old GNU: 4 segments in the header, its mark that more follow, the real size; 21 in each block. */
#define HEADER_MAP	386
#define HEADER_SEGMENTS 4
#define HEADER_MORE	482
#define HEADER_SIZE	483
#define BLOCK_SEGMENTS	21
#define BLOCK_MORE	504
#define NUMBER		12 /* bytes of one number field */

void tar_sparse_done(struct tar_sparse *s)
{
	free(s->segments);
	*s = (struct tar_sparse){ 0 };
}

static int bad(const char *what)
{
	return err(-EBADMSG, "a sparse file %s", what);
}

static int add(struct tar_sparse *s, uint64_t off, uint64_t len)
{
	if (s->n == TAR_SEGMENTS_MAX)
		return bad("of more pieces than are taken");
	if (mem_grow(&s->segments, &s->cap, s->n + 1, sizeof(*s->segments)) < 0)
		return -ENOMEM;
	s->segments[s->n++] = (struct tar_segment){ off, len };
	return 0;
}

/* ---- old GNU ---- */

static int number(const char *field, uint64_t *ret)
{
	int64_t x;

	if (tar_header_number(field, NUMBER, &x) < 0 || x < 0)
		return bad("whose map has a number that cannot be");
	*ret = (uint64_t)x;
	return 0;
}

/* An entry of NULs ends them. */
static int add_fields(struct tar_sparse *s, const char *at, int count)
{
	for (int i = 0; i < count && at[0]; i++, at += 2 * (size_t)NUMBER) {
		uint64_t off, len;
		int r = number(at, &off);

		if (r >= 0)
			r = number(at + NUMBER, &len);
		if (r >= 0)
			r = add(s, off, len);
		if (r < 0)
			return r;
	}
	return 0;
}

int tar_sparse_header(struct tar_sparse *s, const void *block)
{
	const char *b = block;
	int r;

	if (s->is)
		return bad("said so twice");
	s->is = s->has_size = true;
	r = number(b + HEADER_SIZE, &s->size);
	if (r >= 0)
		r = add_fields(s, b + HEADER_MAP, HEADER_SEGMENTS);
	return r < 0 ? r : b[HEADER_MORE] != 0;
}

int tar_sparse_block(struct tar_sparse *s, const void *block)
{
	const char *b = block;
	int r = add_fields(s, b, BLOCK_SEGMENTS);

	return r < 0 ? r : b[BLOCK_MORE] != 0;
}

/* ---- pax records ---- */

static int value_of(const char *text, uint64_t *ret)
{
	return str_u64(text, 0, INT64_MAX, ret) < 0 ?
		       bad("whose pax header has a value that cannot be") :
		       0;
}

/* "offset,length,offset,length...": pax 0.1. */
static int parse_map(struct tar_sparse *s, char *text)
{
	uint64_t pair[2];
	size_t n = 0;

	if (s->has_map || s->n)
		return bad("with two maps");
	s->has_map = true;
	while (*text) {
		char *end = strchrnul(text, ','), *next = *end ? end + 1 : end;
		int r;

		*end = '\0';
		r = value_of(text, &pair[n++ % 2]);
		if (r >= 0 && n % 2 == 0)
			r = add(s, pair[0], pair[1]);
		if (r < 0)
			return r;
		text = next;
	}
	return n % 2 ? bad("whose map is cut off") : 0;
}

static int set_size(struct tar_sparse *s, const char *value)
{
	if (s->has_size)
		return bad("with two sizes");
	s->has_size = true;
	return value_of(value, &s->size);
}

static int set_length(struct tar_sparse *s, const char *value)
{
	uint64_t len;
	int r = value_of(value, &len);

	if (r < 0)
		return r;
	if (!s->has_offset || s->has_map)
		return bad("whose map is out of order");
	s->has_offset = false;
	return add(s, s->offset, len);
}

static int set_offset(struct tar_sparse *s, const char *value)
{
	if (s->has_offset)
		return bad("whose map is out of order");
	s->has_offset = true;
	return value_of(value, &s->offset);
}

static int set_version(struct tar_sparse *s, const char *key, const char *value)
{
	if (streq(key, "major") && streq(value, "1"))
		s->in_data = true;
	else if (!streq(value, "0") && !(streq(key, "minor") && streq(value, "1")))
		return bad("of a version that is not known");
	return 0;
}

int tar_sparse_record(struct tar_sparse *s, const char *key, char *value, size_t len)
{
	uint64_t ignored;

	if (strlen(value) != len)
		return bad("whose pax header has a NUL in it");
	s->is = true;
	if (streq(key, "major") || streq(key, "minor"))
		return set_version(s, key, value);
	if (streq(key, "size") || streq(key, "realsize"))
		return set_size(s, value);
	if (streq(key, "numblocks"))
		return value_of(value, &ignored);
	if (streq(key, "offset"))
		return set_offset(s, value);
	if (streq(key, "numbytes"))
		return set_length(s, value);
	if (streq(key, "map"))
		return parse_map(s, value);
	if (!streq(key, "name"))
		return bad("with a word in its pax header that is not known");
	if (s->name || !*value)
		return bad("with two names, or an empty one");
	s->name = value;
	return 0;
}

/* ---- pax 1.0's map: decimal numbers, one a line, the count of segments first ---- */

static int end_number(struct tar_sparse *s)
{
	if (!s->digits)
		return bad("whose map has an empty line");
	s->digits = false;
	if (!s->counted) {
		if (s->number > TAR_SEGMENTS_MAX)
			return bad("of more pieces than are taken");
		s->counted = true;
		s->wanted = 2 * s->number;
	} else if (s->wanted-- % 2 == 0) {
		s->pair = s->number;
	} else {
		return add(s, s->pair, s->number);
	}
	return 0;
}

static int take_byte(struct tar_sparse *s, char c)
{
	if (c == '\n') {
		int r = end_number(s);

		s->number = 0;
		return r;
	}
	if (c < '0' || c > '9' || s->number > INT64_MAX / 10 - 1)
		return bad("whose map is no list of numbers");
	s->digits = true;
	s->number = s->number * 10 + (uint64_t)(c - '0');
	return 0;
}

int tar_sparse_map(struct tar_sparse *s, const void *block)
{
	const char *b = block;

	s->map_bytes += TAR_BLOCK;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		int r = take_byte(s, b[i]);

		if (r < 0)
			return r;
		if (s->counted && !s->wanted)
			return 0; /* the rest of the block is filled up */
	}
	return 1;
}

/* ---- the whole ---- */

int tar_sparse_check(struct tar_sparse *s, uint64_t stored, uint64_t *ret_data)
{
	uint64_t end = 0, sum = 0;
	size_t kept = 0;

	if (!s->has_size || s->has_offset)
		return bad("without its real size, or with half a map");
	for (size_t i = 0; i < s->n; i++) {
		struct tar_segment g = s->segments[i];

		if (g.off < end || g.off > s->size || g.len > s->size - g.off)
			return bad("whose pieces overlap, or go past its size");
		end = g.off + g.len;
		sum += g.len;
		if (g.len)
			s->segments[kept++] = g;
	}
	s->n = kept;
	if (stored < s->map_bytes || stored - s->map_bytes != sum)
		return bad("whose pieces are not as much as the archive holds of it");
	*ret_data = sum;
	return 0;
}
