/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks by number: packed bytes from the store or by Range, unpacked, compared with their digest,
 * and only then put where they are read.
 */
#include "imagestore/arrival/fetcher.h"

#include "imagestore/decompress.h"

#define LOCAL (128u << 10) /* bytes read at once of a blob that is here */

/* ---- a run of chunks of one blob, with little between them ---- */

struct run {
	struct fetcher *f;
	const uint32_t *next, *end;
	uint64_t at;   /* in the blob */
	uint64_t left; /* packed bytes of the chunk under way */
	struct decompress *d;
	struct buf out;
};

static void run_done(struct run *u)
{
	decompress_free(u->d);
	buf_done(&u->out);
}

static const struct table_chunk *under_way(const struct run *u)
{
	return &u->f->table.chunks[*u->next];
}

static int on_unpacked(void *ctx, const void *data, size_t len)
{
	struct run *u = ctx;

	if (len > under_way(u)->len - u->out.len)
		return err(-EBADMSG, "a chunk of more bytes than its table says");
	return buf_add(&u->out, data, len);
}

static int begin_chunk(struct run *u)
{
	const struct decompress_bounds bounds = { .max_bytes = UINT64_MAX,
						  .max_ratio = UINT32_MAX };

	u->left = under_way(u)->packed;
	buf_reset(&u->out);
	return decompress_new(&bounds, on_unpacked, u, &u->d);
}

static int end_chunk(struct run *u)
{
	const struct table_chunk *k = under_way(u);
	struct fetcher *f = u->f;
	struct digest got;
	int r = decompress_finish(u->d);

	decompress_free(take_ptr(u->d));
	if (r < 0)
		return r;
	got = sha256_of(u->out.data ? u->out.data : "", u->out.len);
	if (u->out.len != k->len || !digest_eq(&got, &k->digest))
		return err(-EBADMSG, "blob sha256:%.12s, bytes %llu to %llu: digest mismatch",
			   digest_hex(&f->table.blobs[k->blob].digest).s,
			   (unsigned long long)k->offset,
			   (unsigned long long)(k->offset + k->packed));
	r = fd_pwrite_full(f->data_fd, u->out.data, u->out.len, (off_t)k->at);
	if (r < 0)
		return err(r, "%s: an arriving image: %s", f->s->path, strerror(-r));
	atomic_store_explicit(&f->state.chunks[*u->next], CHUNK_HERE, memory_order_release);
	u->next++;
	return 0;
}

/* Of the bytes of a chunk, or of what stands before it, as many as came: how many. */
static ssize_t take_piece(struct run *u, const void *data, size_t len)
{
	uint64_t gap;
	int r = 0;

	if (u->next == u->end)
		return -EPROTO;
	gap = u->d ? 0 : under_way(u)->offset - u->at;
	if (gap)
		return (ssize_t)MIN((uint64_t)len, gap);
	if (!u->d)
		r = begin_chunk(u);
	len = (size_t)MIN((uint64_t)len, u->left);
	if (r >= 0)
		r = decompress_feed(u->d, data, len);
	if (r >= 0 && u->left == len)
		r = end_chunk(u);
	u->left -= len;
	return r < 0 ? r : (ssize_t)len;
}

