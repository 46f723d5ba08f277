/* SPDX-License-Identifier: Apache-2.0 */
/* A blob into a file: hashed on the way, resumed where it stopped. */
#include "base/clock.h"
#include "imagestore/registry/registry.h"
#include "imagestore/registry/ring.h"
#include <sys/stat.h>

#define HASH_CHUNK   (256u << 10)
#define PIECE	     RING_PIECE /* gathered before it is written: libcurl gives 16 KiB at most */
#define PIECE_NS     (250ull * 1000 * 1000) /* or written after so long */
#define PROGRESS_MIN (1u << 20) /* less is no reason for more attempts: it would never end */

struct fetch {
	struct store *s;
	struct partial *p;
	struct http_reply reply;
	struct sha256 hash;
	uint64_t have; /* bytes that came and are hashed; the last of them are gathered: */
	size_t ngathered;
	uint64_t written_ns; /* when a piece was written last */
	uint8_t *to;	     /* where they are gathered */
	uint8_t *piece;	     /* or there, when nobody says where */
};

static int tell(struct fetch *f)
{
	return f->p->grew ? f->p->grew(f->p->ctx, f->have - f->ngathered) : 0;
}

static int write_piece(struct fetch *f)
{
	int r = fd_pwrite_full(f->p->fd, f->to, f->ngathered, (off_t)(f->have - f->ngathered));

	f->written_ns = clock_ns();
	if (r == -ENOSPC || r == -EDQUOT)
		return err(r, "%s: no space left: `strata gc` frees what nothing names",
			   f->s->path);
	if (r < 0)
		return err(r, "partial download: %s", strerror(-r));
	f->ngathered = 0;
	return tell(f);
}

static uint8_t *piece_room(struct fetch *f)
{
	uint8_t *to = f->p->room ? f->p->room(f->p->ctx, f->have) : NULL;

	return to ? to : f->piece;
}

/* Pieces end at multiples of their size in the file: its pages are written whole, many at once. */
static int gather(struct fetch *f, const uint8_t *data, size_t len)
{
	int r = 0;

	sha256_update(&f->hash, data, len);
	while (r >= 0 && len) {
		size_t n = MIN(len, (size_t)(PIECE - f->have % PIECE));

		if (!f->ngathered)
			f->to = piece_room(f);
		memcpy(f->to + f->ngathered, data, n);
		f->ngathered += n;
		f->have += n;
		data += n;
		len -= n;
		if (f->have % PIECE == 0)
			r = write_piece(f);
	}
	return r >= 0 && clock_ns() - f->written_ns >= PIECE_NS ? write_piece(f) : r;
}

/* Who reads behind is told before there are other bytes. */
static int start_over(struct fetch *f)
{
	int r;

	sha256_init(&f->hash);
	f->have = f->ngathered = 0;
	r = tell(f);
	return r >= 0 && ftruncate(f->p->fd, 0) < 0 ? err_sys("partial download") : r;
}

/* What a killed download left. */
static int take_up(struct fetch *f)
{
	_free_ char *chunk = malloc(HASH_CHUNK);
	struct stat st;
	ssize_t n;
	int r = 0;

	sha256_init(&f->hash);
	if (!chunk)
		return -ENOMEM;
	if (fstat(f->p->fd, &st) < 0)
		return err_sys("partial download");
	if ((uint64_t)st.st_size > f->p->size)
		return start_over(f);
	while (r >= 0 && (n = fd_pread_full(f->p->fd, chunk, HASH_CHUNK, (off_t)f->have)) > 0) {
		sha256_update(&f->hash, chunk, (size_t)n);
		f->have += (uint64_t)n;
		r = tell(f);
	}
	if (r < 0)
		return r;
	return n < 0 ? err((int)n, "partial download: %s", strerror((int)-n)) : 0;
}

static int on_bytes(void *ctx, long status, const void *data, size_t len)
{
	struct fetch *f = ctx;
	uint64_t asked = f->have;
	int r = 0;

	if (status != 206 && asked && f->reply.status == 0) {
		r = start_over(f); /* a server without ranges sends all again */
	} else if (status == 206 && f->reply.status == 0 && f->reply.range_from != asked) {
		return err(-EPROTO, "the registry sent another range than was asked for");
	}
	f->reply.status = status; /* known from now on */
	if (r < 0)
		return r;
	if (len > f->p->size - f->have)
		return err(-EBADMSG,
			   "blob sha256:%.12s: the registry sends more than the %llu bytes of "
			   "its descriptor",
			   digest_hex(&f->p->digest).s, (unsigned long long)f->p->size);
	return gather(f, data, len);
}

static int download(struct registry *r, struct fetch *f)
{
	struct http_reply *p = &f->reply;
	_free_ char *url =
		str_fmt("%s/v2/%s/blobs/sha256:%s", r->base, r->repo, digest_hex(&f->p->digest).s);
	struct http_request q = { .url = url, .sink = on_bytes, .ctx = f };
	uint64_t counted = 0; /* bytes that were there when the attempts were counted anew */
	unsigned n = 0;
	int e, wrote;

	if (!url)
		return -ENOMEM;
	do {
		q.from = f->have;
		e = tell(f); /* who waits between attempts hears of another's failure here */
		if (e >= 0)
			e = registry_try(r, "pull", &q, p);
		wrote = write_piece(f);
		if (wrote < 0)
			e = wrote;
		if (e >= 0 && p->status == 416 && f->have)
			e = start_over(f) ?: -EAGAIN;
		if (f->have > counted + PROGRESS_MIN) {
			counted = f->have;
			n = 0;
		}
	} while (f->have < f->p->size && registry_again(r, ++n, e, p));
	/* Whether it broke off behind the last byte or not: the digest tells. */
	if (e == -EAGAIN && f->have == f->p->size) {
		err_clear();
		return 0;
	}
	if (e < 0)
		return e == -EAGAIN ? -EIO : e;
	return p->status == 200 || p->status == 206 ? 0 : registry_status_err(r, url, p);
}

static int check(struct fetch *f)
{
	struct digest got = sha256_final(&f->hash);

	if (f->have != f->p->size)
		return err(-EBADMSG, "blob sha256:%.12s: %llu bytes came, its descriptor says %llu",
			   digest_hex(&f->p->digest).s, (unsigned long long)f->have,
			   (unsigned long long)f->p->size);
	if (!digest_eq(&got, &f->p->digest))
		return err(-EBADMSG, "blob sha256:%.12s: digest mismatch: sha256:%.12s came",
			   digest_hex(&f->p->digest).s, digest_hex(&got).s);
	return 0;
}

int partial_fetch(struct registry *r, struct store *s, struct partial *p)
{
	_free_ uint8_t *piece = malloc(PIECE);
	struct fetch f = { .s = s, .p = p, .to = piece, .piece = piece };
	int e = piece ? take_up(&f) : -ENOMEM;

	if (e >= 0 && f.have < p->size)
		e = download(r, &f);
	http_reply_done(&f.reply);
	return e < 0 ? e : check(&f);
}
