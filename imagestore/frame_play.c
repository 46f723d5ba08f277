/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Playing a frame: its records back to the tar. The frame is not trusted, a disk can lie: the end's
 * digest decides.
 */
#include "imagestore/decompress.h"
#include "imagestore/frame.h"

#include <endian.h>

#define COPY	(256u << 10)
#define TAR_MAX (1ull << 43)

struct player {
	struct store *s;
	const struct digest *diff_id;
	int (*sink)(void *ctx, const void *data, size_t len);
	void *ctx;
	struct sha256 hash;
	uint64_t size;
	int pack;
	uint8_t head[49]; /* of the record being gathered, its type first */
	size_t have;
	uint32_t raw_left;
	bool ended;
	uint8_t *copy;
};

static int damaged(struct player *p, const char *why)
{
	return err(-EBADMSG, "layer sha256:%s: frame: %s", digest_hex(p->diff_id).s, why);
}

static int give(struct player *p, const void *data, size_t len)
{
	sha256_update(&p->hash, data, len);
	p->size += len;
	return p->sink(p->ctx, data, len);
}

static int give_file(struct player *p, int fd, uint64_t off, uint64_t len)
{
	while (len) {
		size_t want = (size_t)MIN(len, (uint64_t)COPY);
		ssize_t n = fd_pread_full(fd, p->copy, want, (off_t)off);
		int r;

		if (n < 0)
			return err((int)n, "layer sha256:%s: %s", digest_hex(p->diff_id).s,
				   strerror((int)-n));
		if ((size_t)n < want)
			return damaged(p, "a content is cut off");
		r = give(p, p->copy, want);
		if (r)
			return r;
		off += want;
		len -= want;
	}
	return 0;
}

static uint64_t number(const uint8_t *b)
{
	uint64_t x;

	memcpy(&x, b, sizeof(x));
	return le64toh(x);
}

static int play_packed(struct player *p)
{
	uint32_t block;

	memcpy(&block, p->head + 1, sizeof(block));
	if (p->pack < 0)
		p->pack =
			openat(p->s->dirfd, layer_file(p->diff_id, "pack").s, O_RDONLY | O_CLOEXEC);
	if (p->pack < 0)
		return err_sys("%s/%s", p->s->path, layer_file(p->diff_id, "pack").s);
	return give_file(p, p->pack, (uint64_t)le32toh(block) * LAYER_BLOCK,
			 MIN(number(p->head + 5), TAR_MAX));
}

static int play_object(struct player *p)
{
	_close_ int fd = -1;
	struct digest d;

	memcpy(d.b, p->head + 9, sizeof(d.b));
	fd = store_object_open(p->s, &d);
	return fd < 0 ? fd : give_file(p, fd, 0, MIN(number(p->head + 1), TAR_MAX));
}

static int play_segment(struct player *p)
{
	_close_ int fd = -1;
	struct digest d;

	memcpy(d.b, p->head + 17, sizeof(d.b));
	fd = store_object_open(p->s, &d);
	return fd < 0 ? fd :
			give_file(p, fd, MIN(number(p->head + 1), TAR_MAX),
				  MIN(number(p->head + 9), TAR_MAX));
}

static int play_end(struct player *p)
{
	struct digest got = sha256_final(&p->hash);

	p->ended = true;
	if (!digest_eq(&got, p->diff_id) || number(p->head + 1) != p->size)
		return damaged(p,
			       "not the layer comes of it: it, the pack or an object is damaged");
	return 0;
}

static int play_record(struct player *p)
{
	p->have = 0;
	switch (p->head[0]) {
	case FRAME_RAW:
		memcpy(&p->raw_left, p->head + 1, sizeof(p->raw_left));
		p->raw_left = le32toh(p->raw_left);
		return 0;
	case FRAME_PACKED:
		return play_packed(p);
	case FRAME_OBJECT:
		return play_object(p);
	case FRAME_SEGMENT:
		return play_segment(p);
	default:
		return play_end(p);
	}
}

/* Bytes of a record with its type, 0 for one that is none. */
static size_t record_size(uint8_t type)
{
	switch (type) {
	case FRAME_RAW:
		return 5;
	case FRAME_PACKED:
		return 13;
	case FRAME_OBJECT:
	case FRAME_END:
		return 41;
	case FRAME_SEGMENT:
		return 49;
	default:
		return 0;
	}
}

static int take_head(struct player *p, const uint8_t **data, size_t *len)
{
	size_t size, n;

	if (p->have == 0) {
		p->head[p->have++] = *(*data)++;
		(*len)--;
	}
	size = record_size(p->head[0]);
	if (!size || p->ended)
		return damaged(p, "not a record");
	n = MIN(*len, size - p->have);
	memcpy(p->head + p->have, *data, n);
	p->have += n;
	*data += n;
	*len -= n;
	return p->have == size ? play_record(p) : 0;
}

static int take_raw(struct player *p, const uint8_t **data, size_t *len)
{
	size_t n = MIN(*len, (size_t)p->raw_left);
	int r = give(p, *data, n);

	p->raw_left -= (uint32_t)n;
	*data += n;
	*len -= n;
	return r;
}

static int play(void *ctx, const void *bytes, size_t len)
{
	struct player *p = ctx;
	const uint8_t *data = bytes;
	int r = 0;

	while (len && r == 0)
		r = p->raw_left ? take_raw(p, &data, &len) : take_head(p, &data, &len);
	return r;
}

static int play_fd(struct player *p, int fd)
{
	const struct decompress_bounds bounds = { .max_bytes = TAR_MAX, .max_ratio = UINT32_MAX };
	char magic[sizeof(FRAME_MAGIC) - 1];
	struct decompress *d;
	int r;

	if (fd_read_full(fd, magic, sizeof(magic)) != sizeof(magic) ||
	    memcmp(magic, FRAME_MAGIC, sizeof(magic)) != 0)
		return damaged(p, "not a frame");
	r = decompress_new(&bounds, play, p, &d);
	if (r < 0)
		return r;
	r = decompress_fd(d, fd);
	decompress_free(d);
	if (r == 0 && !p->ended)
		r = damaged(p, "cut off");
	return r;
}

int frame_play(struct store *s, const struct digest *diff_id,
	       int (*sink)(void *ctx, const void *data, size_t len), void *ctx)
{
	struct player p = { .s = s, .diff_id = diff_id, .sink = sink, .ctx = ctx, .pack = -1 };
	_close_ int fd = openat(s->dirfd, layer_file(diff_id, "frame").s, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		return err(-ENOENT, "layer sha256:%s is not in the store", digest_hex(diff_id).s);
	if (fd < 0)
		return err_sys("%s/%s", s->path, layer_file(diff_id, "frame").s);
	p.copy = malloc(COPY);
	if (!p.copy)
		return -ENOMEM;
	sha256_init(&p.hash);
	r = play_fd(&p, fd);
	fd_close(p.pack);
	free(p.copy);
	return r;
}