static int run_feed(void *ctx, const void *data, size_t len)
{
	struct run *u = ctx;

	for (const uint8_t *p = data; len;) {
		ssize_t n = take_piece(u, p, len);

		if (n < 0)
			return (int)n;
		u->at += (uint64_t)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- from where ---- */

/* A blob that is here, or so much of one that its download has all of the run. */
static int open_local(struct fetcher *f, const struct table_blob *b, uint64_t end)
{
	_close_ int fd = openat(f->s->dirfd, blob_file(&b->digest).s, O_RDONLY | O_CLOEXEC);
	char path[80];

	if (fd < 0) {
		snprintf(path, sizeof(path), "partial/%s", digest_hex(&b->digest).s);
		fd = openat(f->s->dirfd, path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0 || (uint64_t)MAX(lseek(fd, 0, SEEK_END), (off_t)0) < end)
		return -ENOENT;
	return take_fd(fd);
}

static int run_local(struct run *u, int fd, uint64_t from, uint64_t len)
{
	_free_ uint8_t *data = malloc(LOCAL);
	int r = data ? 0 : -ENOMEM;

	while (r >= 0 && len) {
		ssize_t n = fd_pread_full(fd, data, (size_t)MIN(len, (uint64_t)LOCAL), (off_t)from);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		r = run_feed(u, data, (size_t)n);
		from += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return r;
}

static int connect_to(struct chunk_source *c)
{
	struct fetcher *f = c->f;
	size_t mirrors = strv_len(f->servers);

	if (c->r)
		return 0;
	return registry_open(f->host, c->server < mirrors ? f->servers[c->server] : NULL, f->repo,
			     &c->r);
}

/* Where a run ends in its blob. */
static uint64_t end_of(const struct fetcher *f, const uint32_t *end)
{
	const struct table_chunk *last = &f->table.chunks[end[-1]];

	return last->offset + last->packed;
}

static int run_once(struct chunk_source *c, const uint32_t *list, const uint32_t *end, int local)
{
	struct fetcher *f = c->f;
	const struct table_chunk *first = &f->table.chunks[*list];
	_cleanup_(
		run_done) struct run u = { .f = f, .next = list, .end = end, .at = first->offset };
	uint64_t len = end_of(f, end) - first->offset;
	int r;

	if (local >= 0)
		return run_local(&u, local, first->offset, len);
	r = connect_to(c);
	if (r < 0)
		return r;
	atomic_fetch_add(&f->state.head->fetched, len);
	return range_fetch(c->r, &f->table.blobs[first->blob].digest, first->offset, len, run_feed,
			   &u);
}

/* What is not here yet, of a run of which some chunks may have come. */
static const uint32_t *rest_of(const struct fetcher *f, const uint32_t *list, const uint32_t *end)
{
	while (list < end && state_has(&f->state, *list, *list + 1))
		list++;
	return list;
}

/* Each server once, beginning with the one that answered last; the next is asked for the rest. */
static int run_from_any(struct chunk_source *c, const uint32_t *list, const uint32_t *end)
{
	size_t n = strv_len(c->f->servers) + 1;
	int r = -EIO;

	for (size_t i = 0; i < n; i++) {
		err_clear();
		list = rest_of(c->f, list, end);
		r = list == end ? 0 : run_once(c, list, end, -1);
		if (r >= 0)
			return r;
		registry_close(take_ptr(c->r));
		c->server = (c->server + 1) % n;
	}
	return r;
}

static int run_fetch(struct chunk_source *c, const uint32_t *list, const uint32_t *end)
{
	const struct table *t = &c->f->table;
	_close_ int local = open_local(c->f, &t->blobs[t->chunks[*list].blob], end_of(c->f, end));

	/* A download that is no good yet is found out by its digests: here, and at its end. */
	if (local >= 0 && run_once(c, list, end, local) >= 0)
		return 0;
	return run_from_any(c, list, end);
}

/* ---- any ---- */

static bool is_close(const struct table_chunk *a, const struct table_chunk *b)
{
	uint64_t end = a->offset + a->packed;

	return a->blob == b->blob && b->offset >= end && b->offset - end <= GAP;
}

int chunks_fetch(struct chunk_source *c, const uint32_t *list, size_t n)
{
	const struct table_chunk *chunks = c->f->table.chunks;
	_free_ uint32_t *away = mem_new(n, sizeof(*away));
	size_t m = 0, from = 0;
	int r = away ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (!state_has(&c->f->state, list[i], list[i] + 1))
			away[m++] = list[i];
	}
	for (size_t i = 1; r >= 0 && i <= m; i++) {
		if (i < m && is_close(&chunks[away[i - 1]], &chunks[away[i]]))
			continue;
		r = run_fetch(c, away + from, away + i);
		from = i;
	}
	return r;
}

void chunk_source_done(struct chunk_source *c)
{
	registry_close(take_ptr(c->r));
}
